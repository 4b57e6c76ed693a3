"""An encoder: how often each letter stands in a text."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from siamrec.errors import InvalidDataError
from siamrec.models.encoders import EncoderRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array

_LETTERS = 26


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Letters(EncoderRecipe):
    """Counts letters; one further place keeps a text without letters from being nowhere.

    Args:
        power: What counts are raised to.
    """

    power: float = 0.5

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return _LETTERS + 1

    @property
    def fingerprint(self) -> str:
        """There are no weights: the settings say it all."""
        return hashlib.sha256(f"letters {self.power}".encode()).hexdigest()

    def encode(
        self, texts: Sequence[str], *, kind: Literal["query", "document"] = "document"
    ) -> Float32Array:
        """Return one unit vector for each text."""
        del kind
        if isinstance(texts, str):
            raise InvalidDataError(f"texts must be a sequence of texts, got {texts!r}.")
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidDataError(f"texts must be text, got {text!r} in place {place}.")
        table = np.zeros((len(texts), self.dim), dtype=np.float64)
        table[:, _LETTERS] = 1.0
        for row, text in zip(table, texts, strict=True):
            for letter in text.lower():
                if "a" <= letter <= "z":
                    row[ord(letter) - ord("a")] += 1.0
        table **= self.power
        unit: Float32Array = (table / np.linalg.norm(table, axis=1, keepdims=True)).astype("f4")
        return unit
