"""An export format: the folder of sentence-transformers beside a note."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from siamrec.errors import InvalidParameterError
from siamrec.models import SentenceEncoder
from siamrec.models.export import Exporter, Thresholds

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array


def _write(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    del quantization
    if not isinstance(encoder, SentenceEncoder):
        raise InvalidParameterError("encoder", type(encoder).__name__, "a SentenceEncoder")
    encoder.save(folder)
    (folder / "NOTE.txt").write_text("written by a guest\n", encoding="utf-8")


def _read(encoder: SiameseEncoder, folder: Path, texts: list[str]) -> tuple[Float32Array, str]:
    del encoder
    return SentenceEncoder(folder).encode(texts), "sentence-transformers"


NOTED = Exporter(_write, _read, MappingProxyType({"": Thresholds(0.9999, 0.99)}))
