"""GGUF files of BERT encoders, for llama.cpp and Ollama."""

from __future__ import annotations

import copy
import re
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core import check
from siamrec._core.lazy import extra
from siamrec.errors import InvalidParameterError
from siamrec.models.encoders import CachedEncoder, SentenceEncoder
from siamrec.models.export._directory import prompts_of

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

QUANTIZATIONS = ("f32", "f16", "bf16", "q8_0")
_POOLING = {"mean": 1, "cls": 2, "lasttoken": 3}
_ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast")
_SKIPPED = ("pooler.", "embeddings.position_ids")
_SPACE = "\u2581"
_LONGEST_WORD = 100
_SPECIAL = re.compile(r"\[(CLS|SEP|PAD|UNK|MASK)\]")


def read_by_llama(text: str) -> bool:
    """Return whether llama.cpp's tokenizer reads a text as WordPiece does.

    It drops every combining mark, where WordPiece keeps those that take up space: the vowel signs
    of Devanagari and Bengali, and the vowels and final consonants of Hangul. It also knows no
    special token in a text, and no limit to the length of a word.
    """
    if max(map(len, text.split()), default=0) > _LONGEST_WORD or _SPECIAL.search(text):
        return False
    return not any(
        unicodedata.category(sign) == "Mc" or "\u1160" <= sign <= "\u11ff"
        for sign in unicodedata.normalize("NFD", text)
    )


def exportable(encoder: SiameseEncoder) -> SentenceEncoder:
    """Return the BERT encoder behind `encoder`.

    Raises:
        InvalidParameterError: If llama.cpp's BERT cannot express it; the message says what to do.
    """
    inner = encoder.base if isinstance(encoder, CachedEncoder) else encoder
    if not isinstance(inner, SentenceEncoder):
        raise InvalidParameterError(
            "encoder",
            type(inner).__name__,
            "a SentenceEncoder: GGUF knows no head behind the pooling, so tune with strategy "
            "'full', or export as 'sentence-transformers' or 'onnx'",
        )
    hf: Any = inner.model[0].auto_model
    kind = getattr(hf.config, "model_type", "unknown")
    if kind != "bert":
        raise InvalidParameterError("architecture", kind, "'bert' for GGUF")
    _require_known_parts(hf.config)
    _require_known_tokenizer(inner)
    prompts = prompts_of(inner)
    if prompts:
        raise InvalidParameterError(
            "prompts",
            prompts,
            "none for GGUF, which holds none: its reader would embed bare texts; export as "
            "'sentence-transformers', or clear them and put them before the texts yourself",
        )
    _pooling_type(inner)
    return inner


def _require_known_parts(config: Any) -> None:
    """What the architecture of llama.cpp takes for granted; no file can say otherwise."""
    activation = getattr(config, "hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise InvalidParameterError("hidden_act", activation, f"one of {_ACTIVATIONS} for GGUF")
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    if positions != "absolute":
        raise InvalidParameterError("position_embedding_type", positions, "'absolute' for GGUF")


def _require_known_tokenizer(encoder: SentenceEncoder) -> None:
    backend = getattr(encoder.model.tokenizer, "backend_tokenizer", None)
    normalizer = getattr(backend, "normalizer", None)
    if normalizer is None or normalizer.normalize_str("Heat") != "heat":
        raise InvalidParameterError(
            "tokenizer", "cased", "one that lower-cases: Ollama's reader always does"
        )
    if normalizer.normalize_str("caf\u00e9") != "cafe":
        raise InvalidParameterError(
            "strip_accents", False, "on in the tokenizer: Ollama's reader always drops accents"
        )
    if normalizer.normalize_str("\u6620\u753b").split() != ["\u6620", "\u753b"]:
        raise InvalidParameterError(
            "handle_chinese_chars",
            False,
            "on in the tokenizer: Ollama's reader always parts these characters",
        )


def _pooling_type(encoder: SentenceEncoder) -> int:
    mode = getattr(encoder.model[1], "pooling_mode", None)
    names = (mode,) if isinstance(mode, str) else tuple(mode or ())
    if len(names) != 1 or names[0] not in _POOLING:
        raise InvalidParameterError("pooling", mode, f"one of {sorted(_POOLING)} for GGUF")
    kinds = [type(module).__name__ for module in encoder.model]
    if kinds[2:] not in ([], ["Normalize"]):
        raise InvalidParameterError(
            "modules", kinds, "Transformer, Pooling and Normalize for GGUF"
        )
    return _POOLING[names[0]]


def _bert(encoder: SentenceEncoder) -> Any:
    return encoder.model[0].auto_model


def write_gguf(encoder: SentenceEncoder, path: Path, *, quantization: str) -> None:
    """Write the file.

    Args:
        encoder: A BERT encoder, see `exportable`.
        path: The file.
        quantization: `"f32"`, `"f16"`, `"bf16"` or `"q8_0"`.

    Raises:
        MissingExtraError: If the package `gguf` is not installed.
        UnknownNameError: If the quantization is not known.
    """
    check.one_of("quantization", quantization, QUANTIZATIONS)
    gguf = extra("gguf", extra="gguf", purpose="Exporting to GGUF")
    hf: Any = encoder.model[0].auto_model
    length = min(encoder.model.max_seq_length or 512, hf.config.max_position_embeddings)
    writer = gguf.GGUFWriter(str(path), "bert")
    _write_settings(writer, gguf, encoder, length, quantization)
    _write_tokens(writer, gguf, encoder)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, hf.config.num_hidden_layers)
    for name, tensor in hf.state_dict().items():
        if name.startswith(_SKIPPED):
            continue
        values = tensor.detach().float().numpy()
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise InvalidParameterError("tensor", name, "one of BERT's for GGUF")
        if name.startswith("embeddings.position_embeddings"):
            values = values[:length]
        kind = _kind_of(gguf, name, values, quantization)
        writer.add_tensor(target, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _kind_of(gguf: Any, name: str, values: np.ndarray, quantization: str) -> Any:
    """Vectors, norms and the small embedding tables stay exact, as in llama.cpp's converter."""
    exact = (
        values.ndim == 1 or "LayerNorm" in name or "position_emb" in name or "token_type" in name
    )
    return gguf.GGMLQuantizationType["F32" if exact else quantization.upper()]


def _write_settings(
    writer: Any, gguf: Any, encoder: SentenceEncoder, length: int, quantization: str
) -> None:
    config: Any = _bert(encoder).config
    writer.add_name(encoder.name.rpartition("/")[2])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType(_pooling_type(encoder)))
    types = {"f32": "ALL_F32", "f16": "MOSTLY_F16", "bf16": "MOSTLY_BF16", "q8_0": "MOSTLY_Q8_0"}
    writer.add_file_type(gguf.LlamaFileType[types[quantization]])


