"""Parts of a host's own classes, none of which knows siamrec: a whole loop runs on them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec import protocols
from siamrec._core.book import lacking
from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.lifecycle import Host, Judging, ModelRegistry
from siamrec.models.recommenders import FittedRecommender, Histories, RecommenderRecipe
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.typing import Float32Array


# --- what a host brings: plain classes -------------------------------------------------------


class MostLiked:
    """An arm by a count of likes; its lists are plain dictionaries."""

    def __init__(self, least: float = 4.0) -> None:
        self.least = least

    def fit(self, feedback: Any, *, catalog: Any = None) -> FittedMostLiked:
        likes = Counter(
            feedback.items.ids[item]
            for item, value in zip(feedback.item.tolist(), feedback.value.tolist(), strict=True)
            if value >= self.least
        )
        return FittedMostLiked(likes)


class FittedMostLiked:
    def __init__(self, likes: Counter[Any]) -> None:
        self.likes = likes

    def recommend_for_feedback(
        self, feedback: Any, *, k: int, candidates: Any
    ) -> dict[Any, list[Any]]:
        seen = defaultdict(set)
        for user, item in zip(feedback.user.tolist(), feedback.item.tolist(), strict=True):
            seen[feedback.users.ids[user]].add(feedback.items.ids[item])
        best = sorted(candidates, key=lambda item: -self.likes[item])
        return {
            user: [item for item in best if item not in seen[user]][:k]
            for user in feedback.users.ids
        }


class Even:
    """A bandit that draws evenly; its decisions are plain objects."""

    def __init__(self, arms: tuple[str, ...], *, clock: Any, seed: int) -> None:
        self.arms = arms
        self.rewards = 0.0
        self._seed, self._clock, self._made = seed, clock, 0

    def select(self, context: Any, *, n: int = 1, unit: str | None = None) -> Any:
        self._made += 1
        return SimpleNamespace(
            id=f"even-{self._clock.now()}-{self._made}",
            arms=self._drawn()[:n],
            propensities=tuple(1 / (len(self.arms) - rank) for rank in range(n)),
        )

    def _drawn(self) -> tuple[str, ...]:
        salt = f"{self._seed}-{self._made}"
        return tuple(
            sorted(self.arms, key=lambda arm: hashlib.sha256((salt + arm).encode()).digest())
        )

    def learn(self, rewards: Any) -> None:
        self.rewards += float(rewards.reward.sum())


class ByHash:
    """An assigner by a hash of its own; variants and codes are plain."""

    variants = ("control", "bandit")

    def assign(self, unit: str, context: Any = None) -> Any:
        return SimpleNamespace(unit=unit, variant=self.variants[self._code(unit)], propensity=0.5)

    def assign_many(self, units: Any) -> Any:
        import numpy as np

        codes = np.array([self._code(unit) for unit in units])
        return SimpleNamespace(variants=self.variants, codes=codes)

    def _code(self, unit: str) -> int:
        return hashlib.sha256(str(unit).encode()).digest()[0] % 2


class HitSuite:
    """A suite of one metric of its own."""

    names = ("hits",)

    def evaluate(self, rankings: Any, truth: Any, **inputs: Any) -> Any:
        import numpy as np

        liked = {user: set(row) for user, row in truth.lists().items()}
        rows = rankings.lists().items()
        hits = np.array([float(bool(liked.get(user, set()) & set(row))) for user, row in rows])
        half = 2 * hits.std() / max(len(hits), 1) ** 0.5
        mean = float(hits.mean())
        measured = SimpleNamespace(mean=mean, interval=(mean - half, mean + half))
        return HitReport(hits, measured)


class HitReport:
    names = ("hits",)

    def __init__(self, hits: Any, measured: Any) -> None:
        self._hits, self._measured = hits, measured

    def __getitem__(self, name: str) -> Any:
        return {"hits": self._measured}[name]

    def per_user(self, name: str) -> Any:
        return self._hits


@dataclass(frozen=True)
class Change:
    alias: str
    version: str
    previous: str | None
    time: int
    action: str
    reason: str


@dataclass
class Events:
    parts: list[Any] = field(default_factory=list)

    def write(self, feedback: Any) -> Any:
        self.parts.append(feedback)
        return SimpleNamespace(accepted=len(feedback), duplicates=0)

    def read_all(self) -> Any:
        return type(self.parts[0]).concat(self.parts).sorted()


@dataclass
class Decided:
    ids: set[str] = field(default_factory=set)

    def write(self, decisions: Any, rewards: Any = None) -> int:
        before = len(self.ids)
        self.ids |= {each.id for each in decisions}
        return len(self.ids) - before


@dataclass
class Versions:
    kept: dict[str, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)

    def add(self, id_: str, name: str, manifest: Any) -> Any:
        number = 1 + sum(each.name == name for each in self.kept.values())
        version = SimpleNamespace(id=id_, name=name, number=number, created=0, manifest=manifest)
        return self.kept.setdefault(id_, version)

    def get(self, id_: str) -> Any:
        return self.kept[id_]

    def all(self, name: str | None = None) -> list[Any]:
        return [each for each in self.kept.values() if name in {None, each.name}]

    def active(self, alias: str) -> str | None:
        changes = self.history(alias)
        return changes[-1].version if changes else None

    def point(self, alias: str, version: str, *, expect: Any, reason: str, action: str) -> Change:
        assert self.active(alias) == expect
        self.changes.append(Change(alias, version, expect, 0, action, reason))
        return self.changes[-1]

    def history(self, alias: str) -> list[Change]:
        return [each for each in self.changes if each.alias == alias]


@dataclass
class Shelf:
    feedback: Events = field(default_factory=Events)
    decisions: Decided = field(default_factory=Decided)
    versions: Versions = field(default_factory=Versions)


class Files:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        self.kept[key] = data

    def get(self, key: str) -> bytes:
        return self.kept[key]

    def keys(self, prefix: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self.kept if key.startswith(prefix)))


# --- the tests -------------------------------------------------------------------------------


def test_a_whole_loop_runs_on_plain_classes(make_loop: Any) -> None:
    shelf, files = Shelf(), Files()
    report = make_loop(
        arms={"most liked": MostLiked()},
        bandit=Even,
        assigner=ByHash(),
        suite=HitSuite(),
        judging=Judging(metric="hits", serving="most liked"),
        store=shelf,
        host=Host(blobs=files),
    ).run()
    assert "most liked" in report.arms
    assert 0 < report.arms["most liked"].metrics["hits"].mean <= 1
    n_arms = len(report.arms)
    assert report.bandit["least_propensity"] == pytest.approx(1 / n_arms)
    assert len(shelf.decisions.ids) == report.bandit["visits"]
    assert report.experiment["control"] == "most liked"
    assert shelf.versions.active("encoder@live") in shelf.versions.kept
    assert files.kept
    registry = ModelRegistry(shelf, files)
    assert {each.name for each in registry.versions()} == {"encoder"}


def test_the_same_run_is_taken_up_again(make_loop: Any) -> None:
    first = make_loop(arms={"most liked": MostLiked()}, bandit=Even).run()
    again = make_loop(arms={"most liked": MostLiked()}, bandit=Even).run()
    assert again.summary()["arms"] == first.summary()["arms"]


@pytest.mark.parametrize(
    ("part", "protocol"),
    [
        (MostLiked(), protocols.RecommenderRecipe),
        (FittedMostLiked(Counter()), protocols.Recommender),
        (ByHash(), protocols.ExperimentAssigner),
        (HitSuite(), protocols.MetricSuite),
        (Shelf(), protocols.Store),
        (Events(), protocols.EventLog),
        (Decided(), protocols.DecisionSink),
        (Versions(), protocols.VersionLog),
        (Files(), protocols.BlobStore),
        (Store("sqlite://"), protocols.Store),
        (ContextualBandit(BetaThompson(), ("a", "b")), protocols.Bandit),
    ],
)
def test_the_plain_classes_are_what_the_protocols_say(part: Any, protocol: type) -> None:
    assert not lacking(part, protocol)


def a_host(**parts: Any) -> Host:
    return Host(**parts)


class Nothing:
    @override
    def __repr__(self) -> str:
        return "Nothing()"


class Answers(ByHash):
    """An assigner that answers as it is told."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    @override
    def assign_many(self, units: Any) -> Any:
        return self._answer


