"""Units as text, and many of their hashes at once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

import numpy as np
import xxhash

from siamrec._core.short_hashes import ShortTexts
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
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
        return _digits([int(unit)])[0]
    raise unit_error(unit)


def _digits(units: list[int]) -> list[str]:
    try:
        return list(map(str, units))
    except ValueError as error:  # Python writes out 4,300 digits and no more
        raise InvalidDataError(f"A unit must have fewer digits: {error}.") from error


def unit_error(unit: object) -> InvalidDataError:
    """Return the error for what cannot be a unit."""
    return InvalidDataError(
        "A unit must be text that is not empty and has a UTF-8 form, or a whole number, "
        f"got {shown(unit)}."
    )


def unit_texts(units: Iterable[Any]) -> list[str]:
    """Return many units as text; arrays and Arrow columns come in as well.

    Raises:
        InvalidDataError: As `unit_text` does, and if it is one text or not many of anything.
    """
    if isinstance(units, str | bytes | bytearray | memoryview):
        raise InvalidDataError(
            f"units must be many, in a list or a column, got {shown(units)} alone."
        )
    if hasattr(units, "to_pylist"):
        listed: list[Any] = units.to_pylist()
    elif isinstance(units, np.ndarray) or hasattr(units, "to_list"):
        listed = units.tolist() if isinstance(units, np.ndarray) else units.to_list()
    else:
        listed = units if isinstance(units, list) else _listed(units)
    kinds = set(map(type, listed))
    if kinds == {str} and all(listed):
        return listed
    if kinds == {int}:
        return _digits(listed)
    return [unit_text(unit) for unit in listed]


def _listed(units: object) -> list[Any]:
    if isinstance(units, Iterable):
        return list(units)
    raise InvalidDataError(f"units must be many, in a list or a column, got {shown(units)} alone.")


@final
class Units:
    """Many units as text, and their hashes under any number of salts."""

    __slots__ = ("_short", "texts")

    def __init__(self, units: Iterable[Any]) -> None:
        try:  # a plain list of short texts needs no look at each of them
            self._short = ShortTexts.of(units) if isinstance(units, list) else None
        except (TypeError, UnicodeEncodeError):
            self._short = None
        if self._short is not None:
            self.texts: list[str] = units  # type: ignore[assignment]
            return
        self.texts = unit_texts(units)
        if self.texts is not units:
            with suppress(UnicodeEncodeError):
                self._short = ShortTexts.of(self.texts)

    def uniforms(self, salt: str) -> FloatArray:
        """Return `siamrec._core.hashing.uniform(text, salt)` of every text, bit for bit.

        Short texts are hashed as columns; for others the digest runs inside `map`, without a
        Python frame per unit.

        Raises:
            InvalidDataError: If a text has no UTF-8 form.
        """
        seed = xxhash.xxh3_64_intdigest(salt.encode())
        if self._short is not None:
            return self._short.uniforms(seed)
        digests = map(xxhash.xxh3_64_intdigest, map(str.encode, self.texts), repeat(seed))
        try:
            codes = np.fromiter(digests, dtype=np.uint64, count=len(self.texts))
        except UnicodeEncodeError as error:
            raise unit_error(error.object) from error
        codes >>= np.uint64(11)
        values: FloatArray = codes.astype(np.float64)
        values *= 2.0**-53
        return values

    def __len__(self) -> int:
        return len(self.texts)
