"""What every format of export must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.errors import SiamrecError
from siamrec.models.export import ParityReport
from siamrec.models.export._parity import SAMPLE_TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.export import Exporter
    from siamrec.protocols import SiameseEncoder


class ExporterContract(ABC):
    """Subclass it as `class TestMine(ExporterContract)`; say what is exported, and as what."""

    @abstractmethod
    def make(self) -> Exporter:
        """Return the format under test."""

    @abstractmethod
    def encoder(self, seed: int = 0) -> SiameseEncoder:
        """Return an encoder that the format can hold; another seed gives other vectors."""

    def texts(self) -> list[str]:
        return [text for text in dict.fromkeys(SAMPLE_TEXTS) if self.make().reads(text)]

    def test_every_quantization_is_read_back_within_its_tolerance(self, tmp_path: Path) -> None:
        exporter, encoder, texts = self.make(), self.encoder(), self.texts()
        assert exporter.thresholds
        for quantization, thresholds in exporter.thresholds.items():
            folder = tmp_path / (quantization or "plain")
            folder.mkdir()
            exporter.write(encoder, folder, quantization)
            vectors, read_by = exporter.read(encoder, folder, texts)
            assert read_by
            assert vectors.shape == (len(texts), encoder.dim)
            assert np.isfinite(vectors).all()
            report = ParityReport.of(
                quantization, encoder.encode(texts), vectors, checked_by=read_by,
                thresholds=thresholds,
            )  # fmt: skip
            report.require()

    def test_what_is_read_is_what_was_written(self, tmp_path: Path) -> None:
        """Not the encoder that stands beside it."""
        exporter, texts = self.make(), self.texts()
        one, two = self.encoder(0), self.encoder(1)
        exporter.write(one, tmp_path, next(iter(exporter.thresholds)))
        vectors, _ = exporter.read(two, tmp_path, texts)
        mine, other = one.encode(texts), two.encode(texts)
        assert not np.allclose(mine, other, atol=1e-2)
        assert np.abs(vectors - mine).mean() < np.abs(vectors - other).mean()

    def test_order_and_company_do_not_matter(self, tmp_path: Path) -> None:
        exporter, encoder, texts = self.make(), self.encoder(), self.texts()
        exporter.write(encoder, tmp_path, next(iter(exporter.thresholds)))
        plain, _ = exporter.read(encoder, tmp_path, texts)
        turned, _ = exporter.read(encoder, tmp_path, texts[::-1])
        np.testing.assert_allclose(turned[::-1], plain, atol=1e-3)

    def test_thresholds_are_no_formality(self) -> None:
        for thresholds in self.make().thresholds.values():
            texts = self.texts()
            mine, other = (self.encoder(seed).encode(texts) for seed in (0, 1))
            report = ParityReport.of("", mine, other, checked_by="", thresholds=thresholds)
            with pytest.raises(SiamrecError):
                report.require()
