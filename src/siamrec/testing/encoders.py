"""What every encoder must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from siamrec.errors import InvalidDataError, SiamrecError
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.protocols import SiameseEncoder

TEXTS = (
    "A crew of thieves plans one last robbery.",
    "Two strangers fall in love on a night train.",
    "a robot learns to cook",
    "Amélie、東京 🎬",
    "x",
)


def _varied(encoder: Any) -> Iterator[tuple[str, Any]]:
    """Yield the encoder with one number, truth value or text among its settings changed."""
    for field in fields(encoder) if is_dataclass(encoder) else ():
        value = getattr(encoder, field.name)
        if field.init and isinstance(value, bool | int | float | str):
            try:
                other: Any = replace(encoder, **{field.name: _another(value)})
            except SiamrecError:
                continue  # the encoder does not know this value
            yield field.name, other


def _another(value: float | str) -> float | str:
    if isinstance(value, bool):
        return not value
    return f"{value} other" if isinstance(value, str) else type(value)(2 * value + 1)


class EncoderContract(ABC):
    """Subclass it as `class TestMine(EncoderContract)` and say how to build one."""

    @abstractmethod
    def make(self) -> SiameseEncoder:
        """Return the encoder under test; two calls give equal encoders."""

    def other(self) -> SiameseEncoder:
        """Return an encoder of the same kind that gives other vectors."""
        pytest.skip(f"{type(self).__name__} does not say how to build another one.")

    def test_other_vectors_have_another_fingerprint(self) -> None:
        mine, other = self.make(), self.other()
        assert not np.allclose(mine.encode(TEXTS), other.encode(TEXTS), atol=1e-6)
        assert mine.fingerprint != other.fingerprint

    def test_a_setting_that_moves_vectors_is_in_the_fingerprint(self) -> None:
        mine = self.make()
        varied = list(_varied(mine))
        if not varied:
            pytest.skip(f"{type(mine).__name__} is no dataclass with settings of its own.")
        vectors = mine.encode(TEXTS)
        for setting, other in varied:
            found = other.encode(TEXTS)
            if found.shape != vectors.shape or not np.allclose(found, vectors, atol=1e-6):
                assert other.fingerprint != mine.fingerprint, f"{setting} is left out"

    def test_two_calls_agree_and_share_nothing(self) -> None:
        encoder = self.make()
        with no_global_chance():
            first = encoder.encode(TEXTS[:3])
            kept = first.copy()
            second = encoder.encode(TEXTS[:3])
        np.testing.assert_array_equal(second, kept)
        if first.flags.writeable:
            first[:] = 0.0
        np.testing.assert_array_equal(second, kept)
        np.testing.assert_array_equal(encoder.encode(TEXTS[:3]), kept)

    def test_every_text_is_read(self) -> None:
        vectors = self.make().encode(TEXTS[:3])
        cosine = vectors @ vectors.T
        assert (cosine[~np.eye(3, dtype=bool)] < 1 - 1e-6).all()

    def test_rows_are_unit_vectors_in_float32(self) -> None:
        encoder = self.make()
        vectors = encoder.encode(TEXTS)
        assert vectors.shape == (len(TEXTS), encoder.dim)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_equal_texts_give_equal_vectors(self) -> None:
        first, second, third = self.make().encode([TEXTS[0], TEXTS[1], TEXTS[0]])
        np.testing.assert_array_equal(first, third)
        assert not np.allclose(first, second)

    def test_order_and_company_do_not_matter(self) -> None:
        encoder = self.make()
        together = encoder.encode(TEXTS)
        np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], together, atol=1e-5)
        np.testing.assert_allclose(encoder.encode(TEXTS[1:2]), together[1:2], atol=1e-5)

    def test_no_texts_give_no_rows(self) -> None:
        encoder = self.make()
        assert encoder.encode([]).shape == (0, encoder.dim)

    def test_equal_encoders_have_equal_fingerprints(self) -> None:
        first, second = self.make(), self.make()
        assert first.fingerprint == second.fingerprint
        assert len(first.fingerprint) >= 16
        np.testing.assert_allclose(first.encode(TEXTS), second.encode(TEXTS), atol=1e-6)

    def test_queries_are_unit_vectors_too(self) -> None:
        vectors = self.make().encode(TEXTS[:2], kind="query")
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)

    def test_one_text_is_not_a_sequence_of_texts(self) -> None:
        with pytest.raises(InvalidDataError, match="texts must be a sequence of texts"):
            self.make().encode(TEXTS[0])

    def test_what_is_not_text_is_refused(self) -> None:
        with pytest.raises(InvalidDataError, match="texts must be text, got None in place 1"):
            self.make().encode([TEXTS[0], None])  # type: ignore[list-item]
