"""Several encoders side by side, where one hears what another overhears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array


@final
@dataclass(frozen=True, slots=True)
class JoinedEncoder:
    r"""Puts the vectors of several encoders side by side.

    .. math:: y = (\sqrt{w_1}\, x_1, \dots, \sqrt{w_k}\, x_k), \qquad \sum_i w_i = 1

    The cosine of two texts is then the mean of the encoders' cosines, weighted by w. A sentence
    encoder tells what a text is about and forgets most names; side by side with the words it read
    (`SentenceEncoder.words`) an adapter can learn from both.

    Args:
        encoders: At least one.
        shares: w, above 0 and summing to 1; equal by default.

    Raises:
        InvalidParameterError: If there are no encoders, or the shares do not fit them.

    Examples:
        >>> from siamrec.models import HashingEncoder
        >>> encoder = JoinedEncoder([HashingEncoder(dim=8), HashingEncoder(dim=16)])
        >>> encoder.encode(["Heat", "Ronin"]).shape
        (2, 24)
    """

    encoders: Sequence[SiameseEncoder]
    shares: Sequence[float] | None = None

    def __post_init__(self) -> None:
        encoders = tuple(self.encoders)
        if not encoders:
            raise InvalidParameterError("encoders", encoders, "at least one encoder")
        given = [1 / len(encoders)] * len(encoders) if self.shares is None else self.shares
        shares = tuple(check.positive("shares", share) for share in given)
        if len(shares) != len(encoders) or not np.isclose(sum(shares), 1.0, rtol=0, atol=1e-9):
            wanted = f"{len(encoders)} numbers that sum to 1"
            raise InvalidParameterError("shares", self.shares, wanted)
        object.__setattr__(self, "encoders", encoders)
        object.__setattr__(self, "shares", shares)

    @property
    def dim(self) -> int:
        """Length of a vector: the sum of the encoders' own."""
        return sum(encoder.dim for encoder in self.encoders)

    @property
    def fingerprint(self) -> str:
        """Hash of the encoders' fingerprints and the shares."""
        prints = [encoder.fingerprint for encoder in self.encoders]
        return content_hash("joined", prints, list(self.shares or ()))

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts.
            kind: Whether they are queries or documents, for each encoder.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        assert self.shares is not None
        scales = np.sqrt(np.asarray(self.shares, dtype=np.float32))
        parts = [encoder.encode(texts, kind=kind) for encoder in self.encoders]
        joined: Float32Array = np.concatenate(
            [scale * part for scale, part in zip(scales, parts, strict=True)], axis=1
        )
        return joined
