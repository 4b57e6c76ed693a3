"""Exporting an encoder to the forms that people serve, each proven equal before it is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, final

from siamrec._core import check
from siamrec._core.book import Book
from siamrec._core.recipe import Recipe
from siamrec.errors import InvalidParameterError
from siamrec.models._writing import writing
from siamrec.models.encoders import SentenceEncoder
from siamrec.models.export import _gguf
from siamrec.models.export._directory import is_static, write_directory
from siamrec.models.export._onnx import OnnxEncoder, write_onnx
from siamrec.models.export._parity import SAMPLE_TEXTS, ParityReport, Thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

    Writer: TypeAlias = Callable[[SiameseEncoder, Path, str | None], None]
    Reader: TypeAlias = Callable[[SiameseEncoder, Path, list[str]], tuple[Float32Array, str]]

REPORT_FILE = "parity.json"


@final
@dataclass(frozen=True, slots=True)
class Exporter(Recipe):
    """A format; it is written down by its name.

    Args:
        write: Writes an encoder to a folder, in a quantization.
        read: Reads texts with what was written, and says what read them.
        thresholds: Least likeness by quantization; the first is the default.
        reads: Whether those who serve the format read a text as the original does; other texts
            are left out of the comparison and named in the report.
    """

    write: Writer
    read: Reader
    thresholds: Mapping[str, Thresholds]
    reads: Callable[[str], bool] = bool

    def __post_init__(self) -> None:
        for name in ("write", "read", "reads"):
            if not callable(getattr(self, name)):
                raise InvalidParameterError(name, getattr(self, name), "a function")
        for quantization, each in check.kind("thresholds", self.thresholds, Mapping).items():
            check.kind(f"thresholds[{quantization!r}]", each, Thresholds)


def export(
    encoder: SiameseEncoder,
    path: str | Path,
    *,
    format: str,  # noqa: A002  (the word that users look for)
    quantization: str | None = None,
    texts: Sequence[str] = SAMPLE_TEXTS,
) -> ParityReport:
    """Write an encoder to a folder in a format, once it is proven equal.

    The export is made beside its place, read back, compared with the original on `texts`, and
    moved to `path` only when it passes; `parity.json` keeps the figures.

    Args:
        encoder: A `SentenceEncoder` or a `StaticEncoder`, or an `AdapterEncoder` on one; GGUF
            takes the first alone, `"static"` no `SentenceEncoder`, ONNX no `StaticEncoder`.
        path: Folder to write; it must not hold anything yet.
        format: `"sentence-transformers"`, `"sentence-transformers-legacy"` (for readers of before
            version 6), `"static"` (that folder for a table of words), `"onnx"` or `"gguf"`; or
            one of a plugin.
        quantization: Of GGUF: `"f16"` (default), `"f32"`, `"bf16"` or `"q8_0"`; of ONNX: `"f32"`
            (default) or `"int8"`, about twice as fast on a CPU and no longer the same vectors.
        texts: Texts to compare on, at least 3.

    Returns:
        The comparison.

    Raises:
        UnknownNameError: If the format or quantization is not known.
        InvalidParameterError: If the format cannot express the encoder, or `path` is not empty.
        MissingExtraError: If the format needs a package that is not installed.
        RegressionFound: If the export differs too much; nothing is written then.
        StorageError: If the folder cannot be written.
    """
    exporter = EXPORTERS.factory(format)
    chosen = next(iter(exporter.thresholds)) if quantization is None else quantization
    if quantization is not None and "" in exporter.thresholds:
        raise InvalidParameterError(
            "quantization", quantization, f"None: {format} keeps the numbers as they are"
        )
    check.one_of("quantization", chosen, exporter.thresholds)
    distinct = dict.fromkeys(texts)
    sample = [text for text in distinct if exporter.reads(text)]
    if len(sample) < 3:
        raise InvalidParameterError(
            "texts", len(sample), f"at least 3 different texts that readers of {format} read alike"
        )
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InvalidParameterError("path", str(path), "a folder that is empty or does not exist")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as temporary:
            fresh = Path(temporary) / "fresh"
            fresh.mkdir()
            exporter.write(encoder, fresh, chosen)
            after, checked_by = exporter.read(encoder, fresh, sample)
            report = ParityReport.of(
                f"{format} {chosen}".strip(),
                encoder.encode(sample),
                after,
                checked_by=checked_by,
                thresholds=exporter.thresholds[chosen],
                left_out=tuple(text for text in distinct if text not in sample),
            )
            report.require()
            report.save(fresh / REPORT_FILE)
            fresh.replace(target)
    return report


def _write_modern(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    del quantization
    write_directory(encoder, folder, legacy=False)


def _write_legacy(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    del quantization
    write_directory(encoder, folder, legacy=True)


def _write_static(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    del quantization
    if not is_static(encoder):
        raise InvalidParameterError(
            "encoder",
            type(encoder).__name__,
            "a StaticEncoder, or an AdapterEncoder on one: StaticEncoder.distilled makes one of "
            "any encoder, but it is another encoder and has to be judged as such",
        )
    write_directory(encoder, folder, legacy=False)


def _read_directory(
    encoder: SiameseEncoder, folder: Path, texts: list[str]
) -> tuple[Float32Array, str]:
    del encoder
    return SentenceEncoder(folder).encode(texts), "sentence-transformers"


def _write_onnx(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    write_onnx(encoder, folder, quantization=quantization or "f32")


def _read_onnx(
    encoder: SiameseEncoder, folder: Path, texts: list[str]
) -> tuple[Float32Array, str]:
    del encoder
    return OnnxEncoder(folder).encode(texts), "onnxruntime"


def _write_gguf(encoder: SiameseEncoder, folder: Path, quantization: str | None) -> None:
    bert = _gguf.exportable(encoder)
    _gguf.write_gguf(bert, folder / "model.gguf", quantization=quantization or "f16")
    length = bert.model.max_seq_length or 512
    modelfile = f"FROM ./model.gguf\nPARAMETER num_ctx {length}\n"
    (folder / "Modelfile").write_text(modelfile, encoding="utf-8")


def _read_gguf(
    encoder: SiameseEncoder, folder: Path, texts: list[str]
) -> tuple[Float32Array, str]:
    bert = _gguf.exportable(encoder)
    vectors = _gguf.read_back(folder / "model.gguf", bert, texts)
    if find_spec("llama_cpp") is None:
        return vectors, "gguf (tensors and tokens read back)"
    return _by_llama(folder / "model.gguf", bert, texts), "llama.cpp"


def _by_llama(path: Path, encoder: SentenceEncoder, texts: list[str]) -> Any:
    from siamrec.models.export._llama import embed

    return embed(path, texts, length=encoder.model.max_seq_length or 512)


_EXACT = MappingProxyType({"": Thresholds(0.9999, 0.99)})
EXPORTERS: Book[Exporter, Exporter] = Book(
    "format",
    {
        "sentence-transformers": Exporter(_write_modern, _read_directory, _EXACT),
        "sentence-transformers-legacy": Exporter(_write_legacy, _read_directory, _EXACT),
        "static": Exporter(_write_static, _read_directory, _EXACT),
        "onnx": Exporter(
            _write_onnx,
            _read_onnx,
            MappingProxyType({"f32": Thresholds(0.9999, 0.99), "int8": Thresholds(0.95, 0.75)}),
        ),
        "gguf": Exporter(
            _write_gguf,
            _read_gguf,
            MappingProxyType(
                {
                    "f16": Thresholds(0.9999, 0.98),
                    "f32": Thresholds(0.9999, 0.99),
                    "bf16": Thresholds(0.999, 0.95),
                    "q8_0": Thresholds(0.995, 0.93),
                }
            ),
            _gguf.read_by_llama,
        ),
    },
    contract=Exporter,
    factories=Exporter,
    recipes=Exporter,
)
"""Every format by name."""
