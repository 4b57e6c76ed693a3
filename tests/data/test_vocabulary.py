"""Vocabulary: ids at the edge, codes inside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec.data import Vocabulary
from siamrec.errors import InvalidDataError, UnknownNameError

ids = st.one_of(st.integers(-5, 5), st.text(max_size=3), st.tuples(st.integers(0, 3)))


@given(st.lists(ids))
def test_factorize_decodes_to_what_came_in(values: list[object]) -> None:
    vocabulary, codes = Vocabulary.factorize(values)
    assert vocabulary.decode(codes) == values
    assert list(vocabulary.ids) == list(dict.fromkeys(values))


@given(st.lists(st.integers(-9, 9)))
def test_arrays_and_lists_give_one_result(values: list[int]) -> None:
    one, codes = Vocabulary.factorize(values)
    two, others = Vocabulary.factorize(np.asarray(values, dtype=np.int64))
    assert one == two
    assert codes.tolist() == others.tolist()


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(InvalidDataError, match="must differ, got 2 ids of which 1"):
        Vocabulary(("a", "a"))


def test_unknown_ids_are_refused_or_marked() -> None:
    vocabulary = Vocabulary(("ann", "bob"))
    with pytest.raises(UnknownNameError, match="No user is named 'an'. Did you mean 'ann'"):
        vocabulary.encode(["an"], name="user")
    assert vocabulary.encode(["bob", "eve"], unknown="code").tolist() == [1, -1]


def test_extend_keeps_old_codes_and_translate_finds_them() -> None:
    small = Vocabulary(("b", "a"))
    large = small.extend(["c", "a"])
    assert large.ids == ("b", "a", "c")
    assert small.translate(large).tolist() == [0, 1]
    assert large.translate(small).tolist() == [0, 1, -1]


def test_fingerprints_tell_text_from_numbers_and_order() -> None:
    prints = {Vocabulary(ids).fingerprint() for ids in (("1", "2"), (1, 2), ("2", "1"))}
    assert len(prints) == 3


def test_it_behaves_like_an_ordered_set() -> None:
    vocabulary = Vocabulary(("x", 3))
    assert len(vocabulary) == 2
    assert 3 in vocabulary
    assert "3" not in vocabulary
    assert list(vocabulary) == ["x", 3]
    assert vocabulary[1] == 3


def test_numbers_and_texts_of_numpy_become_those_of_python() -> None:
    ids = (np.int64(3), np.str_("x"), np.float64(2.5), np.bool_(True), (1, 2))
    vocabulary = Vocabulary(ids)
    assert [type(id_) for id_ in vocabulary.ids] == [int, str, float, bool, tuple]
    assert vocabulary.encode(ids).tolist() == [0, 1, 2, 3, 4]
    instant = np.datetime64("2024-01-01T00:00:00.000000001")
    assert Vocabulary((instant,)).ids == (instant,), "Python's instants are coarser"


def test_no_two_vocabularies_have_one_fingerprint() -> None:
    """An id may hold whatever stands between ids, and look like two."""
    odd = ["a\x1fstr:b", "a\x1fb", 'a","str:b', "ab", "a,b", 5, "5"]
    kinds = [("a", "b"), *((each,) for each in odd)]
    found = {Vocabulary(ids).fingerprint() for ids in kinds}
    assert len(found) == len(kinds)
