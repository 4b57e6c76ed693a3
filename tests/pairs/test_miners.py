"""Miners of other libraries: what they find, and that they keep our promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siamrec.data import Pairs, Vocabulary
from siamrec.errors import InvalidParameterError, MissingExtraError, UnknownNameError
from siamrec.models import HashingEncoder, SentenceEncoder
from siamrec.pairs import HardNegatives, Miner, SentenceTransformersMiner
from siamrec.pairs._search import SEARCHES, nearest
from siamrec.plugins import Registry
from siamrec.testing.tiny import tiny_model

TEXTS = [f"w{k % 7} w{k % 5} w{k % 3} n{k}" for k in range(24)]


def pairs_of() -> Pairs:
    base = Pairs.of(TEXTS[:12], TEXTS[12:], label=[1.0] * 10 + [0.0] * 2)
    users = Vocabulary(("ann",))
    liked = np.arange(3, dtype=np.int32)
    return replace(
        base,
        user=np.zeros(12, np.int32),
        users=users,
        liked_user=np.zeros(3, np.int32),
        liked_text=liked,
    )


@pytest.mark.parametrize("name", ["faiss", "usearch"])
def test_other_searches_find_what_the_exact_one_does(name: str) -> None:
    rng = np.random.default_rng(0)
    queries, texts = (rng.normal(size=(n, 16)).astype(np.float32) for n in (40, 300))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    codes, scores = nearest(queries, texts, 10)
    found, similar = SEARCHES[name](queries, texts, 10)
    assert np.mean([np.isin(a, b).mean() for a, b in zip(codes, found, strict=True)]) > 0.95
    same = codes == found
    np.testing.assert_allclose(similar[same], scores[same], rtol=1e-5, atol=1e-6)
    assert (np.diff(similar, axis=1) <= 0).all()


@pytest.mark.parametrize("name", sorted(SEARCHES))
def test_every_search_mines(name: str) -> None:
    pairs = pairs_of()
    recipe = HardNegatives(per_positive=2, percent=1.5, draw="nearest", search=name)
    mined = recipe.mine(pairs, HashingEncoder())
    exact = replace(recipe, search="exact").mine(pairs, HashingEncoder())
    assert mined.negatives is not None
    assert exact.negatives is not None
    assert (mined.negatives == exact.negatives).mean() > 0.9


def test_an_absent_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"siamrec\[faiss\]"):
        HardNegatives(search="faiss").mine(pairs_of(), HashingEncoder())
    with pytest.raises(UnknownNameError, match="'faiss'"):
        HardNegatives(search="fais")


def test_the_miner_of_sentence_transformers_keeps_rows_and_what_is_known() -> None:
    pairs = pairs_of()
    encoder = SentenceEncoder.of(tiny_model(TEXTS))
    mined = SentenceTransformersMiner(per_positive=3, percent=1.0, co_likes=0).mine(pairs, encoder)
    assert mined.negatives is not None
    assert mined.negatives.shape == (12, 3)
    assert (mined.negatives[10:] == -1).all(), "rows that are not positive get none"
    found = mined.negatives[:10]
    assert (found >= 0).any()
    assert not np.isin(found, [0, 1, 2]).any(), "ann likes these"
    partners = {(a, b) for a, b in zip(pairs.left[:10], pairs.right[:10], strict=True)}
    for row in range(10):
        vectors = encoder.encode(pairs.texts)
        own = vectors[pairs.left[row]] @ vectors[pairs.right[row]]
        for code in found[row][found[row] >= 0]:
            assert (pairs.left[row], code) not in partners
            assert vectors[pairs.left[row]] @ vectors[code] <= own + 1e-5


def test_that_miner_needs_a_model() -> None:
    with pytest.raises(InvalidParameterError, match="a SentenceEncoder for this miner"):
        SentenceTransformersMiner().mine(pairs_of(), HashingEncoder())


@pytest.mark.parametrize("name", sorted(Registry().factories("miner")))
def test_miners_come_from_the_registry(name: str) -> None:
    miner = Registry().make("miner", name, per_positive=2)
    assert isinstance(miner, Miner)
    mined = miner.mine(pairs_of(), SentenceEncoder.of(tiny_model(TEXTS)))
    assert mined.negatives is not None
    assert mined.negatives.shape == (12, 2)
