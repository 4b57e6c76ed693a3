"""A table of word vectors: small, fast, learned from a teacher in closed form."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import linalg, sparse
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidDataError, ModelLoadError
from siamrec.models.encoders._identity import identity_of
from siamrec.models.encoders._texts import distinct, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

_WORD = re.compile(r"\w+")
_WEIGHTS = "static.safetensors"
_CARD = "static.json"


@final
@dataclass(frozen=True, slots=True, repr=False)
class StaticEncoder(Shown):
    """Adds up a vector for each word that it knows, and a common one.

    Args:
        words: Words in lower case, distinct.
        vectors: Vector of each word, and last the common vector, `(len(words) + 1, dim)`.

    Raises:
        InvalidDataError: If shapes do not fit, words repeat, or a number is not finite.

    Examples:
        >>> from siamrec.models import HashingEncoder
        >>> kinds, forms = ("heist", "love", "war"), ("film", "story", "song")
        >>> texts = [f"{kind} {form}" for kind in kinds for form in forms]
        >>> teacher = HashingEncoder(dim=32)
        >>> student = StaticEncoder.distilled(teacher, texts, ridge=0.01, least=1)
        >>> bool((teacher.encode(texts) * student.encode(texts)).sum(axis=1).min() > 0.95)
        True
    """

    words: tuple[str, ...]
    vectors: Float32Array
    _place: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        vectors = check.frozen(np.asarray(self.vectors), np.float32)
        if vectors.ndim != 2 or vectors.shape[0] != len(self.words) + 1:
            raise InvalidDataError(
                f"vectors must have shape ({len(self.words) + 1}, dim), got {vectors.shape}."
            )
        check.finite("vectors", vectors)
        place = {word: code for code, word in enumerate(self.words)}
        if len(place) != len(self.words):
            raise InvalidDataError("words must differ from one another.")
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "_place", place)

    @override
    def title(self) -> str:
        return f"Static encoder of {counted(len(self.words), 'word')}, {self.dim:,} numbers each"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "words": len(self.words),
            **identity_of(self),
        }
        return Table.of(self.title(), facts)

    @classmethod
    def distilled(
        cls,
        teacher: SiameseEncoder,
        texts: Sequence[str],
        *,
        most_words: int = 4096,
        least: int = 2,
        ridge: float = 0.1,
    ) -> Self:
        r"""Return the word vectors whose means come nearest to a teacher's vectors.

        With A the shares of words in each text and E the teacher's vectors, W minimises
        :math:`\|A W - E\|^2 + \lambda \|W\|^2`, solved exactly.

        Args:
            teacher: The encoder to learn from.
            texts: What both read, such as a catalogue.
            most_words: Words to keep, the most frequent first.
            least: Texts that a word must occur in.
            ridge: :math:`\lambda`, above 0.

        Raises:
            InvalidDataError: If no word occurs often enough.
        """
        check.count("most_words", most_words)
        check.positive("ridge", ridge)
        unique, _ = distinct(texts)
        spoken = [_WORD.findall(text.casefold()) for text in unique]
        known = Counter(word for found in spoken for word in set(found))
        words = tuple(w for w, n in sorted(known.items(), key=_by_count) if n >= least)[
            :most_words
        ]
        if not words:
            raise InvalidDataError(f"texts must share words; none occurs in {least} of them.")
        empty = cls(words, np.zeros((len(words) + 1, 1), dtype=np.float32))
        shares = empty._shares(spoken)
        gram = (shares.T @ shares).toarray()
        gram[np.diag_indices_from(gram)] += ridge
        target = shares.T @ teacher.encode(unique).astype(np.float64)
        solved = linalg.solve(gram, target, assume_a="pos", overwrite_a=True)
        return cls(words, solved.astype(np.float32))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    @property
    def fingerprint(self) -> str:
        """Hash of words and vectors."""
        return content_hash("static", list(self.words), self.vectors)

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts; one without a known word gets the common vector.
            kind: Without effect: queries and documents are read alike.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        unique, place = distinct(texts, kind)
        shares = self._shares([_WORD.findall(text.casefold()) for text in unique])
        return unit_rows(shares @ self.vectors.astype(np.float64))[place]

    def save(self, path: str | Path) -> None:
        """Write words and vectors to a folder."""
        from safetensors.numpy import save_file

        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"vectors": np.array(self.vectors)}, folder / _WEIGHTS)
        (folder / _CARD).write_text(json.dumps({"words": self.words}), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the encoder that `save` wrote.

        Raises:
            ModelLoadError: If the folder holds none.
        """
        from safetensors.numpy import load_file

        folder = Path(path)
        try:
            words = json.loads((folder / _CARD).read_text(encoding="utf-8"))["words"]
            return cls(tuple(words), load_file(folder / _WEIGHTS)["vectors"])
        except Exception as error:  # safetensors has its own exception type
            raise ModelLoadError(f"{folder} must hold a static encoder: {error}.") from error

    def _shares(self, spoken: Sequence[Sequence[str]]) -> sparse.csr_array:
        """Share of each known word in each text, and a last column of ones."""
        rows, columns = [], []
        for row, words in enumerate(spoken):  # texts are ragged
            codes = [self._place[word] for word in words if word in self._place]
            rows += [row] * len(codes)
            columns += codes
        count = np.bincount(np.asarray(rows, dtype=np.int64), minlength=len(spoken))
        share = 1.0 / np.maximum(count, 1)[rows] if rows else np.empty(0)
        shape = (len(spoken), len(self.words))
        known = sparse.coo_array((share, (rows, columns)), shape=shape)
        ones = sparse.coo_array(np.ones((len(spoken), 1)))
        return sparse.csr_array(sparse.hstack([known, ones]))


def _by_count(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]
