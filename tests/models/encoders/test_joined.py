"""Encoders side by side, and the words of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.errors import InvalidParameterError
from siamrec.models import AdapterEncoder, HashingEncoder, JoinedEncoder
from siamrec.models.export import export
from siamrec.testing.encoders import TEXTS, EncoderContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder

NARROW, WIDE = HashingEncoder(dim=8), HashingEncoder(dim=32, salt="other")


class TestJoinedEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return JoinedEncoder([NARROW, WIDE], shares=[0.25, 0.75])


def test_cosines_are_weighted_means() -> None:
    joined = JoinedEncoder([NARROW, WIDE], shares=[0.25, 0.75]).encode(TEXTS)
    narrow, wide = NARROW.encode(TEXTS), WIDE.encode(TEXTS)
    expected = 0.25 * narrow @ narrow.T + 0.75 * wide @ wide.T
    np.testing.assert_allclose(joined @ joined.T, expected, atol=1e-6)


def test_equal_shares_are_the_default() -> None:
    equal = JoinedEncoder([NARROW, WIDE])
    assert equal.shares == (0.5, 0.5)
    assert equal.dim == 40
    assert equal.fingerprint == JoinedEncoder((NARROW, WIDE), (0.5, 0.5)).fingerprint
    assert equal.fingerprint != JoinedEncoder([WIDE, NARROW]).fingerprint
    assert equal.fingerprint != JoinedEncoder([NARROW, WIDE], [0.4, 0.6]).fingerprint


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.6], [0.0, 1.0], [1.5, -0.5]])
def test_shares_must_fit(shares: list[float]) -> None:
    with pytest.raises(InvalidParameterError, match="shares"):
        JoinedEncoder([NARROW, WIDE], shares)


def test_there_must_be_encoders() -> None:
    with pytest.raises(InvalidParameterError, match="at least one encoder"):
        JoinedEncoder([])


def test_no_format_expresses_it(tmp_path: Path) -> None:
    head = AdapterEncoder.identity(JoinedEncoder([NARROW, WIDE]))
    with pytest.raises(InvalidParameterError, match="JoinedEncoder"):
        export(head, tmp_path / "out", format="sentence-transformers")
