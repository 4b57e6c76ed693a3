"""A fingerprint names all that makes a vector; a cache belongs to one, whoever asks it."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling

from siamrec.models import CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from siamrec.typing import Float32Array

WORDS = ["red green", "green blue", "blue grey", "grey red", "red"]


def model(words: Sequence[str] = WORDS) -> SentenceTransformer:
    return tiny_model(words, dim=16, layers=1)


def with_pooling(mode: str) -> SentenceTransformer:
    made = model()
    transformer, _, normalise = made
    made_of: Any = [transformer, Pooling(16, pooling_mode=mode), normalise]
    return SentenceTransformer(modules=made_of, device="cpu")


def changed(change: Callable[[Any], object]) -> SentenceTransformer:
    made = model()
    change(made)
    return made


OTHERS: dict[str, Callable[[], SentenceTransformer]] = {
    "pooling": lambda: with_pooling("cls"),
    "prompts": lambda: changed(lambda m: m.prompts.update(query="ask: ")),
    "default prompt": lambda: changed(lambda m: setattr(m, "default_prompt_name", "query")),
    "longest text": lambda: changed(lambda m: setattr(m, "max_seq_length", 8)),
    "cut of the vector": lambda: changed(lambda m: setattr(m, "truncate_dim", 8)),
    "words": lambda: model(["grey blue", "blue green", "green red"]),
    "heads": lambda: changed(lambda m: setattr(m[0].auto_model.config, "num_attention_heads", 2)),
}


def test_equal_models_have_one_fingerprint(tmp_path: Path) -> None:
    encoder = SentenceEncoder.of(model())
    assert encoder.fingerprint == SentenceEncoder.of(model()).fingerprint
    before = encoder.fingerprint
    encoder.encode(WORDS)  # what a call sets anew in the tokenizer does not count
    assert encoder.fingerprint == before
    encoder.save(tmp_path / "model")
    assert SentenceEncoder(tmp_path / "model").fingerprint == before


@pytest.mark.parametrize("what", OTHERS)
def test_whatever_changes_a_vector_changes_the_fingerprint(what: str) -> None:
    plain = SentenceEncoder.of(model())
    assert SentenceEncoder.of(OTHERS[what]()).fingerprint != plain.fingerprint


def test_weights_trained_in_place_are_noticed() -> None:
    made = model()
    encoder = SentenceEncoder.of(made, precision="float32")
    cached = CachedEncoder(encoder)
    before, old = encoder.fingerprint, cached.encode(WORDS)
    optimiser = torch.optim.SGD(made.parameters(), lr=0.5)
    features = made.tokenize(WORDS) if hasattr(made, "tokenize") else made.preprocess(WORDS)
    made(features)["sentence_embedding"][:, 0].sum().backward()
    optimiser.step()
    made.eval()
    assert encoder.fingerprint != before
    new = cached.encode(WORDS)
    assert np.abs(new - old).max() > 1e-3
    np.testing.assert_allclose(new, encoder.encode(WORDS), atol=1e-5)


def test_two_encoders_share_a_folder_and_no_vector(tmp_path: Path) -> None:
    encoders = [SentenceEncoder.of(each) for each in (model(), with_pooling("cls"))]
    vectors = [CachedEncoder(each, folder=tmp_path).encode(WORDS) for each in encoders]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    again = [CachedEncoder(each, folder=tmp_path).encode(WORDS) for each in encoders]
    for one, two in zip(vectors, again, strict=True):
        np.testing.assert_array_equal(one, two)


class Slow:
    """An encoder that gives others time to come between."""

    dim, fingerprint = 8, "slow"

    def __init__(self) -> None:
        self.read = 0

    def encode(self, texts: Sequence[str], *, kind: str = "document") -> Float32Array:
        del kind
        self.read += len(texts)
        sleep(0.001)
        return HashingEncoder(dim=8).encode(texts)


def test_eight_threads_share_a_cache() -> None:
    base = Slow()
    cached = CachedEncoder(base)
    texts = [f"word{code} of{code % 7}" for code in range(120)]
    expected = HashingEncoder(dim=8).encode(texts)

    def ask(seed: int) -> bool:
        rows = np.random.default_rng(seed).choice(120, 20)
        return bool((cached.encode([texts[row] for row in rows]) == expected[rows]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(80)))
    assert base.read == cached.misses <= 120  # nothing was read twice


def test_a_cache_can_be_copied() -> None:
    cached = CachedEncoder(HashingEncoder(dim=8))
    cached.encode(["red"])
    other = copy.deepcopy(cached)
    other.encode(["blue"])
    assert (cached.misses, other.misses) == (1, 2)


def test_a_model_is_saved_the_same_before_and_after_it_was_used(tmp_path: Path) -> None:
    encoder = SentenceEncoder.of(tiny_model(["a b c", "d e"], dim=16, layers=1))
    encoder.save(tmp_path / "fresh")
    vectors = encoder.encode(["a b c d", "e"])
    encoder.save(tmp_path / "used")
    again = SentenceEncoder(tmp_path / "used")
    again.save(tmp_path / "again")
    files = [
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / name for name in ("fresh", "used", "again"))
    ]
    made = [path for path in files[0] if path.suffix != ".md"]
    assert {path.name for path in made} >= {"tokenizer.json", "model.safetensors"}
    assert files[1].keys() >= set(made)
    for path in made:
        assert files[0][path] == files[1][path] == files[2][path], path
    assert again.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(again.encode(["a b c d", "e"]), vectors)
