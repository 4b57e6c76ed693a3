"""ONNX files of whole encoders: token ids in, unit vectors out."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.lazy import extra
from siamrec._core.table import Shown, Table, counted
from siamrec.errors import InvalidParameterError, ModelLoadError
from siamrec.models.encoders._texts import distinct, unit_rows
from siamrec.models.export._directory import as_sentence_transformer, is_static, prompts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

MODEL_FILE = "model.onnx"
SETTINGS_FILE = "siamrec.json"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def write_onnx(encoder: SiameseEncoder, folder: Path, *, quantization: str = "f32") -> None:
    """Write the whole encoder, head and normalising included, and its tokenizer.

    Args:
        encoder: The encoder.
        folder: Where to.
        quantization: `"f32"`, or `"int8"`: products of bytes, with one scale for each column of a
            matrix and one for the values of a moment.

    Raises:
        MissingExtraError: If onnx or onnxscript is not installed, or onnxruntime for int8.
        InvalidParameterError: If the encoder is not one of sentence-transformers, or has prompts.
    """
    if is_static(encoder):
        raise InvalidParameterError("encoder", "StaticEncoder", "one that reads tokens, for ONNX")
    prompts = prompts_of(encoder)
    if prompts:
        raise InvalidParameterError(
            "prompts",
            prompts,
            "none for ONNX, whose file begins with tokens; export as 'sentence-transformers', or "
            "clear them and put them before the texts yourself",
        )
    extra("onnxscript", extra="onnx", purpose="Exporting to ONNX")
    extra("onnx", extra="onnx", purpose="Exporting to ONNX")
    import torch

    model = as_sentence_transformer(encoder).eval()
    whole = _whole(model)
    example = model.preprocess(["two short", "texts of different length here"])
    names = [name for name in _INPUTS if name in example]
    inputs = tuple(example[name] for name in names)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own future
        torch.onnx.export(
            whole,
            inputs,
            str(folder / MODEL_FILE),
            input_names=names,
            output_names=["unit_vector"],
            dynamic_shapes={"inputs": tuple(free for _ in names)},
            dynamo=True,
            verbose=False,
            external_data=False,
        )
    if quantization == "int8":
        _to_bytes(folder / MODEL_FILE)
    model.tokenizer.save_pretrained(str(folder))
    settings = {"max_tokens": model.max_seq_length, "inputs": names}
    (folder / SETTINGS_FILE).write_text(json.dumps(settings), encoding="utf-8")


def _to_bytes(path: Path) -> None:
    """Replace a model by its dynamic quantization."""
    runtime = extra("onnxruntime.quantization", extra="onnx", purpose="Quantizing ONNX")
    whole = path.with_suffix(".whole.onnx")
    path.replace(whole)
    logging.getLogger().addFilter(_no_advice)
    try:
        runtime.quantize_dynamic(
            whole,
            path,
            weight_type=runtime.QuantType.QInt8,
            per_channel=True,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
    finally:
        logging.getLogger().removeFilter(_no_advice)
    whole.unlink()


def _no_advice(record: logging.LogRecord) -> bool:
    """The quantizer recommends a step that brings nothing here, at each call."""
    return not record.getMessage().startswith("Please consider to run pre-processing")


def _whole(model: Any) -> Any:
    """The model as a function of tensors alone."""
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        @override
        def forward(self, *inputs: Any) -> Any:
            features = dict(zip(_INPUTS, inputs, strict=False))
            return self.model(features)["sentence_embedding"]

    return Whole()


@final
class OnnxEncoder(Shown):
    """Reads with an exported ONNX model.

    Args:
        folder: What `export(..., format="onnx")` wrote.
        batch_size: Texts in one run.
        threads: Threads of the runtime.

    Raises:
        MissingExtraError: If onnxruntime is not installed.
        ModelLoadError: If the folder holds no such model.
    """

    def __init__(self, folder: str | Path, *, batch_size: int = 16, threads: int = 1) -> None:
        check.count("batch_size", batch_size)
        check.count("threads", threads)
        runtime = extra("onnxruntime", extra="onnx", purpose="Reading with ONNX")
        from transformers import AutoTokenizer

        home = Path(folder)
        try:
            settings = json.loads((home / SETTINGS_FILE).read_text(encoding="utf-8"))
            data = (home / MODEL_FILE).read_bytes()
            self._tokenizer = AutoTokenizer.from_pretrained(str(home), local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelLoadError(f"{home} must hold an exported ONNX model: {error}.") from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._inputs: list[str] = settings["inputs"]
        self._max_tokens = int(settings["max_tokens"])
        self._batch_size = batch_size
        self.fingerprint = content_hash(data)

    @override
    def title(self) -> str:
        return (
            f"ONNX encoder {self.fingerprint[:12]}, {counted(self._max_tokens, 'token')} at most"
        )

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "longest text": self._max_tokens,
            "batch size": self._batch_size,
            "dim": self.dim,
            "fingerprint": self.fingerprint[:12],
        }
        return Table.of(self.title(), facts)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self._session.get_outputs()[0].shape[1])

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts; equal ones are read once, in order of length.
            kind: Without effect: the exported model has one tower.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        unique, place = distinct(texts, kind)
        vectors = np.empty((len(unique), self.dim), dtype=np.float32)
        order = np.argsort([len(text) for text in unique], kind="stable")
        for begin in range(0, order.size, self._batch_size):
            rows = order[begin : begin + self._batch_size]
            read = self._tokenizer(
                [unique[row] for row in rows.tolist()],
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_tensors="np",
            )
            feed = {name: read[name].astype(np.int64) for name in self._inputs}
            vectors[rows] = self._session.run(None, feed)[0]
        return unit_rows(vectors)[place]
