"""What is known of each item, in the order of an evaluation's items."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec.data import item_columns
from siamrec.errors import InvalidDataError
from siamrec.metrics import _inputs

if TYPE_CHECKING:
    from siamrec.data.rankings import Rankings
    from siamrec.data.vocabulary import Vocabulary
    from siamrec.metrics._inputs import Inputs
    from siamrec.typing import FloatArray, IntArray


@final
class ItemTables:
    """The per-item inputs of an evaluation as columns, checked and made on first use.

    Args:
        inputs: What the suite was given.
        items: Items of the evaluation.
        rankings: The lists; every listed item must have what a metric asks for.
    """

    def __init__(self, inputs: Inputs, items: Vocabulary, rankings: Rankings) -> None:
        self._inputs = inputs
        self._items = items
        self._rankings = rankings
        self._n_listed = len(rankings.items)

    @cached_property
    def popularity(self) -> FloatArray:
        """Past interactions, shape `(n_items,)`; 0 for an item that is not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("popularity", missing=0.0)

    @cached_property
    def quality(self) -> FloatArray:
        """Mean rating, shape `(n_items,)`; 0 for an item that is not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
        """
        return self._numbers("quality", missing=0.0)

    @cached_property
    def propensity(self) -> FloatArray:
        """Probability of being observed, shape `(n_items,)`; 1 where it is not known.

        Raises:
            siamrec.errors.MissingInputError: If it was not given.
            siamrec.errors.InvalidDataError: If one is not in (0, 1].
        """
        values = self._numbers("propensity", missing=1.0)
        if ((values <= 0) | (values > 1)).any():
            raise InvalidDataError("propensity must be in (0, 1] for every item.")
        return values

    @cached_property
    def embeddings(self) -> FloatArray:
        """Vectors scaled to unit length, shape `(n_items, dim)`; zeros for unlisted items without.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none, or a zero vector.
        """
        raw = self.features
        length = np.sqrt(np.einsum("ij,ij->i", raw, raw))
        shown = self._rankings.item[length[self._rankings.item] == 0]
        if shown.size:
            raise InvalidDataError(
                "embeddings must not be zero, got a zero vector for "
                f"{self._items[int(shown[0])]!r}."
            )
        unit: FloatArray = raw / np.where(length > 0, length, 1.0)[:, None]
        return unit

    @cached_property
    def features(self) -> FloatArray:
        """Vectors as given, shape `(n_items, dim)`; zeros for unlisted items without one.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none.
        """
        given = self._inputs.embeddings
        _inputs.require("embeddings", given, "a metric of content")
        assert given is not None
        raw = item_columns.vectors(given, self._items, self._n_listed).astype(np.float64)
        bare = np.asarray(np.isnan(raw).any(axis=1))
        shown = self._rankings.item[bare[self._rankings.item]]
        if shown.size:
            raise InvalidDataError(
                "embeddings must hold every listed item, got none for "
                f"{self._items[int(shown[0])]!r}."
            )
        return np.where(bare[:, None], 0.0, raw)

    @cached_property
    def categories(self) -> tuple[tuple[Any, ...], FloatArray]:
        """Names of the categories and parts of each item, shape `(n_items, n_categories)`.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none.
        """
        given = self._inputs.categories
        _inputs.require("categories", given, "a metric of categories")
        assert given is not None
        return item_columns.memberships("categories", given, self._items, self._n_listed)

    @cached_property
    def groups(self) -> tuple[tuple[Any, ...], IntArray]:
        """Names of the groups and the group of each item; -1 for items no list knows.

        Raises:
            siamrec.errors.MissingInputError: If they were not given.
            siamrec.errors.InvalidDataError: If an item of the lists has none or several.
        """
        given = self._inputs.groups
        _inputs.require("groups", given, "a metric of item groups")
        assert given is not None
        return item_columns.codes_of_groups(given, self._items, self._n_listed)

    def _numbers(self, name: str, *, missing: float) -> FloatArray:
        given = getattr(self._inputs, name)
        _inputs.require(name, given, "a metric of items")
        return item_columns.numbers(name, given, self._items, self._n_listed, missing=missing)
