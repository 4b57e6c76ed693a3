"""Optional inputs of an evaluation, brought into the order of its items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias, final

import numpy as np

from siamrec._core import check
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, MissingInputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.data.rankings import Rankings
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.typing import FloatArray, Id, IntArray

ItemNumbers: TypeAlias = "npt.ArrayLike | Mapping[Any, float]"
ItemVectors: TypeAlias = "npt.ArrayLike | Mapping[Any, npt.ArrayLike]"
ItemNames: TypeAlias = "npt.ArrayLike | Mapping[Any, Any]"
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
        """Return the ids of the items whose popularity is given by id: the known catalogue."""
        return self.popularity if isinstance(self.popularity, Mapping) else ()


def require(what: str, value: Any, metric: str) -> None:
    """Refuse a missing input, naming the metric and the remedy.

    Raises:
        siamrec.errors.MissingInputError: If `value` is None.
    """
    if value is None:
        raise MissingInputError(f"{what} (for {metric})", REMEDIES.get(what, f"{what}=..."))


def numbers(
    name: str, given: ItemNumbers, items: Vocabulary, n_listed: int, *, missing: float
) -> FloatArray:
    """Return one number for each item, shape `(n_items,)`.

    Args:
        name: Name of the input, for errors.
        given: Array in the order of the first `n_listed` items, or a mapping from item id.
        items: All items of the evaluation.
        n_listed: Number of items that the lists know.
        missing: Number of an item that a mapping leaves out, or that no list knows.

    Raises:
        siamrec.errors.InvalidDataError: If the length is wrong or a number negative or infinite.
    """
    if isinstance(given, Mapping):
        column = np.array([given.get(id_, missing) for id_ in items], dtype=np.float64)
    else:
        column = np.asarray(given, dtype=np.float64)
        if column.shape not in {(n_listed,), (len(items),)}:
            raise InvalidDataError(
                f"{name} must have one entry for each of the {n_listed} items of the rankings, "
                f"got shape {column.shape}."
            )
        column = np.concatenate((column, np.full(len(items) - column.size, missing)))
    check.finite(name, column)
    if (column < 0).any():
        raise InvalidDataError(f"{name} must not be negative, got {column.min()}.")
    return column


def vectors(given: ItemVectors, items: Vocabulary, n_listed: int) -> FloatArray:
    """Return the embedding of each item, shape `(n_items, dim)`; NaN where there is none.

    Raises:
        siamrec.errors.InvalidDataError: If the shape is wrong or a given value is not finite.
    """
    if isinstance(given, Mapping):
        rows = {id_: np.asarray(row, dtype=np.float64) for id_, row in given.items()}
        dims = {row.shape for row in rows.values()}
        if len(dims) != 1 or len(next(iter(dims))) != 1:
            raise InvalidDataError(f"embeddings must have one length, got shapes {sorted(dims)}.")
        nothing = np.full(next(iter(dims)), np.nan)
        check.finite("embeddings", np.array(list(rows.values())))
        return np.array([rows.get(id_, nothing) for id_ in items]).reshape(len(items), -1)
    table = np.asarray(given, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] not in {n_listed, len(items)}:  # noqa: PLR2004
        raise InvalidDataError(
            f"embeddings must be ({n_listed}, dim), one row for each item of the rankings, "
            f"got shape {table.shape}."
        )
    check.finite("embeddings", table)
    padding = np.full((len(items) - table.shape[0], table.shape[1]), np.nan)
    return np.concatenate((table, padding))


def memberships(
    name: str, given: ItemNames, items: Vocabulary, n_listed: int
) -> tuple[tuple[Any, ...], FloatArray]:
    """Return names of categories and the membership of each item, shape `(n_items, n_names)`.

    An item of several categories belongs to each with equal parts that sum to 1.

    Raises:
        siamrec.errors.InvalidDataError: If a listed item belongs to none.
    """
    if isinstance(given, Mapping):
        lists = [_names(given.get(id_)) for id_ in items]
    else:
        array = np.asarray(given)
        if array.shape[0] not in {n_listed, len(items)}:
            raise InvalidDataError(
                f"{name} must have one row for each of the {n_listed} items of the rankings, "
                f"got shape {array.shape}."
            )
        if array.ndim == 2:  # noqa: PLR2004
            lists = [np.flatnonzero(row).tolist() for row in array]
        else:
            lists = [[value] for value in array.tolist()]
        lists += [[] for _ in range(len(items) - len(lists))]
    known = tuple(sorted({value for row in lists for value in row}, key=str))
    place = {value: code for code, value in enumerate(known)}
    table = np.zeros((len(items), len(known)))
    for code, row in enumerate(lists):  # names are Python values; once for each item
        for value in row:
            table[code, place[value]] = 1.0 / len(row)
    bare = np.flatnonzero(table[:n_listed].sum(axis=1) == 0)
    if bare.size:
        raise InvalidDataError(
            f"{name} must name every item of the rankings, got none for {items[int(bare[0])]!r} "
            f"({bare.size} such items)."
        )
    return known, table


def _names(value: Any) -> list[Any]:
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value]
    return list(dict.fromkeys(value))


def codes_of_groups(
    given: ItemNames, items: Vocabulary, n_listed: int
) -> tuple[tuple[Any, ...], IntArray]:
    """Return names of groups and the group of each item; -1 for items no list knows.

    Raises:
        siamrec.errors.InvalidDataError: If a listed item has no group or more than one.
    """
    names, table = memberships("groups", given, items, n_listed)
    several = np.flatnonzero((table > 0).sum(axis=1) > 1)
    if several.size:
        raise InvalidDataError(
            f"groups must name one group for each item, several for {items[int(several[0])]!r}."
        )
    return names, np.where(table.any(axis=1), table.argmax(axis=1), -1)
