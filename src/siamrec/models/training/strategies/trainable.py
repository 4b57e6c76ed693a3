"""The model of sentence-transformers behind an encoder, and encoders that read as it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec.errors import InvalidParameterError
from siamrec.models.encoders import CachedEncoder, SentenceEncoder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from siamrec.protocols import SiameseEncoder


def trainable(encoder: SiameseEncoder) -> SentenceEncoder:
    """Return the sentence-transformers encoder behind `encoder`.

    Raises:
        InvalidParameterError: If there is none.
    """
    inner = encoder.base if isinstance(encoder, CachedEncoder) else encoder
    if not isinstance(inner, SentenceEncoder):
        raise InvalidParameterError(
            "encoder", type(inner).__name__, "a SentenceEncoder, or strategy 'adapter'"
        )
    return inner


def alike(
    base: SentenceEncoder, model: SentenceTransformer, *, name: str = "in memory"
) -> SentenceEncoder:
    """Return an encoder around `model` that reads in the base's precision and batches."""
    return SentenceEncoder.of(
        model, name=name, batch_size=base.batch_size, precision=base.precision
    )
