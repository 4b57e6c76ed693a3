"""Many metrics over the same lists, computed together."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidParameterError
from siamrec.metrics import _names
from siamrec.metrics._builtin import METRICS
from siamrec.metrics._inputs import Inputs
from siamrec.metrics.compat import preset
from siamrec.metrics.policies import Policies, SampledMetricWarning
from siamrec.metrics.report import Slices
from siamrec.metrics.slices import parts_of
from siamrec.metrics.state import EvaluationState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec._core.book import Named
    from siamrec.data.item_columns import ItemNames, ItemNumbers, ItemVectors
    from siamrec.data.rankings import Rankings
    from siamrec.data.truth import Truth
    from siamrec.metrics._inputs import Expected
    from siamrec.metrics.base import AnyMetric, MetricFactory
    from siamrec.metrics.policies import (
        Duplicates,
        EmptyTruth,
        MissingUser,
        SeenItems,
        ShortList,
        Ties,
    )
    from siamrec.metrics.report import Report
    from siamrec.typing import Id


@final
class Suite(Shown):
    """A set of metrics that share every intermediate result.

    Args:
        metrics: Names such as `"ndcg@10"`, `"recall@{5,10}"`, `"ndcg(gain=exp)@10"`, or as all
            parts take them, `"ndcg:k=10,gain=exp"`; the settings that `to_config` of a metric
            wrote; or metric objects.
        compat: Name of a library whose conventions are taken: `"trec"`, `"ranx"`, `"rectools"`,
            `"sentence-transformers"`, `"lenskit"` or `"torchmetrics"`; policies given here win.
        empty_truth: See `Policies`.
        missing_user: See `Policies`.
        short_list: See `Policies`.
        duplicates: See `Policies`.
        ties: See `Policies`.
        seen_items: See `Policies`.
        relevance: See `Policies`.
        confidence: Level of the intervals, in (0, 1).
        extra: Factories of more metrics by stem; those of installed plugins are found without.

    Raises:
        siamrec.errors.UnknownNameError: If a metric or a policy is unknown.
        siamrec.errors.InvalidParameterError: If a setting is out of range or a name repeats.

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> from siamrec.data.truth import Truth
        >>> lists = Rankings.from_lists({"ann": ["a", "b"], "bob": ["c", "a"]})
        >>> truth = Truth.from_lists({"ann": ["a"], "bob": ["a"]})
        >>> report = Suite(["mrr@2", "recall@{1,2}"]).evaluate(lists, truth)
        >>> {name: report[name].mean for name in report.names}
        {'mrr@2': 0.75, 'recall@1': 0.5, 'recall@2': 1.0}
    """

    def __init__(
        self,
        metrics: Sequence[AnyMetric | Named],
        *,
        compat: str | None = None,
        empty_truth: EmptyTruth | None = None,
        missing_user: MissingUser | None = None,
        short_list: ShortList | None = None,
        duplicates: Duplicates | None = None,
        ties: Ties | None = None,
        seen_items: SeenItems | None = None,
        relevance: float | None = None,
        confidence: float = 0.95,
        extra: Mapping[str, MetricFactory] | None = None,
    ) -> None:
        conventions = preset(compat)
        given = {
            "empty_truth": empty_truth,
            "missing_user": missing_user,
            "short_list": short_list,
            "duplicates": duplicates,
            "ties": ties,
            "seen_items": seen_items,
            "relevance": relevance,
        }
        chosen = {name: value for name, value in given.items() if value is not None}
        self._policies = Policies(**{**conventions.policies, **chosen})  # type: ignore[arg-type]
        self._confidence = check.share("confidence", confidence, open_ends=True)
        self._metrics = _resolved(metrics, {**conventions.factories, **(extra or {})})

    @override
    def title(self) -> str:
        return f"Suite of {counted(len(self.names), 'metric')}: {', '.join(self.names)}"

    @override
    def table(self) -> Table:
        """Return one row for each metric: its range, and what it needs."""
        rows = (
            (name, metric.range, ", ".join(sorted(metric.needs)), metric.census)
            for name, metric in self._metrics.items()
        )
        head = ("metric", "range", "needs", "census")
        return Table(head=head, rows=tuple(rows), title=self.title())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics, one for each cut-off."""
        return tuple(self._metrics)

    @property
    def metrics(self) -> Mapping[str, AnyMetric]:
        """The metrics by name."""
        return dict(self._metrics)

    @property
    def policies(self) -> Policies:
        """The choices of this suite."""
        return self._policies

    def evaluate(
        self,
        rankings: Rankings,
        truth: Truth | None = None,
        *,
        catalog_size: int | None = None,
        popularity: ItemNumbers | None = None,
        quality: ItemNumbers | None = None,
        embeddings: ItemVectors | None = None,
        history: Truth | None = None,
        categories: ItemNames | None = None,
        expected: Expected | None = None,
        previous: Rankings | None = None,
        propensity: ItemNumbers | None = None,
        groups: ItemNames | None = None,
        n_users: int | None = None,
        sampled: bool = False,
    ) -> Report:
        """Return every metric of the suite over lists and truth.

        Per-item inputs are arrays in the order of `rankings.items`, or mappings from item id.

        Args:
            rankings: The lists.
            truth: Judged items; users and items are matched by id.
            catalog_size: Number of items that could have been recommended.
            popularity: Number of past interactions of each item.
            quality: Mean rating of each item.
            embeddings: Vector of each item.
            history: What each user did before.
            categories: Categories of each item: a 0/1 matrix, or a mapping to names.
            expected: What an obvious model recommends: rankings, or one list of items for all.
            previous: Lists of an earlier version, for metrics of stability.
            propensity: Probability that each item is observed, in (0, 1].
            groups: Group of each item.
            n_users: Number of users behind `popularity`.
            sampled: Whether the candidates were sampled; a `SampledMetricWarning` tells what
                that does to ranks.

        Raises:
            siamrec.errors.MissingInputError: If a metric needs an input that is not given.
            siamrec.errors.InvalidDataError: If lists or inputs break a policy or do not fit.
        """
        state = self.start(
            catalog_size=catalog_size,
            popularity=popularity,
            quality=quality,
            embeddings=embeddings,
            history=history,
            categories=categories,
            expected=expected,
            previous=previous,
            propensity=propensity,
            groups=groups,
            n_users=n_users,
            sampled=sampled,
        )
        state.update(rankings, truth)
        return state.compute()

    def slices(
        self,
        rankings: Rankings,
        truth: Truth | None = None,
        *,
        by: Mapping[Any, Any] | Sequence[Any] | Callable[[Id], Any],
        **inputs: Any,
    ) -> Slices:
        """Return one report for each label of the users, pooled metrics included.

        `Report.slices` takes a finished report apart and is faster, but a metric that is one
        number for all users has to be measured on each part anew.

        Args:
            rankings: The lists.
            truth: Judged items.
            by: Label of each user: a mapping from user id, a sequence in the order of the users
                of the lists and then those of the truth alone, or a function of the user id.
            inputs: As in `evaluate`.

        Raises:
            siamrec.errors.InvalidDataError: If a user has no label.

        Examples:
            >>> from siamrec.data.rankings import Rankings
            >>> lists = Rankings.from_lists({"ann": ["a"], "bob": ["b"], "cid": ["b"]})
            >>> parts = Suite(["coverage@1"]).slices(
            ...     lists, by={"ann": "new", "bob": "old", "cid": "old"}, catalog_size=4
            ... )
            >>> parts["old"]["coverage@1"].mean
            0.25
        """
        return Slices(
            {
                label: self.evaluate(lists, judged, **inputs)
                for label, lists, judged in parts_of(rankings, truth, by)
            }
        )

    def start(
        self,
        *,
        catalog_size: int | None = None,
        popularity: ItemNumbers | None = None,
        quality: ItemNumbers | None = None,
        embeddings: ItemVectors | None = None,
        history: Truth | None = None,
        categories: ItemNames | None = None,
        expected: Expected | None = None,
        previous: Rankings | None = None,
        propensity: ItemNumbers | None = None,
        groups: ItemNames | None = None,
        n_users: int | None = None,
        sampled: bool = False,
        keep_users: bool = True,
    ) -> EvaluationState:
        """Return an empty state that takes lists in batches; arguments as in `evaluate`.

        With `keep_users=False` the values of users (8 bytes for each metric) are not kept: memory
        is constant and means and intervals stay, but nothing can be sliced or compared user by
        user, and nobody notices a user who is in two batches.

        Examples:
            >>> from siamrec.data.rankings import Rankings
            >>> from siamrec.data.truth import Truth
            >>> state = Suite(["hit@1"]).start()
            >>> state.update(Rankings.from_lists({"ann": ["a"]}), Truth.from_lists({"ann": ["a"]}))
            >>> state.update(Rankings.from_lists({"bob": ["b"]}), Truth.from_lists({"bob": ["a"]}))
            >>> state.compute()["hit@1"].mean
            0.5
        """
        if sampled:
            warnings.warn(
                "Metrics over sampled candidates are not metrics over the catalogue and may "
                "order models differently; rank all items, or correct the ranks.",
                SampledMetricWarning,
                stacklevel=2,
            )
        inputs = Inputs(
            catalog_size=catalog_size,
            popularity=popularity,
            quality=quality,
            embeddings=embeddings,
            history=history,
            categories=categories,
            expected=expected,
            previous=previous,
            propensity=propensity,
            groups=groups,
            n_users=n_users,
        )
        return EvaluationState(
            metrics=self._metrics,
            policies=self._policies,
            inputs=inputs,
            confidence=self._confidence,
            keep_users=keep_users,
        )


def _resolved(
    metrics: Sequence[AnyMetric | Named], factories: Mapping[str, MetricFactory]
) -> dict[str, AnyMetric]:
    if isinstance(metrics, str) or not metrics:
        raise InvalidParameterError("metrics", metrics, "a list of one or more metrics")
    found: dict[str, AnyMetric] = {}
    for asked in metrics:
        if isinstance(asked, str) and _names.has_settings(asked):
            metric = _names.with_settings(asked, factories, METRICS)
            named = {metric.name: metric}
        elif isinstance(asked, str):
            expanded = _names.expand(asked)
            named = {name: _names.build(name, factories, METRICS) for name in expanded}
        else:
            metric = METRICS.make(asked)
            named = {metric.name: metric}
        for name, metric in named.items():
            if name in found:
                raise InvalidParameterError("metrics", name, "different names")
            found[name] = metric
    return found
