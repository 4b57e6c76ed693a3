"""Exports are read back and compared; what a format cannot say is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec._core.book import Book
from siamrec.errors import (
    InvalidParameterError,
    RegressionFound,
    StorageError,
    UnknownNameError,
)
from siamrec.models import (
    AdapterEncoder,
    CachedEncoder,
    HashingEncoder,
    SentenceEncoder,
    StaticEncoder,
)
from siamrec.models.export import (
    EXPORTERS,
    SAMPLE_TEXTS,
    Exporter,
    ParityReport,
    Thresholds,
    _gguf,
    export,
)
from siamrec.models.export import exporter as room
from siamrec.models.export._directory import as_sentence_transformer
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

TEXTS = ["a heist", "a love story", "robots", "a heist story", "love robots", "a a a"]


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder.of(tiny_model(TEXTS), name="tiny")


def normal(*shape: int) -> Float32Array:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@pytest.fixture(params=["linear", "bent", "smaller"])
def tuned(request: pytest.FixtureRequest, encoder: SentenceEncoder) -> AdapterEncoder:
    encoder = SentenceEncoder.of(encoder.model, name="tiny", precision="float32")
    if request.param == "linear":
        return AdapterEncoder(encoder, normal(32, 32), normal(32))
    if request.param == "smaller":
        return AdapterEncoder(encoder, normal(8, 32))
    return AdapterEncoder(
        encoder, normal(32, 32), normal(32), normal(6, 32), normal(6), normal(32, 6)
    )


@pytest.mark.parametrize("form", ["sentence-transformers", "sentence-transformers-legacy"])
def test_a_head_becomes_ordinary_layers(tmp_path: Path, tuned: AdapterEncoder, form: str) -> None:
    report = export(CachedEncoder(tuned), tmp_path / "out", format=form, texts=TEXTS)
    assert report.least_cosine > 0.99995  # read back in bfloat16 where the processor has it
    again = SentenceEncoder(tmp_path / "out", precision="float32")
    np.testing.assert_allclose(again.encode(TEXTS), tuned.encode(TEXTS), atol=1e-5)
    stored = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert stored["passed"] is True


def test_legacy_names_are_those_that_old_readers_know(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    export(encoder, tmp_path / "out", format="sentence-transformers-legacy", texts=TEXTS)
    modules = json.loads((tmp_path / "out" / "modules.json").read_text())
    assert [module["type"] for module in modules] == [
        "sentence_transformers.models.Transformer",
        "sentence_transformers.models.Pooling",
        "sentence_transformers.models.Normalize",
    ]
    pooling = json.loads((tmp_path / "out" / modules[1]["path"] / "config.json").read_text())
    assert pooling["pooling_mode_mean_tokens"] is True
    assert pooling["pooling_mode_cls_token"] is False
    assert pooling["word_embedding_dimension"] == 32


def test_legacy_settings_hold_no_key_that_old_readers_do_not_know(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    """Before version 6 each key went to the constructor of its module."""
    head = AdapterEncoder(encoder, normal(32, 32), normal(32))
    export(head, tmp_path / "out", format="sentence-transformers-legacy", texts=TEXTS)
    read = {
        str(path.relative_to(tmp_path / "out")): json.loads(path.read_text())
        for path in (tmp_path / "out").rglob("*.json")
    }
    assert read["sentence_bert_config.json"] == {"max_seq_length": 32, "do_lower_case": False}
    assert read["3_Dense/config.json"] == {
        "in_features": 32,
        "out_features": 32,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }


def test_the_encoder_itself_is_not_shared(encoder: SentenceEncoder) -> None:
    before = encoder.fingerprint
    copy = as_sentence_transformer(encoder)
    next(copy.parameters()).data.add_(1.0)
    assert SentenceEncoder.of(encoder.model).fingerprint == before


def test_an_export_that_differs_is_refused_and_leaves_nothing(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(encoder: object, folder: Path, texts: list[str]) -> tuple[Float32Array, str]:
        return np.eye(len(texts), 32, dtype=np.float32), "a broken reader"

    broken = room.Exporter(room._write_modern, wrong, room._EXACT)
    monkeypatch.setattr(
        room, "EXPORTERS", Book("format", {"sentence-transformers": broken}, contract=Exporter)
    )
    with pytest.raises(RegressionFound, match="nothing was written"):
        export(encoder, tmp_path / "out", format="sentence-transformers", texts=TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_has_no_quantization(tmp_path: Path, encoder: SentenceEncoder) -> None:
    with pytest.raises(InvalidParameterError, match="quantization must be None: sentence-tr"):
        export(
            encoder,
            tmp_path / "a",
            format="sentence-transformers",
            quantization="f16",
            texts=TEXTS,
        )


def test_likeness_by_hand() -> None:
    before = np.eye(4, dtype=np.float32)
    after = before.copy()
    after[0] = [0.6, 0.8, 0.0, 0.0]
    report = ParityReport.of(
        "x", before, after, checked_by="hand", thresholds=Thresholds(0.9, 0.0)
    )
    assert report.least_cosine == pytest.approx(0.6)
    assert report.mean_cosine == pytest.approx(0.9)
    assert not report.passed


def test_bad_requests_are_clear(tmp_path: Path, encoder: SentenceEncoder) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'gguf'"):
        export(encoder, tmp_path / "a", format="guff")
    with pytest.raises(UnknownNameError, match="quantization"):
        export(encoder, tmp_path / "a", format="gguf", quantization="q2")
    with pytest.raises(InvalidParameterError, match="at least 3 different texts"):
        export(encoder, tmp_path / "a", format="sentence-transformers", texts=["a"])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InvalidParameterError, match="a folder that is empty"):
        export(encoder, tmp_path / "full", format="sentence-transformers")
    with pytest.raises(InvalidParameterError, match="a SentenceEncoder or a StaticEncoder"):
        export(HashingEncoder(), tmp_path / "a", format="sentence-transformers")


def test_a_table_of_words_becomes_a_folder_for_sentence_transformers(tmp_path: Path) -> None:
    spoken = ["a heist in paris", "love in paris", "a robot in love", "Été à Paris: a heist"]
    static = StaticEncoder.distilled(HashingEncoder(dim=16), spoken, least=1, ridge=0.01)
    head = AdapterEncoder(static, normal(8, 16), normal(8), normal(4, 16), normal(4), normal(8, 4))
    asked = [*spoken, "nobody knows these", "a", "heists a1 paris2", "A HEIST, été!", "p"]
    both: list[SiameseEncoder] = [static, CachedEncoder(head)]
    for number, encoder in enumerate(both):
        folder = tmp_path / str(number)
        report = export(encoder, folder, format="static", texts=asked)
        assert report.least_cosine > 0.99999
        np.testing.assert_allclose(
            SentenceEncoder(folder, precision="float32").encode(asked),
            encoder.encode(asked),
            atol=1e-5,
        )


def test_only_tables_of_words_are_static(tmp_path: Path, encoder: SentenceEncoder) -> None:
    with pytest.raises(InvalidParameterError, match=r"StaticEncoder\.distilled"):
        export(encoder, tmp_path / "a", format="static", texts=TEXTS)
    static = StaticEncoder(("a",), normal(2, 4))
    with pytest.raises(InvalidParameterError, match="one that reads tokens, for ONNX"):
        export(static, tmp_path / "b", format="onnx", texts=TEXTS)
    with pytest.raises(InvalidParameterError, match="a SentenceEncoder: GGUF"):
        export(static, tmp_path / "c", format="gguf", texts=TEXTS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", sorted(EXPORTERS.house()))
def test_every_format_writes_its_report_and_refuses_on_failure(
    tmp_path: Path, encoder: SentenceEncoder, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = StaticEncoder(("a", "heist"), normal(3, 32)) if form == "static" else encoder
    report = export(subject, tmp_path / "good", format=form, texts=TEXTS)
    stored = json.loads((tmp_path / "good" / "parity.json").read_text())
    assert stored["passed"] is True
    assert stored["least_cosine"] == report.least_cosine >= report.thresholds.cosine

    made = EXPORTERS.factory(form)
    broken = replace(
        made, read=lambda _, folder, texts: (-made.read(subject, folder, texts)[0], "")
    )
    monkeypatch.setattr(room, "EXPORTERS", Book("format", {form: broken}, contract=Exporter))
    with pytest.raises(RegressionFound, match="nothing was written"):
        export(subject, tmp_path / "bad", format=form, texts=TEXTS)
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_a_full_disk_leaves_nothing(
    tmp_path: Path, encoder: SentenceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(encoder: object, folder: Path, quantization: str | None) -> None:
        (folder / "half").write_text("half")
        raise OSError(28, "No space left on device")

    broken = replace(EXPORTERS.factory("sentence-transformers"), write=full)
    monkeypatch.setattr(
        room, "EXPORTERS", Book("format", {"sentence-transformers": broken}, contract=Exporter)
    )
    with pytest.raises(StorageError, match="No space left on device"):
        export(encoder, tmp_path / "out", format="sentence-transformers", texts=TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_gguf_refuses_what_llama_cannot_say(
    tmp_path: Path, encoder: SentenceEncoder, tuned: AdapterEncoder
) -> None:
    with pytest.raises(InvalidParameterError, match="GGUF knows no head behind the pooling"):
        export(tuned, tmp_path / "a", format="gguf", texts=TEXTS)


def prompted() -> SentenceEncoder:
    model = tiny_model(TEXTS)
    model.prompts = {"query": "heist: ", "document": ""}
    return SentenceEncoder.of(model)


def activated() -> SentenceEncoder:
    model = tiny_model(TEXTS)
    model[0].auto_model.config.hidden_act = "relu"  # type: ignore[union-attr]
    return SentenceEncoder.of(model)


def placed() -> SentenceEncoder:
    model = tiny_model(TEXTS)
    model[0].auto_model.config.position_embedding_type = "relative_key"  # type: ignore[union-attr]
    return SentenceEncoder.of(model)


def accented() -> SentenceEncoder:
    from tokenizers.normalizers import BertNormalizer

    model = tiny_model(TEXTS)
    keeps = BertNormalizer(lowercase=True, strip_accents=False)
    model.tokenizer.backend_tokenizer.normalizer = keeps
    return SentenceEncoder.of(model)


def unparted() -> SentenceEncoder:
    from tokenizers.normalizers import BertNormalizer

    model = tiny_model(TEXTS)
    whole = BertNormalizer(lowercase=True, handle_chinese_chars=False)
    model.tokenizer.backend_tokenizer.normalizer = whole
    return SentenceEncoder.of(model)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (prompted, "prompts"),
        (activated, "hidden_act"),
        (placed, "position_embedding_type"),
        (accented, "strip_accents"),
        (unparted, "handle_chinese_chars"),
    ],
)
def test_gguf_refuses_by_name_what_its_readers_take_for_granted(
    tmp_path: Path, make: Callable[[], SentenceEncoder], name: str
) -> None:
    """What is read back goes into a copy of the model, so only a refusal can tell."""
    with pytest.raises(InvalidParameterError, match=f"^{name} must be"):
        export(make(), tmp_path / "out", format="gguf", texts=TEXTS)
    assert not (tmp_path / "out").exists()


def test_onnx_refuses_prompts_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"^prompts must be none for ONNX.*'query'"):
        export(prompted(), tmp_path / "out", format="onnx", texts=TEXTS)


def test_gguf_refuses_cased_tokenizers_and_other_architectures(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers.normalizers import BertNormalizer
    from transformers import DistilBertConfig, DistilBertModel

    cased = tiny_model(TEXTS)
    cased.tokenizer.backend_tokenizer.normalizer = BertNormalizer(lowercase=False)
    with pytest.raises(InvalidParameterError, match="tokenizer must be one that lower-cases"):
        export(SentenceEncoder.of(cased), tmp_path / "a", format="gguf", texts=TEXTS)
    config = DistilBertConfig(vocab_size=20, dim=32, n_layers=1, n_heads=4, hidden_dim=64)
    DistilBertModel(config).save_pretrained(tmp_path / "distilbert")
    tiny_model(TEXTS).tokenizer.save_pretrained(str(tmp_path / "distilbert"))
    other = SentenceTransformer(
        modules=[Transformer(str(tmp_path / "distilbert")), Pooling(32)], device="cpu"
    )
    with pytest.raises(InvalidParameterError, match="architecture must be 'bert' for GGUF"):
        export(SentenceEncoder.of(other), tmp_path / "b", format="gguf", texts=TEXTS)
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        ("Trois sœurs à Łódź, 東京, дорога, ガラス, الفَتَاةُ, Cô gái", True),
        ("한 소녀", False),
        ("एक लड़की", False),
        ("একটি মেয়ে", False),
        ("a [SEP] b", False),
        ("w" * 101, False),
        ("", True),
    ],
)
def test_what_llama_cpp_reads_otherwise_is_known(text: str, alike: bool) -> None:  # noqa: FBT001
    assert _gguf.read_by_llama(text) is alike


def test_texts_that_a_reader_reads_otherwise_are_left_out_and_named(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    korean = "한 소녀와 그녀의 용"
    report = export(encoder, tmp_path / "out", format="gguf", texts=[*TEXTS, korean])
    assert report.left_out == (korean,)
    assert report.texts == len(TEXTS)
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["left_out"] == [korean]
    with pytest.raises(InvalidParameterError, match="3 different texts that readers of gguf"):
        export(encoder, tmp_path / "b", format="gguf", texts=[*TEXTS[:2], korean])


@pytest.mark.skipif(find_spec("llama_cpp") is None, reason="needs llama-cpp-python")
@pytest.mark.parametrize("quantization", ["f32", "f16", "bf16", "q8_0"])
def test_llama_cpp_gives_the_same_vectors_of_the_real_model(
    tmp_path: Path, quantization: str
) -> None:
    real = SentenceEncoder("all-MiniLM-L6-v2", precision="float32")
    report = export(real, tmp_path / "out", format="gguf", quantization=quantization)
    assert report.checked_by == "llama.cpp"
    assert report.texts == len(SAMPLE_TEXTS) - 1, "all but the Korean one"
    assert report.least_cosine > (0.998 if quantization == "q8_0" else 0.9999)


@pytest.mark.skipif(find_spec("gguf") is None, reason="needs the extra [gguf]")
@pytest.mark.parametrize("quantization", ["f32", "f16", "bf16", "q8_0"])
def test_gguf_holds_the_same_numbers_and_tokens(
    tmp_path: Path, encoder: SentenceEncoder, quantization: str
) -> None:
    report = export(
        encoder, tmp_path / "out", format="gguf", quantization=quantization, texts=TEXTS
    )
    assert report.passed
    assert (tmp_path / "out" / "Modelfile").read_text().startswith("FROM ./model.gguf\n")


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs the extra [onnx]",
)
def test_onnx_says_the_same(tmp_path: Path, tuned: AdapterEncoder) -> None:
    assert export(tuned, tmp_path / "out", format="onnx", texts=TEXTS).least_cosine > 0.9999


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="needs the extra [onnx]",
)
def test_onnx_in_bytes_is_smaller_and_says_nearly_the_same(
    tmp_path: Path, encoder: SentenceEncoder
) -> None:
    whole = export(encoder, tmp_path / "f32", format="onnx", texts=TEXTS)
    small = export(encoder, tmp_path / "int8", format="onnx", quantization="int8", texts=TEXTS)
    assert small.thresholds.cosine <= small.least_cosine < whole.least_cosine
    files = {path.name for path in (tmp_path / "int8").iterdir()}
    assert "model.onnx" in files
    assert not any(name.endswith(".whole.onnx") for name in files)
