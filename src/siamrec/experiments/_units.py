"""Units as text, and many of their hashes at once."""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from siamrec.errors import InvalidDataError
from siamrec.experiments._short_hashes import short_hashes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from siamrec.typing import FloatArray


def unit_text(unit: object) -> str:
    """Return a unit as the text that is hashed: text as it is, a whole number as its digits.

    Raises:
        InvalidDataError: If it is neither, or empty. A float is refused because 1.0, 1 and
            "1.0" would be three units.
    """
    if isinstance(unit, str):
        if unit:
            return unit
    elif isinstance(unit, int | np.integer) and not isinstance(unit, bool):
        return str(int(unit))
    raise InvalidDataError(
        f"A unit must be text that is not empty or a whole number, got {unit!r}."
    )


def unit_texts(units: Iterable[Any]) -> list[str]:
    """Return many units as text; arrays and Arrow columns come in as well.

    Raises:
        InvalidDataError: As `unit_text` does.
    """
    if hasattr(units, "to_pylist"):
        listed: list[Any] = units.to_pylist()
    elif isinstance(units, np.ndarray) or hasattr(units, "to_list"):
        listed = units.tolist() if isinstance(units, np.ndarray) else units.to_list()
    else:
        listed = units if isinstance(units, list) else list(units)
    kinds = set(map(type, listed))
    if kinds == {str} and all(listed):
        return listed
    if kinds == {int}:
        return list(map(str, listed))
    return [unit_text(unit) for unit in listed]


def bulk_uniforms(texts: list[str], salt: str) -> FloatArray:
    """Return `siamrec._core.hashing.uniform(text, salt)` of every text, bit for bit.

    Short texts are hashed as columns; for others the digest runs inside `map`, without a Python
    frame per unit.
    """
    seed = xxhash.xxh3_64_intdigest(salt.encode())
    codes = short_hashes(texts, seed)
    if codes is None:
        codes = np.fromiter(
            map(xxhash.xxh3_64_intdigest, map(str.encode, texts), repeat(seed)),
            dtype=np.uint64,
            count=len(texts),
        )
    codes >>= np.uint64(11)
    values: FloatArray = codes.astype(np.float64)
    values *= 2.0**-53
    return values
