"""Attributes of a catalogue as numbers: categories, lists, quantities and vectors of texts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from siamrec.data import Catalog
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True)
class Features:
    """Which columns a feature matrix has; the same on the catalogue of today and of tomorrow.

    Args:
        words: Attribute and value of each column that is 1 where an item has the value.
        numbers: Attribute, mean and spread of each standardised column; missing ones become 0.
        text: Reads the items' texts into further columns, where it is given.
    """

    words: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, float, float], ...]
    text: SiameseEncoder | None = None

    @classmethod
    def of(cls, catalog: Catalog, *, text: SiameseEncoder | None, least: int = 2) -> Self:
        """Choose the columns: values that at least `least` items have, and all quantities."""
        words: list[tuple[str, str]] = []
        numbers: list[tuple[str, float, float]] = []
        for name, column in sorted(catalog.attributes.items()):
            known = [value for value in column if value is not None]
            if known and all(map(_is_number, known)):
                values = np.array(known, dtype=np.float64)
                values = values[np.isfinite(values)]
                spread = float(values.std()) if values.size else 0.0
                if spread:
                    numbers.append((name, float(values.mean()), spread))
                continue
            counts = Counter(word for value in known for word in set(_words(value)))
            words += [(name, word) for word, n in sorted(counts.items()) if n >= least]
        return cls(tuple(words), tuple(numbers), text)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.words) + len(self.numbers) + (0 if self.text is None else self.text.dim)

    def read(self, catalog: Catalog) -> Float32Array:
        """Return the matrix of a catalogue, `(n_items, width)`; rows of words have length 1."""
        n = len(catalog)
        said = np.zeros((n, len(self.words)), dtype=np.float32)
        place = {key: code for code, key in enumerate(self.words)}
        for name in dict.fromkeys(name for name, _ in self.words):
            for row, value in enumerate(catalog.attributes.get(name, ())):  # values are ragged
                found = [place[name, w] for w in _words(value) if (name, w) in place]
                said[row, found] = 1.0
        length = np.linalg.norm(said, axis=1, keepdims=True)
        said /= np.where(length > 0, length, 1.0)
        parts: list[Float32Array] = [said]
        for name, mean, spread in self.numbers:
            column = catalog.attributes.get(name, [None] * n)
            values = np.array([np.nan if v is None else float(v) for v in column])
            standard = np.nan_to_num((values - mean) / spread, nan=0.0, posinf=0.0, neginf=0.0)
            parts.append(standard[:, None].astype(np.float32))
        if self.text is not None:
            parts.append(_spoken(catalog, self.text))
        return check.frozen(np.concatenate(parts, axis=1), np.float32)

    def as_dict(self) -> dict[str, Any]:
        """Return the columns as JSON values; the reader of texts by its fingerprint."""
        reader = None if self.text is None else self.text.fingerprint
        return {"words": self.words, "numbers": self.numbers, "text": reader}


def _spoken(catalog: Catalog, encoder: SiameseEncoder) -> Float32Array:
    """Vectors of the texts without what all of them share; zeros where an item has none."""
    rows = [row for row, text in enumerate(catalog.text) if text is not None]
    vectors = np.zeros((len(catalog), encoder.dim), dtype=np.float32)
    if rows:
        vectors[rows] = encoder.encode([str(catalog.text[row]) for row in rows])
    return vectors


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _words(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, tuple | list):
        listed: Iterable[Any] = value
        return [str(part) for part in listed]
    return (str(value),)
