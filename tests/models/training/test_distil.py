"""Distillation: the student comes to say what the teacher says."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models import AdapterEncoder, SentenceEncoder
from siamrec.models.training import distil, teach_translations
from siamrec.testing.tiny import tiny_model

TEXTS = [f"{a} {b} {c}" for a in "abcd" for b in "efgh" for c in "ijkl"]
FOREIGN = [text.upper().replace(" ", "x ") + "x" for text in TEXTS]


@pytest.fixture(scope="module")
def base() -> SentenceEncoder:
    return SentenceEncoder.of(tiny_model([*TEXTS, *FOREIGN]), name="tiny")


def test_an_adapter_is_taught_to_its_base(base: SentenceEncoder) -> None:
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))[0]
    teacher = AdapterEncoder(base, rotation.astype(np.float32))
    before = base.fingerprint
    student = distil(teacher, base, TEXTS, steps=150, learning_rate=5e-3)
    assert SentenceEncoder.of(base.model).fingerprint == before
    target = teacher.encode(TEXTS)
    started = (base.encode(TEXTS) * target).sum(axis=1).mean()
    learned = (student.encode(TEXTS) * target).sum(axis=1).mean()
    assert started < 0.5
    assert learned > 0.95


def test_a_translation_is_read_as_its_original(base: SentenceEncoder) -> None:
    student = distil(base, base, FOREIGN, taught_as=TEXTS, steps=150, learning_rate=5e-3)
    target = base.encode(TEXTS)
    scores = student.encode(FOREIGN) @ target.T
    assert (scores.argmax(axis=1) == np.arange(len(TEXTS))).mean() > 0.5


def test_two_languages_end_in_one_space(base: SentenceEncoder) -> None:
    known, asked = slice(0, 48), slice(48, 64)
    student = teach_translations(
        base, base, TEXTS[known], FOREIGN[known], steps=200, learning_rate=5e-3
    )
    target = base.encode(TEXTS[known])
    foreign = student.encode(FOREIGN[known]) @ target.T
    assert (foreign.argmax(axis=1) == np.arange(48)).mean() > 0.5
    assert (student.encode(TEXTS[known]) * target).sum(axis=1).mean() > 0.9
    alike = (student.encode(FOREIGN[asked]) * student.encode(TEXTS[asked])).sum(axis=1).mean()
    before = (base.encode(FOREIGN[asked]) * base.encode(TEXTS[asked])).sum(axis=1).mean()
    assert alike > before, "also for texts that it was not taught"


def test_each_original_needs_its_translation(base: SentenceEncoder) -> None:
    with pytest.raises(InvalidDataError, match="one text for each of 2 originals, got 1"):
        teach_translations(base, base, TEXTS[:2], FOREIGN[:1])


def test_bad_input_is_clear(base: SentenceEncoder) -> None:
    with pytest.raises(InvalidDataError, match="taught_as must have one text for each"):
        distil(base, base, TEXTS, taught_as=TEXTS[:3])
    smaller = AdapterEncoder(base, np.ones((4, 32), np.float32))
    with pytest.raises(InvalidParameterError, match="student must be of 4 dimensions"):
        distil(smaller, base, TEXTS)
