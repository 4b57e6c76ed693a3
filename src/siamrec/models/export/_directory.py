"""The folder of sentence-transformers, with the head of an adapter as ordinary layers."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidParameterError
from siamrec.models.encoders import (
    AdapterEncoder,
    CachedEncoder,
    SentenceEncoder,
    StaticEncoder,
)
from siamrec.models.encoders.sentence import quietly

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense

    from siamrec.protocols import SiameseEncoder

_WORD_MARK = "\u2581"
_LEGACY_MODES = ("cls", "max", "mean", "mean_sqrt_len", "weightedmean", "lasttoken")


def as_sentence_transformer(encoder: SiameseEncoder) -> SentenceTransformer:
    """Return an encoder as one model of sentence-transformers; nothing of it is shared.

    The bent part of an adapter becomes two dense layers, exactly, since
    `x = max(0, x) - max(0, -x)`.

    Raises:
        InvalidParameterError: If the encoder is of another kind.
    """
    if isinstance(encoder, CachedEncoder):
        return as_sentence_transformer(encoder.base)
    if isinstance(encoder, SentenceEncoder):
        return copy.deepcopy(encoder.model)
    if isinstance(encoder, StaticEncoder):
        return _of_words(encoder)
    if isinstance(encoder, AdapterEncoder):
        return _with_head(as_sentence_transformer(encoder.base), encoder)
    raise InvalidParameterError(
        "encoder",
        type(encoder).__name__,
        "a SentenceEncoder or a StaticEncoder, or an AdapterEncoder on one",
    )


def write_directory(encoder: SiameseEncoder, folder: Path, *, legacy: bool) -> None:
    """Write the model; with `legacy`, in the words of sentence-transformers before version 6.

    Args:
        encoder: The encoder.
        folder: Where to.
        legacy: Whether readers that know only the old module and pooling names must understand it.
    """
    model = as_sentence_transformer(encoder)
    with quietly():
        model.save_pretrained(str(folder), create_model_card=False)
    if legacy:
        _rename_modules(folder, model.max_seq_length)


def prompts_of(encoder: SiameseEncoder) -> list[str]:
    """Return the names of the prompts that a model puts before texts; [] without any."""
    if isinstance(encoder, CachedEncoder | AdapterEncoder):
        return prompts_of(encoder.base)
    if not isinstance(encoder, SentenceEncoder):
        return []
    return sorted(name for name, prompt in encoder.model.prompts.items() if prompt)


def is_static(encoder: SiameseEncoder) -> bool:
    """Return whether an encoder is a table of words, with or without a head."""
    if isinstance(encoder, CachedEncoder | AdapterEncoder):
        return is_static(encoder.base)
    return isinstance(encoder, StaticEncoder)


def _of_words(encoder: StaticEncoder) -> SentenceTransformer:
    """A table of words as modules: the mean of known words, the common vector, and the length.

    Words that the table does not know must leave no trace. A tokenizer of whole words would need
    a token for them; byte pairs without one split them into letters, and no letter is in a
    vocabulary whose entries all begin with a mark.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        StaticEmbedding,
    )
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

    vocabulary = {f"{_WORD_MARK}{word}": code for code, word in enumerate(encoder.words)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.normalizer = normalizers.Lowercase()
    split = pre_tokenizers.Split(Regex(r"[^\w]+"), "removed")
    mark = pre_tokenizers.Metaspace(_WORD_MARK, prepend_scheme="always", split=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, mark])
    words, common = encoder.vectors[:-1], encoder.vectors[-1]
    table = StaticEmbedding(tokenizer, embedding_weights=np.array(words))
    lifted = _dense(np.eye(encoder.dim), common)
    return SentenceTransformer(modules=[table, lifted, Normalize()], device="cpu")


def _dense(weight: np.ndarray, bias: np.ndarray, *, bent: bool = False) -> Dense:
    import torch
    from sentence_transformers.sentence_transformer.modules import Dense

    activation = torch.nn.ReLU() if bent else torch.nn.Identity()
    layer = Dense(weight.shape[1], weight.shape[0], activation_function=activation)
    layer.linear.weight.data = torch.tensor(weight, dtype=torch.float32)
    layer.linear.bias.data = torch.tensor(bias, dtype=torch.float32)
    return layer


def _with_head(model: SentenceTransformer, head: AdapterEncoder) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    modules = [module for module in model]  # noqa: C416  (a Sequential is no Iterable to mypy)
    if not isinstance(modules[-1], Normalize):
        modules.append(Normalize())
    dim, base_dim = head.weight.shape
    bias = np.zeros(dim) if head.bias is None else head.bias
    if head.inner is None or head.inner_bias is None or head.outer is None:
        modules.append(_dense(head.weight, bias))
    else:
        eye = np.eye(base_dim)
        spread = np.concatenate([eye, -eye, head.inner])
        lift = np.concatenate([np.zeros(2 * base_dim), head.inner_bias])
        fold = np.concatenate([head.weight, -head.weight, head.outer], axis=1)
        modules.append(_dense(spread, lift, bent=True))
        modules.append(_dense(fold, bias))
    modules.append(Normalize())
    return SentenceTransformer(modules=modules, device=str(model.device))


def _rename_modules(folder: Path, length: int | None) -> None:
    listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    for module in listed:
        kind = module["type"].rpartition(".")[2]
        module["type"] = f"sentence_transformers.models.{kind}"
        home = folder / module["path"]
        if kind == "Pooling":
            _rename_pooling(home / "config.json")
        elif kind == "Transformer":
            settings = {"max_seq_length": length, "do_lower_case": False}
            (home / "sentence_bert_config.json").write_text(json.dumps(settings), "utf-8")
        elif kind == "Dense":
            _keep(home / "config.json")
    (folder / "modules.json").write_text(json.dumps(listed, indent=2), encoding="utf-8")


def _keep(path: Path) -> None:
    """Keep only what old readers know: they pass every key on, and fail at one that is new."""
    config = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: config[name] for name in _OF_DENSE}
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")


def _rename_pooling(path: Path) -> None:
    config = json.loads(path.read_text(encoding="utf-8"))
    mode = config.get("pooling_mode", "mean")
    modes = {mode} if isinstance(mode, str) else set(mode)
    old = {f"pooling_mode_{name}{_TOKENS.get(name, '')}": name in modes for name in _LEGACY_MODES}
    dim = config.get("embedding_dimension") or config.get("word_embedding_dimension")
    kept = {
        "word_embedding_dimension": dim,
        **old,
        "include_prompt": config.get("include_prompt", True),
    }
    path.write_text(json.dumps(kept, indent=2), encoding="utf-8")


_OF_DENSE = ("in_features", "out_features", "bias", "activation_function")
_TOKENS = {
    "cls": "_token",
    "max": "_tokens",
    "mean": "_tokens",
    "mean_sqrt_len": "_tokens",
    "weightedmean": "_tokens",
}
