"""Broken arms, selectors, metrics and suites, each with one fault."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from siamrec.data import Vocabulary
from siamrec.metrics import Metric, Suite
from siamrec.models.recommenders import (
    Capability,
    FittedRecommender,
    Histories,
    RecommenderRecipe,
)
from siamrec.rerank import MMR, Selector
from siamrec.testing.metrics import MetricContract, MetricSuiteContract
from siamrec.testing.recommenders import RecommenderContract
from siamrec.testing.rerank import SelectorContract

# --- arms ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RightArm(RecommenderRecipe):
    """Items that go together with what a person has seen."""

    capabilities: ClassVar = Capability.RANKING | Capability.COLD_USER

    def fit(self, feedback, *, catalog=None):
        return self.fitted()(feedback)

    @staticmethod
    def fitted():
        return FittedRight

    @classmethod
    def load(cls, path):
        found = cls.fitted().__new__(cls.fitted())
        head = json.loads((Path(path) / "arm.json").read_text())
        found.users, found.items = (
            Vocabulary(tuple(head["users"])),
            Vocabulary(tuple(head["items"])),
        )
        found.table = np.array(head["table"], dtype=np.float32)
        value = np.array(head["history"])
        row, column = np.nonzero(value)
        from scipy import sparse

        found.history = Histories(
            sparse.csr_array((value[row, column], (row, column)), shape=value.shape)
        )
        return found


class FittedRight(FittedRecommender):
    capabilities = Capability.RANKING | Capability.COLD_USER

    def __init__(self, feedback):
        self.users, self.items = feedback.users, feedback.items
        self.history = Histories.of(feedback, self.users, self.items)
        seen = (self.history.value.toarray() > 0).astype(np.float32)
        self.table = (seen.T @ seen) / np.sqrt(seen.sum(axis=0) + 3) + 1e-3 * seen.sum(axis=0)

    def score(self, histories):
        return ((histories.value.toarray() > 0).astype(np.float32) @ self.table).astype(np.float32)

    def save(self, path):
        folder = Path(path)
        folder.mkdir(parents=True)
        head = {"users": self.users.ids, "items": self.items.ids, "table": self.table.tolist()}
        head["history"] = self.history.value.toarray().tolist()
        (folder / "arm.json").write_text(json.dumps(head))


def arm(fitted):
    """Return a recipe of one fitted class."""
    return type(f"Of{fitted.__name__}", (RightArm,), {"fitted": staticmethod(lambda: fitted)})


class NoisyArm(FittedRight):
    def score(self, histories):
        scores = super().score(histories)
        return scores + np.random.rand(*scores.shape).astype(np.float32)


class KeepsItsScores(FittedRight):
    def score(self, histories):
        if not hasattr(self, "kept") or len(self.kept) != len(histories):
            self.kept = super().score(histories)
        return self.kept


class NotANumber(FittedRight):
    def score(self, histories):
        scores = super().score(histories)
        scores[:, 0] = np.nan
        return scores


class ByCompany(FittedRight):
    def score(self, histories):
        scores = super().score(histories)
        return scores * np.cos(np.arange(scores.shape[1])) ** len(histories)


class IdsAsText(FittedRight):
    def __init__(self, feedback):
        super().__init__(feedback)
        self.items = Vocabulary(tuple(map(str, self.items.ids)))


class ForgetsWhatWasSeen(FittedRight):
    def __init__(self, feedback):
        super().__init__(feedback)
        empty = self.history.value.copy()
        empty.data[:] = 0
        empty.eliminate_zeros()
        self.history = Histories(empty)


class SavesNothing(FittedRight):
    def save(self, path):
        Path(path).mkdir()


class SavesHalf(FittedRight):
    def save(self, path):
        self.table = np.round(self.table, 0)
        super().save(path)
        self.table = self.table + 0.5 * np.arange(len(self.items))


class GlobalFit(FittedRight):
    def __init__(self, feedback):
        super().__init__(feedback)
        self.table = self.table + np.random.rand(*self.table.shape).astype(np.float32)


class PromisesTooMuch(FittedRight):
    capabilities = FittedRight.capabilities | Capability.SIMILAR

    def score(self, histories):
        return super().score(histories)


class DoesNotKnowNewPeople(FittedRight):
    def score(self, histories):
        return super().score(Histories(self.history.value[self._known(histories)]))


class WrongShape(FittedRight):
    def score(self, histories):
        return super().score(histories)[:, :-1]


class UpdateForgets(FittedRight):
    def update(self, feedback):
        return self


class UnsortedSimilar(FittedRight):
    capabilities = FittedRight.capabilities | Capability.SIMILAR

    def similar(self, item, *, k=10):
        return [(each, float(place)) for place, each in enumerate(self.items.ids[:k])]


class ByPlaceInTheBatch(FittedRight):
    def score(self, histories):
        return np.roll(super().score(histories), len(histories) - 1, axis=1)


class WritesIntoHistories(FittedRight):
    def score(self, histories):
        scores = super().score(histories)
        histories.value.data[:] *= 0.5
        self.table = self.table * 1.01 + 0.01 * np.arange(len(self.items))
        return scores


class OffByOne(FittedRight):
    """Every score belongs to the item beside it: a suite knows no taste."""

    def score(self, histories):
        return np.roll(super().score(histories), 1, axis=1)


class LikesWhatIsDisliked(FittedRight):
    """Scores turned around: whether people like what they see, a suite cannot know."""

    def score(self, histories):
        return -super().score(histories)


class ArmCase(RecommenderContract):
    def load(self, path):
        return self.make().load(path)


# --- selectors -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RightSelector(Selector):
    name: ClassVar[str] = "right"
    right: ClassVar = MMR(trade_off=0.5)

    def select(self, candidates, score, k):
        return self.right.select(candidates, score, k)


class OneTooMany(RightSelector):
    def select(self, candidates, score, k):
        return super().select(candidates, score, k + 1)


class OneTooFew(RightSelector):
    def select(self, candidates, score, k):
        return super().select(candidates, score, max(k - 1, 1))


class RepeatsTheBest(RightSelector):
    def select(self, candidates, score, k):
        places, gain = super().select(candidates, score, k)
        owner = candidates.owner[places]
        first = np.searchsorted(owner, owner)
        return places[first], gain


class DrawsGlobally(RightSelector):
    def select(self, candidates, score, k):
        return super().select(candidates, score + np.random.rand(score.size), k)


class ByOthers(RightSelector):
    def select(self, candidates, score, k):
        moved = score * (candidates.n_users % 2 or -1) + np.arange(score.size) % candidates.n_users
        return super().select(candidates, moved, k)


class ByPlace(RightSelector):
    def select(self, candidates, score, k):
        return super().select(candidates, np.arange(score.size, 0, -1.0), k)


class ScoresInFloat16(RightSelector):
    """Rounds scores: lists stay lists."""

    def select(self, candidates, score, k):
        return super().select(candidates, score.astype(np.float16).astype(float), k)


# --- metrics ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RightMetric(Metric):
    stem: ClassVar[str] = "right"
    needs: ClassVar[frozenset[str]] = frozenset({"truth"})
    limits: ClassVar[tuple[float, float]] = (0.0, 5.0)

    k: int = 5

    def per_user(self, view):
        found = view.found(self.k)
        return view.sum_by_user(found.user, np.ones(found.user.size))


def metric(stem, per_user, **of: Any):
    """Return a metric with one method of its own."""
    return dataclass(frozen=True, slots=True, kw_only=True)(
        type(
            stem,
            (RightMetric,),
            {"stem": stem, "per_user": per_user, "__module__": __name__, **of},
        )
    )


def _ignores_k(self, view):
    found = view.found(9)
    return view.sum_by_user(found.user, np.ones(found.user.size))


def _by_company(self, view):
    hits = RightMetric.per_user(self, view)
    return hits / max(hits.max(), 1.0)


def _nothing(self, view):
    return np.full(len(RightMetric.per_user(self, view)), np.nan)


def _infinite(self, view):
    return 1 / np.where(RightMetric.per_user(self, view) > 1, 0.0, 1.0)


def _noise(self, view):
    hits = RightMetric.per_user(self, view)
    return np.clip(hits + 0.1 * np.random.rand(hits.size), 0.0, 5.0)


def _by_place(self, view):
    hits = RightMetric.per_user(self, view)
    return np.minimum(hits + np.arange(hits.size) % 2, 5.0)


def _too_short(self, view):
    return RightMetric.per_user(self, view)[:-1]


def _whole_numbers(self, view):
    return RightMetric.per_user(self, view).astype(np.int64)


_KEPT: dict[int, Any] = {}


def _kept(self, view):
    hits = RightMetric.per_user(self, view)
    return _KEPT.setdefault(hits.size, hits)


def _without_truth(self, view):
    return RightMetric.per_user(self, view)


def _outside(self, view):
    return RightMetric.per_user(self, view) - 3.0


METRIC_FAULTS = {
    "IgnoresK": metric("ignores_k", _ignores_k),
    "MetricByCompany": metric("by_company", _by_company),
    "AlwaysUndefined": metric("undefined", _nothing),
    "Infinite": metric("infinite", _infinite),
    "NoisyMetric": metric("noisy", _noise),
    "ByPlaceOfTheUser": metric("by_place", _by_place),
    "TooShort": metric("too_short", _too_short),
    "KeptFromBefore": metric("kept", _kept),
    "SaysNoNeeds": metric("no_needs", _without_truth, needs=frozenset({"quality"})),
}
if hasattr(Metric, "limits"):
    METRIC_FAULTS["LiesAboutItsRange"] = metric("lies", _outside)


# --- suites ----------------------------------------------------------------------------------


class RightSuite:
    inner = Suite(["hit@5", "recall@5"], seen_items="allow")

    @property
    def names(self):
        return self.inner.names

    def evaluate(self, rankings, truth, **inputs):
        return RightReport(self.inner.evaluate(rankings, truth, **inputs))


class RightReport:
    def __init__(self, report):
        self.report = report

    @property
    def names(self):
        return self.report.names

    def __getitem__(self, name):
        found = self.report[name]
        return SimpleNamespace(mean=found.mean, interval=found.interval)

    def per_user(self, name):
        return self.report.per_user(name)


def suite(name, report=None, **of: Any):
    def evaluate(self, rankings, truth, **inputs):
        return (report or RightReport)(self.inner.evaluate(rankings, truth, **inputs))

    return type(name, (RightSuite,), {"evaluate": evaluate, **of})


class Turned(RightReport):
    def __getitem__(self, name):
        found = super().__getitem__(name)
        low, high = found.interval
        return SimpleNamespace(mean=1 - found.mean, interval=(1 - high, 1 - low))

    def per_user(self, name):
        return 1 - super().per_user(name)


class MeanOfOthers(RightReport):
    def __getitem__(self, name):
        found = super().__getitem__(name)
        found.mean = found.mean * 0.9
        low, high = found.interval
        found.interval = (min(low, found.mean), high)
        return found


class IntervalBeside(RightReport):
    def __getitem__(self, name):
        found = super().__getitem__(name)
        found.interval = (found.mean + 0.01, found.mean + 0.1)
        return found


class NoisyReport(RightReport):
    def __getitem__(self, name):
        found = super().__getitem__(name)
        found.mean += 1e-6 * np.random.rand()
        return found


class ShortReport(RightReport):
    @property
    def names(self):
        return self.report.names[:1]


class OtherLength(RightReport):
    def per_user(self, name):
        return super().per_user(name)[1:]


SUITE_FAULTS = {
    "TurnedSuite": suite("TurnedSuite", Turned),
    "MeanOfOthersSuite": suite("MeanOfOthersSuite", MeanOfOthers),
    "IntervalBesideSuite": suite("IntervalBesideSuite", IntervalBeside),
    "NoisySuite": suite("NoisySuite", NoisyReport),
    "ShortSuite": suite("ShortSuite", ShortReport),
    "OtherLengthSuite": suite("OtherLengthSuite", OtherLength),
    "NameTwice": suite("NameTwice", names=("hit@5", "hit@5")),
    "Nameless": suite("Nameless", names=()),
}


class SuiteCase(MetricSuiteContract):
    accuracy = "hit@5"


_ARMS = {
    each.__name__: arm(each)
    for each in (
        NoisyArm, KeepsItsScores, NotANumber, ByCompany, IdsAsText, ForgetsWhatWasSeen,
        SavesNothing, SavesHalf, GlobalFit, PromisesTooMuch, DoesNotKnowNewPeople, WrongShape,
        UpdateForgets, UnsortedSimilar, ByPlaceInTheBatch, WritesIntoHistories, OffByOne,
        LikesWhatIsDisliked,
    )
}  # fmt: skip

assert field
assert replace

KINDS = {ArmCase: RightArm, SelectorContract: RightSelector, MetricContract: RightMetric,
         SuiteCase: RightSuite}  # fmt: skip
RIGHT = {RecommenderContract: arm(FittedRight)}  # whose author does not say how to load it
MORE = {
    ArmCase: _ARMS,
    MetricContract: METRIC_FAULTS,
    RecommenderContract: {"SavesNothingToLoad": arm(SavesNothing)},
    SuiteCase: SUITE_FAULTS,
}
