"""An evaluation that is still taking lists in; the mutable shell of a suite."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.data.moments import Moments
from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, shown
from siamrec.metrics import _inputs
from siamrec.metrics._groups import N_GROUPS, groups_of
from siamrec.metrics._notes import noted
from siamrec.metrics._prepare import distinct_items, tied_order, without_seen
from siamrec.metrics.base import Metric, PooledMetric
from siamrec.metrics.estimate import Pooled, in_range
from siamrec.metrics.report import Report
from siamrec.metrics.view import EvaluationView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.metrics._inputs import Inputs
    from siamrec.metrics.base import AnyMetric
    from siamrec.metrics.policies import Policies
    from siamrec.typing import BoolArray, FloatArray


@final
class EvaluationState(Shown):
    """Per-user values and sums of the batches so far; made by `Suite.start`.

    Batches in any order, in any number of states that are then merged, give the same values for
    each user as one evaluation of everything. A user belongs to one batch.
    """

    def __init__(
        self,
        *,
        metrics: Mapping[str, AnyMetric],
        policies: Policies,
        inputs: Inputs,
        confidence: float,
        keep_users: bool = True,
    ) -> None:
        if not keep_users and policies.empty_truth == "nan":
            raise InvalidParameterError(
                "keep_users", False, "True with empty_truth='nan', where a mean may be NaN"
            )
        self._metrics = metrics
        self._policies = policies
        self._inputs = inputs
        self._confidence = confidence
        self._keep_users = keep_users
        self._users: list[Vocabulary] = []
        self._values: dict[str, list[FloatArray]] = {
            name: [] for name, metric in metrics.items() if isinstance(metric, Metric)
        }
        self._moments = (
            {} if keep_users else {name: Moments.empty((name,)) for name in self._values}
        )
        self._items = Vocabulary()
        self._tallies: dict[str, FloatArray] = {}
        self._counts: Counter[str] = Counter()

    @override
    def title(self) -> str:
        n = sum(map(len, self._users))
        return (
            f"Evaluation of {counted(len(self._metrics), 'metric')} so far: {counted(n, 'user')}"
        )

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "metrics": list(self._metrics),
            "users": sum(map(len, self._users)),
            "items": len(self._items),
            "confidence": self._confidence,
        }
        return Table.of(self.title(), facts)

    def update(self, rankings: Rankings, truth: Truth | None = None) -> None:
        """Take in a batch of lists and the truth of their users; all of it or, on error, nothing.

        Raises:
            siamrec.errors.MissingInputError: If a metric needs an input that is not given.
            siamrec.errors.InvalidDataError: If lists or inputs break a policy or do not fit.
        """
        check.kind("rankings", rankings, Rankings)
        if truth is not None:
            check.kind("truth", truth, Truth)
        self._check_needs(rankings, truth)
        counts: Counter[str] = Counter()
        view = self._view(rankings, truth, counts)
        empty = self._check_users(view, counts)
        values, tallies = {}, {}
        for name, metric in self._metrics.items():
            if isinstance(metric, Metric):
                values[name] = in_range(metric, self._by_policy(view, metric, empty))
            else:
                tallies[name] = metric.tally(view, groups_of(view.users), N_GROUPS)
        for name, tally in tallies.items():
            self._add(name, self._metrics[name], view.items, tally)
        for name, row in values.items():
            self._take(name, row)
        if self._keep_users:
            self._users.append(view.users)
        self._counts += counts

    def merge(self, other: EvaluationState) -> EvaluationState:
        """Return the state of both; neither is changed.

        Raises:
            siamrec.errors.InvalidDataError: If the states have different metrics or policies.
        """
        same = self._metrics == other._metrics and self._policies == other._policies
        if not same or self._keep_users != other._keep_users:
            raise InvalidDataError("States must come from suites of equal metrics and policies.")
        both = EvaluationState(
            metrics=self._metrics,
            policies=self._policies,
            inputs=self._inputs,
            confidence=self._confidence,
            keep_users=self._keep_users,
        )
        both._users = [*self._users, *other._users]
        both._values = {name: [*self._values[name], *other._values[name]] for name in self._values}
        both._moments = {name: own + other._moments[name] for name, own in self._moments.items()}
        both._items = self._items
        both._tallies = dict(self._tallies)
        for name, tally in other._tallies.items():
            both._add(name, self._metrics[name], other._items, tally)
        both._counts = self._counts + other._counts
        return both

    def compute(self) -> Report:
        """Return the report of all batches so far.

        Raises:
            siamrec.errors.InvalidDataError: If a user was in two batches, or there was no batch.
        """
        if not self._counts["batches"]:
            raise InvalidDataError("A state must have taken in a batch before it is computed.")
        users = self._users[0] if self._users else Vocabulary()
        if len(self._users) > 1:
            users = Vocabulary(tuple(id_ for batch in self._users for id_ in batch))
        values = {
            name: parts[0] if len(parts) == 1 else np.concatenate(parts)
            for name, parts in self._values.items()
            if self._keep_users
        }
        pooled = {
            name: Pooled(metric, tally, self._inputs.catalog_size, self._counts["listed"])
            for name, metric in self._metrics.items()
            if isinstance(metric, PooledMetric)
            for tally in [self._tallies[name]]
        }
        return Report(
            names=tuple(self._metrics),
            users=users,
            values=values,
            pooled=pooled,
            moments=self._moments,
            n_users=self._counts["users"],
            policies=noted(self._policies, self._counts),
            confidence=self._confidence,
            nan_counts=self._policies.empty_truth == "nan",
            ranges={name: metric.range for name, metric in self._metrics.items()},
            census=[name for name, metric in self._metrics.items() if metric.census],
        )

    def _take(self, name: str, values: FloatArray) -> None:
        """Keep the values of a batch, or their moments only."""
        if self._keep_users:
            self._values[name].append(values)
            return
        self._moments[name] += Moments.of({name: values[~np.isnan(values)]})

    def _check_needs(self, rankings: Rankings, truth: Truth | None) -> None:
        for name, metric in self._metrics.items():
            averages = isinstance(metric, Metric) and metric.averages_ties
            if self._policies.ties == "expected" and "truth" in metric.needs and not averages:
                raise InvalidParameterError(
                    "ties", "expected", f"another choice for {name!r}, which is no plain mean"
                )
        given = self._inputs.given() | ({"truth"} if truth is not None else set())
        given |= {"scores"} if rankings.score is not None else set()
        for name, metric in self._metrics.items():
            for need in sorted(metric.needs - given):
                _inputs.require(need, None, f"metric {name!r}")

    def _view(
        self, rankings: Rankings, truth: Truth | None, counts: Counter[str]
    ) -> EvaluationView:
        lists = distinct_items(rankings, self._policies)
        lists, n_seen = without_seen(lists, self._inputs.history, self._policies)
        lists = tied_order(lists, truth, self._policies)
        counts["duplicates"] += rankings.n_repeats
        counts["seen_items"] += n_seen
        cuts = [getattr(metric, "k", None) for metric in self._metrics.values()]
        depth = (
            None
            if None in cuts or self._policies.ties == "expected"
            else max(k for k in cuts if k is not None)
        )
        view = EvaluationView(
            lists,
            truth,
            inputs=self._inputs,
            policies=self._policies,
            depth=depth,
            as_given=rankings,
        )
        deepest = lists.depth if depth is None else depth
        counts["short_list"] += int((view.length[: len(lists)] < deepest).sum())
        counts["batches"] += 1
        counts["users"] += view.n_users
        counts["listed"] += int(view.has_list.sum())
        return view

    def _check_users(self, view: EvaluationView, counts: Counter[str]) -> BoolArray:
        """Return which users have no relevant item, after the policies that refuse."""
        if view.truth is None:
            return np.zeros(view.n_users, dtype=np.bool_)
        empty: BoolArray = view.n_relevant() == 0
        missing = ~empty & ~view.has_list
        counts["empty_truth"] += int(empty.sum())
        counts["missing_user"] += int(missing.sum())
        for policy, users in (("empty_truth", empty), ("missing_user", missing)):
            if users.any() and getattr(self._policies, policy) == "raise":
                what = "relevant item" if policy == "empty_truth" else "list"
                raise InvalidDataError(
                    f"Every user must have a {what}, got none for "
                    f"{shown(view.users[int(np.argmax(users))])} ({int(users.sum())} such users)."
                )
        return empty

    def _by_policy(self, view: EvaluationView, metric: Metric, empty: BoolArray) -> FloatArray:
        values = metric.per_user(view)
        if values.shape != (view.n_users,):
            raise InvalidDataError(
                f"per_user of {metric.name} must return shape {(view.n_users,)}, "
                f"got {values.shape}."
            )
        if "truth" not in metric.needs:
            return values
        rel = getattr(metric, "rel", None)
        empty = empty if rel is None else view.n_relevant(rel) == 0
        if empty.any():
            values = np.where(
                empty, 0.0 if self._policies.empty_truth == "zero" else np.nan, values
            )
        if self._policies.missing_user == "exclude" and not view.has_list.all():
            values = np.where(view.has_list, values, np.nan)
        return values

    def _add(self, name: str, metric: AnyMetric, items: Vocabulary, tally: FloatArray) -> None:
        """Add sums; those by item are brought into this state's order of items first."""
        assert isinstance(metric, PooledMetric)
        if metric.by_item:
            grown = self._items.extend(items) if self._items.ids != items.ids else self._items
            if len(grown) > len(self._items):
                self._widen(len(grown) - len(self._items))
                self._items = grown
            head = tally.shape[1] - len(items)
            wide = np.zeros((tally.shape[0], head + len(grown)))
            wide[:, :head] = tally[:, :head]
            wide[:, head + items.translate(grown)] = tally[:, head:]
            tally = wide
        if name not in self._tallies:
            self._tallies[name] = tally
            return
        if self._tallies[name].shape != tally.shape:
            raise InvalidDataError(
                f"Batches must agree on the groups of {name!r}; give groups= and categories= as "
                "mappings over the whole catalogue."
            )
        self._tallies[name] = self._tallies[name] + tally

    def _widen(self, extra: int) -> None:
        for name, tally in self._tallies.items():
            metric = self._metrics[name]
            if isinstance(metric, PooledMetric) and metric.by_item:
                self._tallies[name] = np.pad(tally, ((0, 0), (0, extra)))
