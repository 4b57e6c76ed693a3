"""Hashes of many short texts have the bits of the library's, one by one."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.experiments._short_hashes import ShortTexts

LETTERS = st.characters(codec="utf-8", exclude_characters="\0")
TEXTS = st.lists(st.text(LETTERS, min_size=1, max_size=16), min_size=1, max_size=30)


@given(TEXTS, st.integers(0, 2**64 - 1))
@settings(max_examples=60, deadline=None)
def test_equal_to_the_library(texts: list[str], seed: int) -> None:
    fitting = [text for text in texts if 4 <= len(text.encode()) <= 16]
    many = ["user-1", *fitting] * 100
    short = ShortTexts.of(many)
    assert short is not None
    assert short.hashes(seed).tolist() == [
        xxhash.xxh3_64_intdigest(text.encode(), seed) for text in many
    ]


@pytest.mark.parametrize("size", range(4, 17))
def test_every_length(size: int) -> None:
    rng = np.random.default_rng(size)
    texts = ["".join(map(chr, rng.integers(33, 127, size))) for _ in range(20_000)]
    short = ShortTexts.of(texts)
    assert short is not None
    found = short.hashes(2**63 + 5)
    library = [xxhash.xxh3_64_intdigest(text.encode(), 2**63 + 5) for text in texts]
    np.testing.assert_array_equal(found, np.array(library, dtype=np.uint64))


@pytest.mark.parametrize("odd", ["abc", "a" * 17, "ab\0cd", "é" * 9, ""])
def test_other_texts_go_the_other_way(odd: str) -> None:
    assert ShortTexts.of(["user-1"] * 200 + [odd]) is None
    assert ShortTexts.of([odd] + ["user-1"] * 200) is None


def test_few_texts_go_the_other_way() -> None:
    assert ShortTexts.of([]) is None
    assert ShortTexts.of(["user-1"] * 99) is None
