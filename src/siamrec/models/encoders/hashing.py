"""Encoding by hashed words: no weights, no download; for tests, examples and as a baseline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import config_hash, hash64
from siamrec.models.encoders._book import EncoderRecipe
from siamrec.models.encoders._texts import distinct, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders._texts import TextKind
    from siamrec.typing import Float32Array

_WORD = re.compile(r"\w+")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HashingEncoder(EncoderRecipe):
    """Adds up one random direction per word, the same on every machine.

    Each word has `spread` signed places drawn by its hash (a sparse random projection of the bag
    of words), so the cosine of two texts estimates the share of words that they have in common.

    Args:
        dim: Length of a vector.
        spread: Places that one word touches, at most `dim`.
        salt: Chooses among projections.

    Raises:
        InvalidParameterError: If a size is below 1.

    References:
        Weinberger et al. (2009), Feature hashing for large scale multitask learning, ICML.

    Examples:
        >>> encoder = HashingEncoder(dim=256)
        >>> heist, robbery, love = encoder.encode(["a bank heist", "a bank robbery", "love story"])
        >>> bool(heist @ robbery > heist @ love)
        True
    """

    dim: int = 64
    spread: int = 8
    salt: str = ""

    def __post_init__(self) -> None:
        check.count("dim", self.dim)
        check.count("spread", self.spread)
        check.kind("salt", self.salt, str)

    @property
    def fingerprint(self) -> str:
        """Hash of the settings; there are no weights."""
        return config_hash({"kind": "hashing", "dim": self.dim, "n": self.spread, "s": self.salt})

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts; one without a word gets the first axis.
            kind: Without effect: queries and documents are read alike.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        unique, place = distinct(texts, kind)
        directions: dict[str, Float32Array] = {}
        rows = np.zeros((len(unique), self.dim), dtype=np.float32)
        for row, text in enumerate(unique):  # texts are ragged
            for word in _WORD.findall(text.casefold()):
                if word not in directions:
                    directions[word] = self._direction(word)
                rows[row] += directions[word]
        return unit_rows(rows)[place]

    def _direction(self, word: str) -> Float32Array:
        rng = np.random.default_rng(hash64(word, self.salt))
        direction = np.zeros(self.dim, dtype=np.float32)
        places = rng.choice(self.dim, size=min(self.spread, self.dim), replace=False)
        direction[places] = rng.choice(np.array([-1.0, 1.0], dtype=np.float32), size=places.size)
        return direction
