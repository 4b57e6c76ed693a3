"""Hashes of many short texts have the bits of the library's, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec._core.short_hashes import ShortTexts

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.lists(st.text(LETTERS, min_size=1, max_size=16), min_size=1, max_size=30)


@given(TEXTS, st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_equal_to_the_library(texts: list[str], seed: int) -> None:
    fitting = [text for text in texts if len(text.encode()) <= 16]
    many = ["user-1", *fitting] * 100
    short = ShortTexts.of(many)
    assert short is not None
    assert short.hashes(seed).tolist() == [
        xxhash.xxh3_64_intdigest(text.encode(), seed) for text in many
    ]


@pytest.mark.parametrize("size", range(1, 17))
def test_every_length(size: int) -> None:
    rng = np.random.default_rng(size)
    texts = ["".join(map(chr, rng.integers(33, 127, size))) for _ in range(20_000)]
    short = ShortTexts.of(texts)
    assert short is not None
    found = short.hashes(2**63 + 5)
    library = [xxhash.xxh3_64_intdigest(text.encode(), 2**63 + 5) for text in texts]
    np.testing.assert_array_equal(found, np.array(library, dtype=np.uint64))


@pytest.mark.parametrize("odd", ["a" * 17, "ab\0cd", "é" * 9, ""])
def test_other_texts_go_the_other_way(odd: str) -> None:
    assert ShortTexts.of(["user-1"] * 200 + [odd]) is None
    assert ShortTexts.of([odd] + ["user-1"] * 200) is None


@pytest.mark.parametrize("odd", ["", "user-12", "\0ser-1", "user\x001"])
def test_an_odd_one_among_texts_of_one_length(odd: str) -> None:
    texts = [*(f"user-{digit}" for digit in "0123456789" * 20), odd]
    short = ShortTexts.of(texts)
    if "\0" in odd or not odd:
        assert short is None
    else:
        assert short is not None
        library = [xxhash.xxh3_64_intdigest(text.encode(), 7) for text in texts]
        assert short.hashes(7).tolist() == library


def test_few_texts_go_the_other_way() -> None:
    assert ShortTexts.of([]) is None
    assert ShortTexts.of(["user-1"] * 99) is None
