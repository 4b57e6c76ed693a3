"""Optional inputs of an evaluation, brought into the order of its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias, final

from siamrec._core import check
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, MissingInputError

if TYPE_CHECKING:
    from siamrec.data.item_columns import ItemNames, ItemNumbers, ItemVectors
    from siamrec.data.rankings import Rankings
    from siamrec.typing import Id

Expected: TypeAlias = "Rankings | Iterable[Id]"

REMEDIES = {
    "catalog_size": "evaluate(..., catalog_size=number of items that could be recommended)",
    "categories": "evaluate(..., categories={item: [category, ...]})",
    "embeddings": "evaluate(..., embeddings=vectors), one row for each of rankings.items",
    "expected": "evaluate(..., expected=rankings of an obvious model, or a list of items)",
    "groups": "evaluate(..., groups={item: group})",
    "history": "evaluate(..., history=Truth of what each user did before)",
    "n_users": "evaluate(..., n_users=number of users behind popularity)",
    "popularity": "evaluate(..., popularity=counts), one count for each of rankings.items",
    "previous": "evaluate(..., previous=rankings of the earlier version)",
    "propensity": "evaluate(..., propensity=probabilities), one for each of rankings.items",
    "quality": "evaluate(..., quality=mean ratings), one for each of rankings.items",
    "scores": "Rankings with scores, such as Rankings.from_frame(df, score='score')",
    "truth": "evaluate(rankings, truth)",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """What a suite may be given beside lists and truth.

    Per-item inputs are arrays in the order of `rankings.items`, or mappings from item id.

    Args:
        catalog_size: Number of items that could have been recommended.
        popularity: Number of past interactions of each item.
        quality: Mean rating of each item.
        embeddings: Vector of each item.
        history: What each user did before.
        categories: Categories of each item: a 0/1 matrix, or a mapping to names.
        expected: What an obvious model recommends: rankings, or one list of items for all.
        previous: Lists of an earlier version.
        propensity: Probability that each item is observed, in (0, 1].
        groups: Group of each item.
        n_users: Number of users behind `popularity`; for inverse user frequency.
    """

    catalog_size: int | None = None
    popularity: ItemNumbers | None = None
    quality: ItemNumbers | None = None
    embeddings: ItemVectors | None = None
    history: Truth | None = None
    categories: ItemNames | None = None
    expected: Expected | None = None
    previous: Rankings | None = None
    propensity: ItemNumbers | None = None
    groups: ItemNames | None = None
    n_users: int | None = None

    def __post_init__(self) -> None:
        if self.catalog_size is not None:
            check.count("catalog_size", self.catalog_size)
        if self.n_users is not None:
            check.count("n_users", self.n_users)
        if self.history is not None and not isinstance(self.history, Truth):
            raise InvalidDataError(f"history must be a Truth, got {type(self.history).__name__}.")

    def given(self) -> frozenset[str]:
        """Return the names of the inputs that were given."""
        return frozenset(
            field.name for field in fields(self) if getattr(self, field.name) is not None
        )

    def item_ids(self) -> Iterable[Id]:
        """Return the ids of all items that a mapping tells of: the known catalogue."""
        told = (self.popularity, self.categories, self.groups)
        return (id_ for given in told if isinstance(given, Mapping) for id_ in given)


def require(what: str, value: Any, metric: str) -> None:
    """Refuse a missing input, naming the metric and the remedy.

    Raises:
        siamrec.errors.MissingInputError: If `value` is None.
    """
    if value is None:
        raise MissingInputError(f"{what} (for {metric})", REMEDIES.get(what, f"{what}=..."))
