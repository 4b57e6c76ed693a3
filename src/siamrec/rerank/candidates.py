"""The candidates of all users with what is known of their items."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted
from siamrec.data import item_columns
from siamrec.data.rankings import Rankings
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.data.item_columns import ItemNames, ItemNumbers, ItemVectors
    from siamrec.typing import CodeArray, Float32Array, FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Inputs(Record):
    """What a pipeline may be given beside the candidates.

    Per-item inputs are arrays in the order of `candidates.items`, or mappings from item id.

    Args:
        embeddings: Vector of each item; scaled to unit length inside.
        popularity: Number of past interactions (votes, exposures) of each item.
        quality: Mean rating of each item.
        categories: Categories of each item: a 0/1 matrix, or a mapping to names.
        groups: One group of each item, such as its maker.
        history: What each user did before.
    """

    embeddings: ItemVectors | None = None
    popularity: ItemNumbers | None = None
    quality: ItemNumbers | None = None
    categories: ItemNames | None = None
    groups: ItemNames | None = None
    history: Truth | None = None

    def __post_init__(self) -> None:
        if self.history is not None:
            check.kind("history", self.history, Truth)

    @override
    def title(self) -> str:
        given = [name for name in self.__slots__ if getattr(self, name) is not None]
        return f"Inputs: {', '.join(given) or 'none'}"


_REMEDIES = {
    "embeddings": "rerank(..., embeddings=vectors), one row for each of candidates.items",
    "popularity": "rerank(..., popularity=counts), one count for each of candidates.items",
    "quality": "rerank(..., quality=mean ratings), one for each of candidates.items",
    "categories": "rerank(..., categories={item: [category, ...]})",
    "groups": "rerank(..., groups={item: group})",
    "history": "rerank(..., history=Truth of what each user did before)",
}


@final
class Candidates(Shown):
    """Scored candidates and their inputs as columns, each made on first use.

    Args:
        rankings: Candidates with scores, best first or not; no list may repeat an item.
        inputs: What else is known.

    Attributes:
        item: Item code of each place, shape `(n_places,)`.
        start: Row bounds of the users, shape `(n_users + 1,)`.

    Raises:
        siamrec.errors.MissingInputError: If the candidates have no scores.
        siamrec.errors.InvalidDataError: If a list repeats an item.
    """

    def __init__(self, rankings: Rankings, inputs: Inputs | None = None) -> None:
        check.kind("candidates", rankings, Rankings)
        if rankings.score is None:
            raise MissingInputError(
                "score", "candidates with scores, such as Rankings.from_frame(df, score='score')"
            )
        if rankings.n_repeats:
            raise InvalidDataError(
                f"Candidates must not repeat an item, got {rankings.n_repeats} repeats."
            )
        self.rankings = rankings
        self.score: FloatArray = rankings.score
        self.item: CodeArray = rankings.item
        self.start: IntArray = rankings.start
        self.n_users = len(rankings)
        self.n_items = len(rankings.items)
        self._inputs = Inputs() if inputs is None else inputs

    @override
    def title(self) -> str:
        return (
            f"Candidates of {counted(self.n_users, 'user')} among {counted(self.n_items, 'item')}"
        )

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "users": self.n_users,
            "items": self.n_items,
            "places": len(self.item),
            "inputs": self._inputs,
        }
        return Table.of(self.title(), facts)

    @cached_property
    def owner(self) -> IntArray:
        """User of each place, shape `(n_places,)`."""
        return self.rankings.owner

    def reordered(self, places: IntArray) -> Candidates:
        """Return the same candidates with each user's places in another order."""
        other = copy(self)
        other.rankings = self.rankings.places(places)
        other.item, other.score = self.item[places], self.score[places]
        return other

    def users(self) -> Iterator[tuple[int, int]]:
        """Yield the bounds of each user's places; users without candidates are left out."""
        bounds = self.start.tolist()
        for low, high in pairwise(bounds):
            if high > low:
                yield low, high

    @cached_property
    def embeddings(self) -> Float32Array:
        """Vectors of the items scaled to unit length, shape `(n_items, dim)`, float32.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If a candidate has none, or a zero vector.
        """
        given = self._need("embeddings", self._inputs.embeddings)
        table = item_columns.vectors(given, self.rankings.items, self.n_items)
        raw: Float32Array = table.astype(np.float32, copy=False)
        length: Float32Array = np.sqrt(np.einsum("ij,ij->i", raw, raw))[:, None]
        bad = ~(length[:, 0] > 0)
        shown = self.item[bad[self.item]]
        if shown.size:
            raise InvalidDataError(
                "embeddings must hold a vector that is not zero for every candidate, got none for "
                f"{self.rankings.items[int(shown[0])]!r}."
            )
        return np.divide(raw, np.where(bad[:, None], np.float32(1), length), dtype=np.float32)

    @cached_property
    def popularity(self) -> FloatArray:
        """Past interactions of each item, shape `(n_items,)`; 0 where a mapping has none.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("popularity", self._inputs.popularity)

    @cached_property
    def most_popular(self) -> float:
        """Popularity of the most popular item, also where no candidate list has it."""
        given = self._inputs.popularity
        known = max(given.values(), default=0.0) if isinstance(given, Mapping) else 0.0
        return max(float(self.popularity.max(initial=0.0)), float(known))

    @cached_property
    def quality(self) -> FloatArray:
        """Mean rating of each item, shape `(n_items,)`; 0 where a mapping has none.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("quality", self._inputs.quality)

    @cached_property
    def categories(self) -> FloatArray:
        """Parts of each item in each category, rows sum to 1, shape `(n_items, n_categories)`.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item has none.
        """
        given = self._need("categories", self._inputs.categories)
        items = self.rankings.items
        return item_columns.memberships("categories", given, items, len(items))[1]

    @cached_property
    def groups(self) -> tuple[tuple[Any, ...], IntArray]:
        """Names of the groups, and the group of each item.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item has none or several.
        """
        given = self._need("groups", self._inputs.groups)
        return item_columns.codes_of_groups(given, self.rankings.items, self.n_items)

    @cached_property
    def history(self) -> tuple[IntArray, IntArray]:
        """Row bounds and items of what each user did before, in the codes of the candidates.

        Items that are not in the candidates' vocabulary are left out.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        given = self._need("history", self._inputs.history)
        row = self.rankings.users.translate(given.users)
        item = given.items.translate(self.rankings.items)[given.item].astype(np.int64)
        owner = np.repeat(np.arange(len(given)), given.n_judged)
        target = np.full(len(given), -1, dtype=np.int64)
        target[row[row >= 0]] = np.flatnonzero(row >= 0)
        keep = (item >= 0) & (target[owner] >= 0)
        user = target[owner[keep]]
        order = np.argsort(user, kind="stable")
        counts = np.bincount(user, minlength=self.n_users)
        return np.concatenate(([0], counts.cumsum())), item[keep][order]

    def sum_by_user(self, weights: FloatArray) -> FloatArray:
        """Return the sum over each user's places, shape `(n_users,)`."""
        total = np.bincount(self.owner, weights, minlength=self.n_users)
        return total.astype(np.float64)

    def _numbers(self, name: str, given: ItemNumbers | None) -> FloatArray:
        values = self._need(name, given)
        return item_columns.numbers(name, values, self.rankings.items, self.n_items, missing=0.0)

    def _need(self, name: str, given: Any) -> Any:
        if given is None:
            raise MissingInputError(name, _REMEDIES[name])
        return given
