"""Mining: against exact search, the bounds, what is known, and that no pair is dropped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.data import Pairs, Vocabulary
from siamrec.errors import InvalidParameterError, StorageError, UnknownNameError
from siamrec.pairs import HardNegatives, RatingPairs, _search
from siamrec.pairs._screening import Bfloat16Screen, Int8Screen
from siamrec.pairs._search import nearest
from siamrec.testing.pairs import catalog_of, ratings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array


class Fixed:
    """Vectors by place in a list of texts."""

    dim = 8
    fingerprint = "fixed"

    def __init__(self, texts: tuple[str, ...], seed: int = 0) -> None:
        vectors = np.random.default_rng(seed).normal(size=(len(texts), 8))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.rows = dict(zip(texts, vectors.astype(np.float32), strict=True))

    def encode(self, texts: Sequence[str], *, kind: str = "document") -> Float32Array:
        del kind
        return np.stack([self.rows[text] for text in texts])


def pairs_of(n: int = 30, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 20, n)
    right = (left + rng.integers(1, 20, n)) % 20
    texts = [f"t{k}" for k in range(20)]
    base = Pairs.of([texts[k] for k in left], [texts[k] for k in right])
    users = Vocabulary(("u", "v"))
    user = (np.arange(n) % 2).astype(np.int32)
    return replace(base, users=users, user=user)


@given(seed=st.integers(0, 10**6), k=st.integers(1, 12))
@settings(max_examples=20, deadline=None)
def test_search_is_exact(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    queries, texts = (rng.normal(size=(n, 4)).astype(np.float32) for n in (7, 12))
    codes, scores = nearest(queries, texts, k)
    exact = queries @ texts.T
    np.testing.assert_array_equal(codes, np.argsort(-exact, axis=1)[:, :k])
    np.testing.assert_allclose(scores, -np.sort(-exact, axis=1)[:, :k], rtol=1e-5, atol=1e-6)


SCREENS = {"none": None, "bfloat16": Bfloat16Screen, "int8": Int8Screen}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SCREENS)
def test_wide_rows_are_searched_exactly_by_groups(
    seed: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of columns, a rest that fills no group, several tiles, and equal texts."""
    monkeypatch.setattr(_search, "TILE_ROWS", 16)
    monkeypatch.setattr(_search, "_WORTH_SCREENING", 1)
    monkeypatch.setattr(_search, "screen", lambda: SCREENS[kind])
    rng = np.random.default_rng(seed)
    queries, texts = (rng.normal(size=(n, 8)).astype(np.float32) for n in (41, 1_003))
    texts[1_000] = texts[3]
    codes, scores = nearest(queries, texts, 9)
    exact = queries @ texts.T
    order = np.argsort(-exact, axis=1, kind="stable")[:, :9]
    np.testing.assert_array_equal(np.sort(codes), np.sort(order))
    np.testing.assert_allclose(
        scores, np.take_along_axis(exact, order, axis=1), rtol=1e-5, atol=1e-6
    )
    assert (np.diff(scores, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_what_a_screen_cannot_tell_apart_is_searched_in_float32(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand texts that differ by less than a step: the screen sees no order among them."""
    monkeypatch.setattr(_search, "_WORTH_SCREENING", 1)
    monkeypatch.setattr(_search, "screen", lambda: SCREENS[kind])
    rng = np.random.default_rng(0)
    queries = rng.normal(size=(20, 32)).astype(np.float32)
    texts = rng.normal(size=32) + 1e-4 * rng.normal(size=(1_000, 32))
    pool = np.concatenate([texts, rng.normal(size=(500, 32))]).astype(np.float32)
    codes, _ = nearest(queries, pool, 20)
    exact = queries.astype(np.float64) @ pool.T.astype(np.float64)
    best = -np.sort(-exact, axis=1)[:, :20]
    np.testing.assert_allclose(np.take_along_axis(exact, codes, axis=1), best, atol=2e-5)


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_clear_places_need_no_second_search(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    queries, texts = (rng.normal(size=(n, 64)).astype(np.float32) for n in (50, 4_000))
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    low = SCREENS[kind]
    assert low is not None
    _, _, unsure = _search._screened(queries, texts, 10, low(texts))
    assert unsure.size < 15
    # One row, a row of nothing, and no rows at all.
    monkeypatch.setattr(_search, "_WORTH_SCREENING", 1)
    monkeypatch.setattr(_search, "screen", lambda: low)
    assert nearest(queries[:1], texts, 10)[0].shape == (1, 10)
    assert nearest(np.zeros((2, 64), np.float32), texts, 3)[0].tolist() == [[0, 1, 2]] * 2
    assert nearest(queries[:0], texts, 10)[0].shape == (0, 10)
    assert (nearest(queries, np.zeros_like(texts), 5)[1] == 0).all()


@given(
    scores=st.integers(1, 90).flatmap(
        lambda m: st.lists(
            st.lists(st.integers(-3, 3), min_size=m, max_size=m), min_size=1, max_size=4
        )
    ),
    k=st.integers(1, 12),
)
@settings(max_examples=100, deadline=None)
def test_the_largest_of_many_ties(scores: list[list[int]], k: int) -> None:
    table = np.array(scores, dtype=np.float32)
    k = min(k, table.shape[1])
    places, values = _search.largest(table, k)
    order = np.argsort(-table, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(places, order)
    np.testing.assert_array_equal(values, np.take_along_axis(table, order, axis=1))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_every_negative_keeps_every_bound(seed: int) -> None:
    pairs = pairs_of(seed=seed)
    encoder = Fixed(pairs.texts, seed)
    recipe = HardNegatives(per_positive=3, pool=15, percent=0.9, lowest=-0.5, seed=seed)
    mined = recipe.mine(pairs, encoder)
    assert mined.negatives is not None
    assert mined.negatives.shape == (len(pairs), 3)
    vectors = encoder.encode(pairs.texts)
    liked = {(u, t) for u, t in zip(pairs.user, pairs.right, strict=True)}
    liked |= {(u, t) for u, t in zip(pairs.user, pairs.left, strict=True)}
    partners = {(a, b) for a, b in zip(pairs.left, pairs.right, strict=True)}
    for row in range(len(pairs)):
        a, p, u = pairs.left[row], pairs.right[row], pairs.user[row]
        found = [n for n in mined.negatives[row] if n >= 0]
        assert len(set(found)) == len(found)
        for n in found:
            assert n not in (a, p)
            assert (u, n) not in liked
            assert (a, n) not in partners
            assert (n, a) not in partners
            own = float(vectors[a] @ vectors[p])
            if own > 0:
                assert float(vectors[a] @ vectors[n]) <= 0.9 * own + 1e-5
            assert float(vectors[a] @ vectors[n]) >= -0.5 - 1e-5


def test_no_pair_is_dropped_when_too_little_is_allowed() -> None:
    pairs = Pairs.of(["a"], ["b"])
    mined = HardNegatives(per_positive=4).mine(pairs, Fixed(pairs.texts))
    assert len(mined) == 1
    assert mined.negatives is not None
    assert mined.negatives.tolist() == [[-1, -1, -1, -1]]


def test_same_seed_same_negatives_and_mining_again_replaces() -> None:
    pairs = pairs_of()
    encoder = Fixed(pairs.texts)
    first = HardNegatives(per_positive=2, percent=2.0, seed=1).mine(pairs, encoder)
    again = HardNegatives(per_positive=2, percent=2.0, seed=1).mine(first, encoder)
    other = HardNegatives(per_positive=2, percent=2.0, seed=2).mine(pairs, encoder)
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != other.fingerprint()
    assert first.statistics().hard > 0


def test_rows_that_are_not_positive_get_none() -> None:
    pairs = replace(pairs_of(), label=np.zeros(30, np.float32))
    mined = HardNegatives().mine(pairs, Fixed(pairs.texts))
    assert mined.negatives is not None
    assert (mined.negatives == -1).all()


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="skip must be below pool, 5"):
        HardNegatives(pool=5, skip=5)
    with pytest.raises(InvalidParameterError, match=r"lowest must be in \[-1, 1\]"):
        HardNegatives(lowest=2.0)
    with pytest.raises(UnknownNameError, match="Did you mean 'random'"):
        HardNegatives(draw="rand")


def test_what_was_mined_is_kept_by_pairs_settings_and_weights(tmp_path: Path) -> None:
    class Counted(Fixed):
        calls = 0

        @override
        def encode(self, texts: Sequence[str], *, kind: str = "document") -> Float32Array:
            self.calls += 1
            return super().encode(texts, kind=kind)

    pairs = pairs_of()
    encoder = Counted(tuple(f"t{k}" for k in range(20)))
    recipe = HardNegatives(per_positive=2, pool=8, cache=tmp_path / "mined")
    first, again = recipe.mine(pairs, encoder), recipe.mine(pairs, encoder)
    plain = replace(recipe, cache=None).mine(pairs, Fixed(tuple(f"t{k}" for k in range(20))))
    assert encoder.calls == 1
    assert first.negatives is not None
    assert again.negatives is not None
    assert plain.negatives is not None
    np.testing.assert_array_equal(first.negatives, again.negatives)
    np.testing.assert_array_equal(first.negatives, plain.negatives)
    # Other settings, other pairs and other weights are other questions.
    replace(recipe, percent=0.8).mine(pairs, encoder)
    recipe.mine(pairs_of(seed=1), encoder)
    encoder.fingerprint = "moved"
    recipe.mine(pairs, encoder)
    assert encoder.calls == 4
    assert len(list((tmp_path / "mined").iterdir())) == 4
    # A damaged file is mined anew.
    for file in (tmp_path / "mined").iterdir():
        file.write_bytes(b"broken")
    np.testing.assert_array_equal(recipe.mine(pairs, encoder).left, pairs.left)
    assert encoder.calls == 5
    assert {file.suffix for file in (tmp_path / "mined").iterdir()} == {".npy"}


def test_what_was_kept_holds_for_one_order_of_the_texts(tmp_path: Path) -> None:
    """A file round trip gives equal pairs over another table: codes mean other texts."""
    pairs = pairs_of()
    turned = np.roll(np.arange(len(pairs.texts)), 7)
    place = np.argsort(turned).astype(np.int32)
    loaded = replace(
        pairs,
        texts=tuple(pairs.texts[k] for k in turned),
        left=place[pairs.left],
        right=place[pairs.right],
    )
    assert loaded.fingerprint() == pairs.fingerprint()
    recipe = HardNegatives(per_positive=2, pool=8, draw="nearest", cache=tmp_path)
    encoder = Fixed(tuple(f"t{k}" for k in range(20)))
    said = []
    for each in (pairs, loaded):
        mined = recipe.mine(each, encoder)
        assert mined.negatives is not None
        said.append([[mined.texts[c] for c in row if c >= 0] for row in mined.negatives.tolist()])
    assert said[0] == said[1]


def test_a_cache_that_cannot_be_written_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, negatives: object, *, allow_pickle: bool) -> None:
        del negatives, allow_pickle
        Path(str(file)).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    recipe = HardNegatives(per_positive=2, pool=8, cache=tmp_path)
    with pytest.raises(StorageError, match="No space left"):
        recipe.mine(pairs_of(), Fixed(tuple(f"t{k}" for k in range(20))))
    assert not list(tmp_path.iterdir())


def test_near_copies_of_what_is_liked_are_known_too() -> None:
    """Case, spaces and punctuation make no other text."""
    texts = ("heist one", "heist two", "heist three", "HEIST  three.", "heist moon", "Heist, one")
    pairs = replace(
        Pairs.of(["heist one"], ["heist two"]),
        texts=texts,
        users=Vocabulary(("u",)),
        user=np.zeros(1, np.int32),
        liked_user=np.zeros(3, np.int32),
        liked_text=np.array([0, 1, 2], np.int32),
    )
    mined = HardNegatives(per_positive=4, percent=2.0, duplicate=1.0).mine(pairs)
    assert mined.negatives is not None
    assert [texts[code] for code in mined.negatives[0] if code >= 0] == ["heist moon"]


def test_likes_of_held_out_users_decide_no_negative_of_training() -> None:
    """What is mined on the training side alone is what the split gives."""
    recipe = HardNegatives(per_positive=4, co_likes=2)
    pairs = RatingPairs(hard_negatives=recipe).generate(
        ratings_of(), catalog_of(), rng=np.random.default_rng(0)
    )
    train, valid = pairs.split(by="user", fraction=0.3, seed=2)
    for side in (train, valid):
        alone = recipe.mine(replace(side, negatives=None, miner=None)).negatives
        assert side.negatives is not None
        assert alone is not None
        np.testing.assert_array_equal(side.negatives, alone)
    before = pairs.where(np.isin(pairs.user, train.user)).negatives
    assert before is not None
    assert train.negatives is not None
    assert (before != train.negatives).any(), "here held-out users have a say"


def test_what_was_mined_by_hand_is_mined_again_by_a_split() -> None:
    recipe = HardNegatives(per_positive=4, co_likes=2)
    pairs = RatingPairs().generate(ratings_of(), catalog_of(), rng=np.random.default_rng(0))
    joined = Pairs.concat([recipe.mine(pairs), pairs.where(pairs.label < 0.5)])
    train, _ = joined.split(by="user", fraction=0.3, seed=2)
    alone = recipe.mine(replace(train, negatives=None, miner=None))
    assert train.negatives is not None
    assert alone.negatives is not None
    np.testing.assert_array_equal(train.negatives, alone.negatives)