class Half:
    feedback = Events()

    def assign(self, unit: str) -> str:
        return unit

    names = ("hits",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": {"own": Nothing()}}, r"arms\['own'\] must be a recipe or its name, .* has fit"),
        ({"arms": {"own": MostLiked}}, "a class is not enough"),
        ({"assigner": Nothing()}, "assigner must be .* also has assign, assign_many"),
        ({"assigner": Half()}, "also has assign_many, got"),
        ({"assigner": ByHash}, "a class is not enough"),
        (
            {"assigner": Answers(["control"])},
            "assign_many.* also has variants, codes",
        ),
        (
            {"assigner": Answers(SimpleNamespace(variants=("a", "b"), codes=[]))},
            "variants of the assigner must be variants among which are 'control' and 'bandit'",
        ),
        (
            {"assigner": Answers(SimpleNamespace(variants=("control", "bandit"), codes=[0]))},
            "codes of the assigner must be a place in variants, or -1, for each of 0 units",
        ),
        ({"suite": Half()}, "suite must be a suite of metrics, which also has evaluate"),
        ({"suite": HitSuite}, "a class is not enough"),
        ({"store": Half()}, r"also has decisions.write, versions.add, .*versions.history, got"),
        ({"store": Shelf}, "a class is not enough"),
        ({"host": a_host(blobs=Nothing())}, "also has put, get"),
        ({"host": a_host(clock=Nothing())}, "also has now"),
        ({"host": a_host(observers=[3])}, "observer must be a function"),
        ({"host": a_host(observers="ab")}, "observers must be a list of functions"),
        ({"bandit": Nothing()}, "bandit must be a policy, its name, or a function"),
        ({"bandit": BetaThompson}, "not its class"),
        ({"bandit": lambda arms, **_: Nothing()}, "also has arms, select, learn"),
        ({"bandit": lambda arms, **_: Even(arms[1:], clock=None, seed=1)}, "over the arms"),
        ({"encoder": Nothing()}, "it lacks dim, encode, fingerprint"),
        ({"pairs": Nothing()}, "it lacks generate"),
        ({"judging": {"k": 5}}, "judging must be a Judging"),
        ({"catalog": {"x": "y"}}, "catalog must be a Catalog"),
        ({"judging": Judging(serving="magic")}, "serving must be one of the arms"),
    ],
)
def test_what_is_missing_is_told_in_one_line_before_the_first_file(
    make_loop: Any, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidParameterError, match=said) as caught:
        make_loop(**changes)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class Greedy(MostLiked):
    """Returns more than was asked for."""

    @override
    def fit(self, feedback: Any, *, catalog: Any = None) -> Any:
        fitted = super().fit(feedback, catalog=catalog)
        asked = fitted.recommend_for_feedback

        def too_many(feedback: Any, *, k: int, candidates: Any) -> dict[Any, list[Any]]:
            return asked(feedback, k=k + 1, candidates=candidates)

        return SimpleNamespace(recommend_for_feedback=too_many)


