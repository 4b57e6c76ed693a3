"""Groups of items by which figures can be told apart: by what they are, and how well known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.errors import MissingInputError, UnknownNameError
from siamrec.metrics.families.novelty import long_tail

if TYPE_CHECKING:
    from siamrec.data import Catalog, Vocabulary
    from siamrec.typing import BoolArray, FloatArray

ITEM = "item."
"""What the name of such a column begins with."""
POPULARITY = f"{ITEM}popularity"
_HEAD = 0.8
"""Share of past interactions that the best-known items hold, as in `long_tail_share`."""
_UNKNOWN = "unknown"


def in_tail(popularity: FloatArray) -> BoolArray:
    """Return which items lie outside the head, by how often each was met in training."""
    return long_tail(popularity, _HEAD)


def item_groups(
    name: str,
    items: Vocabulary,
    catalog: Catalog,
    popularity: tuple[Vocabulary, FloatArray] | None,
) -> list[tuple[str, ...]]:
    """Return the groups that each item belongs to; several where an attribute lists several.

    Args:
        name: `"item.popularity"` (`head` or `tail`), or `item.` and an attribute.
        items: The items.
        catalog: What is known of items.
        popularity: Items and how often each was met in training; None before any training.

    Raises:
        siamrec.errors.UnknownNameError: If the catalogue has no such attribute.
        siamrec.errors.MissingInputError: If popularity is asked for before any training.
    """
    if name == POPULARITY:
        if popularity is None:
            raise MissingInputError("a release", "train the placement: nothing is popular yet")
        known, count = popularity
        tail = dict(zip(known.ids, in_tail(count).tolist(), strict=True))
        return [("tail" if tail.get(item, True) else "head",) for item in items.ids]
    attribute = name.removeprefix(ITEM)
    if attribute not in catalog.attributes:
        columns = ["popularity", *catalog.attributes]
        raise UnknownNameError("attribute of items", attribute, columns)
    column = catalog.attributes[attribute]
    code = catalog.items.encode(items.ids, unknown="code").tolist()
    return [(_UNKNOWN,) if each < 0 else _levels(column[each]) for each in code]


def _levels(value: Any) -> tuple[str, ...]:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return (_UNKNOWN,)
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(sorted(set(map(str, value)))) or (_UNKNOWN,)
    return (str(value),)
