"""What a metric is: a recipe that reads a shared view and gives numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from siamrec._core import check
from siamrec._core.recipe import Recipe
from siamrec.statistics.means import UNBOUNDED, Range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.metrics.view import EvaluationView
    from siamrec.typing import FloatArray, IntArray


UNIT: Range = (0.0, 1.0)
"""The range of shares."""

POSITIVE: Range = (0.0, float("inf"))
"""The range of what is not negative."""


class MetricRecipe(Recipe, ABC):
    """A recipe with a name made of its stem and its settings."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    stem: ClassVar[str]
    """The name in the language of metric names, such as `"ndcg"`."""

    needs: ClassVar[frozenset[str]] = frozenset()
    """Inputs of `Suite.evaluate` that must be given, such as `"truth"` or `"popularity"`."""

    limits: ClassVar[Range] = UNBOUNDED
    """The least and the greatest value that the metric can have, whatever its settings."""

    census: ClassVar[bool] = False
    """Whether nothing is sampled: the number is exact and its interval is the number itself."""

    def __post_init__(self) -> None:
        """Check the cut-off, the smallest relevant grade, and what the leaf adds."""
        k, rel = getattr(self, "k", None), getattr(self, "rel", None)
        if k is not None:
            check.count("k", k)
        if rel is not None:
            check.positive("rel", rel)
        self._check()

    def _check(self) -> None:
        """Refuse further settings out of range; a leaf that has some overrides it."""

    @property
    def range(self) -> Range:
        """The least and the greatest value; override it where they depend on settings.

        No interval of the metric leaves the range.
        """
        return self.limits

    @property
    def name(self) -> str:
        """Stem, settings that differ from their defaults, and cut-off: `"ndcg(gain=exp)@10"`."""
        settings = {
            field.name: getattr(self, field.name)
            for field in fields(self)  # type: ignore[arg-type]  # leaves are dataclasses
            if field.default is MISSING or getattr(self, field.name) != field.default
        }
        k = settings.pop("k", None)
        inside = ",".join(
            f"{name}={getattr(value, '__name__', value)}" for name, value in settings.items()
        )
        return f"{self.stem}{f'({inside})' if inside else ''}{'' if k is None else f'@{k}'}"


class Metric(MetricRecipe):
    """One number for each user, from a shared view.

    A leaf is a `@final` frozen dataclass: its fields are its settings, `stem` its name, `needs`
    the inputs it cannot do without and `limits` the range of its values. A setting called `k` is
    the cut-off.
    """

    averages_ties: ClassVar[bool] = False
    """Whether the metric can average over the orders of equal scores (`ties="expected"`)."""

    @abstractmethod
    def per_user(self, view: EvaluationView) -> FloatArray:
        """Return the metric of each user of the view, shape `(n_users,)`.

        NaN says that the metric is not defined for that user. The value of a user may depend on
        that user's list and truth alone, never on who else is in the batch.
        """


class PooledMetric(MetricRecipe):
    """One number for all users together, from sums over users.

    Because only sums are kept, batches and workers add up exactly, and leaving out one group of
    users at a time (the jackknife) gives an interval for any such metric.
    """

    by_item: ClassVar[bool] = False
    """Whether the last `n_items` sums belong to the items of the view, in their order."""

    @abstractmethod
    def tally(self, view: EvaluationView, group: IntArray, n_groups: int) -> FloatArray:
        """Return the sums of each group of users.

        Args:
            view: The users' lists and truth.
            group: Group of each user, in `[0, n_groups)`, shape `(n_users,)`.
            n_groups: Number of groups.

        Returns:
            Sums, shape `(n_groups, size)`; `size` may depend on the number of items alone.
        """

    @abstractmethod
    def value(self, tally: FloatArray, catalog_size: int | None) -> float:
        """Return the metric from the sums over all users; NaN where it is not defined.

        Args:
            tally: Sums, shape `(size,)`.
            catalog_size: As given to the suite.
        """


AnyMetric: TypeAlias = Metric | PooledMetric
MetricFactory: TypeAlias = "Callable[..., Any]"
"""Makes a `Metric` or a `PooledMetric` from keyword settings."""