def test_lists_of_a_host_are_held_to_what_was_asked(make_loop: Any) -> None:
    with pytest.raises(InvalidDataError, match="'greedy' must return at most 20 different"):
        make_loop(arms={"greedy": Greedy()}).run()


def test_an_arm_of_another_kind_is_told(make_loop: Any) -> None:
    own = SimpleNamespace(fit=lambda feedback, catalog=None: Nothing())
    with pytest.raises(InvalidParameterError, match="'own' must be an arm, which also has recom"):
        make_loop(arms={"own": own}).run()


def test_a_registry_asks_for_what_it_calls() -> None:
    with pytest.raises(InvalidParameterError, match="store must be a store, which also has"):
        ModelRegistry(Nothing(), Files())  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="blobs must be .* also has put, get"):
        ModelRegistry(Shelf(), Nothing())  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Newest(RecommenderRecipe):
    """The arm of `docs/how-to/write-a-plugin.md`, which says nothing of capabilities."""

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedRecommender:
        return FittedNewest(feedback)


class FittedNewest(FittedRecommender):
    def __init__(self, feedback: Feedback) -> None:
        self.users, self.items = feedback.users, feedback.items
        self.history = Histories.of(feedback, self.users, self.items)
        first = np.full(len(self.items), np.iinfo(np.int64).max)
        np.minimum.at(first, feedback.item, feedback.time)
        self._rank = first.argsort().argsort().astype(np.float32)

    @override
    def score(self, histories: Histories) -> Float32Array:
        return np.tile(self._rank, (len(histories), 1))

    @override
    def save(self, path: str | Path) -> None:
        np.savez(path, rank=self._rank)


def test_the_arm_of_the_page_on_plugins_runs(make_loop: Any) -> None:
    report = make_loop(arms={"newest": Newest()}).run()
    assert "newest" in report.arms
    assert set(report.bandit["shares"]) >= {"newest"}
