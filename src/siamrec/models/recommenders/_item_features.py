"""Attributes and texts of a catalogue as one table of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.errors import InvalidDataError, MissingInputError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data import Catalog
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import BoolArray, Float32Array


def item_features(
    catalog: Catalog | None, *, encoder: SiameseEncoder | None, features: Sequence[str]
) -> tuple[Float32Array, BoolArray]:
    """Return the features of each item of the catalogue, and whether it has any.

    A text is its unit vector; names (texts, or tuples of them) are shares of 1; numbers are
    standardised, with the mean where one is missing. Columns that never vary say nothing and are
    left out.

    Raises:
        siamrec.errors.MissingInputError: If something is asked for and there is no catalogue.
        siamrec.errors.UnknownNameError: If an attribute is absent.
        siamrec.errors.InvalidDataError: If a number is not finite.
    """
    if encoder is None and not features:
        n = 0 if catalog is None else len(catalog)
        return np.zeros((n, 0), dtype=np.float32), np.zeros(n, dtype=bool)
    if catalog is None:
        raise MissingInputError("catalog", "fit(feedback, catalog=catalog)")
    known = np.zeros(len(catalog), dtype=bool)
    parts: list[Float32Array] = []
    if encoder is not None:
        written = catalog.has_text
        text = np.zeros((len(catalog), encoder.dim), dtype=np.float32)
        if written.any():
            text[written] = encoder.encode([t for t in catalog.text if t is not None])
        parts.append(text)
        known |= written
    for name in features:
        if name not in catalog.attributes:
            raise UnknownNameError("attribute", name, catalog.attributes)
        column = catalog.attributes[name]
        known |= np.fromiter((value is not None for value in column), bool, len(column))
        parts.append(_column(name, column))
    table = np.concatenate([np.empty((len(catalog), 0), dtype=np.float32), *parts], axis=1)
    varies: BoolArray = table.std(axis=0) > 0
    return table[:, varies], known


def _column(name: str, column: Sequence[Any]) -> Float32Array:
    present = [value for value in column if value is not None]
    if present and all(isinstance(v, int | float) and not isinstance(v, bool) for v in present):
        number = np.array([np.nan if v is None else v for v in column], dtype=np.float64)
        if not np.isfinite(present).all():
            raise InvalidDataError(f"{name} must be finite or missing.")
        number -= np.mean(present)
        spread = np.std(present)
        scaled = np.nan_to_num(number) / (spread if spread > 0 else 1.0)
        return scaled[:, None].astype(np.float32)
    rows = [names_of(value) for value in column]
    place = {each: code for code, each in enumerate(sorted({n for row in rows for n in row}))}
    table = np.zeros((len(rows), len(place)), dtype=np.float32)
    for code, row in enumerate(rows):  # names are Python values; once for each item
        for each in row:
            table[code, place[each]] += 1.0 / len(row)
    return table


def names_of(value: object) -> list[str]:
    """Return the names in an attribute: none, one, or those of a tuple."""
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, tuple | list) else [str(value)]
