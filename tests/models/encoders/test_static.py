"""Word vectors learned from a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.errors import InvalidDataError, ModelLoadError
from siamrec.models import HashingEncoder, StaticEncoder
from siamrec.testing.encoders import TEXTS, EncoderContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder

TEACHER = HashingEncoder(dim=24)


class TestStaticEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return StaticEncoder.distilled(TEACHER, TEXTS, least=1)


def test_solution_is_that_of_ridge_regression() -> None:
    texts = ["a b", "b c", "c a", "a a b"]
    student = StaticEncoder.distilled(TEACHER, texts, least=1, ridge=0.5)
    assert set(student.words) == {"a", "b", "c"}
    shares = np.array(
        [
            [text.split().count(word) / len(text.split()) for word in student.words] + [1.0]
            for text in texts
        ]
    )
    target = TEACHER.encode(texts).astype(float)
    exact = np.linalg.solve(shares.T @ shares + 0.5 * np.eye(4), shares.T @ target)
    np.testing.assert_allclose(student.vectors, exact, atol=1e-5)


def test_frequent_words_come_first_and_rare_ones_are_left_out() -> None:
    student = StaticEncoder.distilled(TEACHER, ["a b", "a c", "a b d"], most_words=2)
    assert student.words == ("a", "b")
    with pytest.raises(InvalidDataError, match="none occurs in 5 of them"):
        StaticEncoder.distilled(TEACHER, ["a b"], least=5)


def test_a_folder_gives_it_back(tmp_path: Path) -> None:
    student = StaticEncoder.distilled(TEACHER, TEXTS, least=1)
    student.save(tmp_path)
    assert StaticEncoder.load(tmp_path).fingerprint == student.fingerprint
    with pytest.raises(ModelLoadError, match="must hold a static encoder"):
        StaticEncoder.load(tmp_path / "none")


def test_parts_must_fit() -> None:
    with pytest.raises(InvalidDataError, match=r"vectors must have shape \(2, dim\)"):
        StaticEncoder(("a",), np.zeros((1, 3), np.float32))
    with pytest.raises(InvalidDataError, match="words must differ"):
        StaticEncoder(("a", "a"), np.zeros((3, 3), np.float32))