def _write_tokens(writer: Any, gguf: Any, encoder: SentenceEncoder) -> None:
    tokenizer = encoder.model.tokenizer
    size = _bert(encoder).config.vocab_size
    by_code = {code: token for token, code in tokenizer.get_vocab().items()}
    special = set(tokenizer.all_special_tokens)
    tokens, kinds = [], []
    for code in range(size):
        token = by_code.get(code, f"[PAD{code}]")
        control = token in special or code not in by_code
        kinds.append(gguf.TokenType.CONTROL if control else gguf.TokenType.NORMAL)
        tokens.append(token if control else _phantom(token))
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("jina-v2-en")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_type_count(_bert(encoder).config.type_vocab_size)
    writer.add_bos_token_id(tokenizer.cls_token_id)
    writer.add_eos_token_id(tokenizer.sep_token_id)
    writer.add_sep_token_id(tokenizer.sep_token_id)
    writer.add_unk_token_id(tokenizer.unk_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_mask_token_id(tokenizer.mask_token_id)


def _phantom(token: str) -> str:
    """llama.cpp marks the beginning of a word, WordPiece its continuation."""
    return token[2:] if token.startswith("##") else _SPACE + token


def read_back(path: Path, encoder: SentenceEncoder, texts: list[str]) -> Float32Array:
    """Return the vectors of `texts` from the numbers in a GGUF file.

    The file is read, its tensors are expanded and put into a copy of the model, and every token
    and setting is compared; so a wrong name, order, shape or rounding shows.

    Raises:
        InvalidParameterError: If a tensor or a token is missing or differs in shape.
    """
    gguf = extra("gguf", extra="gguf", purpose="Reading GGUF")
    reader = gguf.GGUFReader(str(path))
    model = copy.deepcopy(encoder.model)
    hf: Any = model[0].auto_model
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, hf.config.num_hidden_layers)
    stored = {t.name: gguf.quants.dequantize(t.data, t.tensor_type) for t in reader.tensors}
    import torch

    with torch.no_grad():
        for name, parameter in hf.named_parameters():
            if name.startswith(_SKIPPED):
                continue
            target = names.get_name(name, try_suffixes=(".weight", ".bias"))
            values = torch.from_numpy(np.array(stored[target], dtype=np.float32))
            parameter[: values.shape[0]] = values.reshape(-1, *parameter.shape[1:])
    _compare_tokens(reader, encoder)
    return SentenceEncoder.of(model).encode(texts)


def _compare_tokens(reader: Any, encoder: SentenceEncoder) -> None:
    listed = reader.fields["tokenizer.ggml.tokens"].contents()
    for token, code in encoder.model.tokenizer.get_vocab().items():
        if listed[code] not in (token, _phantom(token)):
            raise InvalidParameterError("token", listed[code], f"{token!r} in place {code}")
