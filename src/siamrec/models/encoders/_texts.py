"""What every encoder does with its texts before it reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec.typing import CodeArray, Float32Array

TextKind: TypeAlias = Literal["query", "document"]
"""What a text is; asymmetric encoders treat the two differently."""


KINDS: tuple[TextKind, ...] = ("query", "document")


def distinct(texts: Sequence[str], kind: TextKind = "document") -> tuple[list[str], CodeArray]:
    """Return the different texts in order of first appearance, and the place of each text there.

    Raises:
        UnknownNameError: If `kind` is neither of the two.
        InvalidDataError: If `texts` is one text or holds something that is not text.
    """
    check.one_of("kind", kind, KINDS)
    if isinstance(texts, str):
        raise InvalidDataError(
            "texts must be a sequence of texts, got one text; put it in a list."
        )
    listed: list[object] = list(texts)
    wrong = next((place for place, text in enumerate(listed) if not isinstance(text, str)), None)
    if wrong is not None:
        raise InvalidDataError(f"texts must be text, got {shown(listed[wrong])} in place {wrong}.")
    vocabulary = Vocabulary.of(map(str, listed))
    return [str(text) for text in vocabulary.ids], vocabulary.encode(map(str, listed))


def unit_rows(vectors: npt.NDArray[Any]) -> Float32Array:
    """Return rows of length 1 in float32; a row of zeros becomes the first axis."""
    rows = np.array(vectors, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows[length[:, 0] == 0, :1] = 1.0
    unit: Float32Array = (rows / np.where(length > 0, length, 1.0)).astype(np.float32)
    return unit
