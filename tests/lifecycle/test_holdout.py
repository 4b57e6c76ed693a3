"""The split leaks nothing, whatever comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.data import NO_TIME, Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.lifecycle import hold_out


def catalog_of(feedback: Feedback) -> Catalog:
    texts = tuple(f"text {id_}" if n % 7 else None for n, id_ in enumerate(feedback.items.ids))
    return Catalog(items=feedback.items, text=texts)


def feedback_of(seed: int, n_users: int, *, timed: bool = True) -> Feedback:
    rng = np.random.default_rng(seed)
    n = n_users * 12
    return Feedback.of(
        user=[f"u{code}" for code in rng.integers(0, n_users, n)],
        item=[f"i{code}" for code in rng.integers(0, 30, n)],
        value=rng.integers(1, 6, n),
        time=rng.integers(0, 10_000, n) if timed else NO_TIME,
    )


@given(seed=st.integers(0, 10_000), n_users=st.integers(12, 40), timed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_nothing_leaks(seed: int, n_users: int, timed: bool) -> None:  # noqa: FBT001
    feedback = feedback_of(seed, n_users, timed=timed)
    catalog = catalog_of(feedback)
    split = hold_out(feedback, catalog, rng=np.random.default_rng(seed), cold_share=0.2)
    held = set(split.profile.users.ids) | set(split.later.users.decode(split.later.user))
    assert not held & set(split.train.users.ids)
    cold = set(split.cold.ids)
    assert cold
    assert not cold & set(split.train.items.ids)
    assert not cold & set(split.profile.items.ids)
    assert all(catalog.text[code] is not None for code in split.cold.translate(catalog.items))
    assert split.by_time is timed
    if timed:
        _assert_halves_follow_time(split.profile, split.later)
    truth = split.truth(split.warm)
    for user, items in truth.lists().items():
        row = split.profile.users.encode([user])[0]
        met = split.profile.items.decode(split.profile.item[split.profile.user == row])
        assert not set(items) & set(met)


def _assert_halves_follow_time(profile: Feedback, later: Feedback) -> None:
    last = {
        user: profile.time[profile.user == code].max()
        for code, user in enumerate(profile.users.ids)
    }
    for user, time in zip(later.users.decode(later.user), later.time, strict=True):
        assert time >= last.get(user, time)


def test_the_same_generator_gives_the_same_split() -> None:
    feedback = feedback_of(1, 30)
    one, two = (
        hold_out(feedback, catalog_of(feedback), rng=np.random.default_rng(4)) for _ in range(2)
    )
    assert one.train.fingerprint() == two.train.fingerprint()
    assert one.later.fingerprint() == two.later.fingerprint()
    assert one.cold == two.cold


def test_too_little_data_is_refused() -> None:
    def split(feedback: Feedback) -> None:
        hold_out(feedback, catalog_of(feedback), rng=np.random.default_rng(0))

    with pytest.raises(InvalidDataError, match="at least 5 users to train and test on, got 1"):
        split(Feedback.of(user=["a"] * 9, item=list("bcdefghij"), value=5))
    with pytest.raises(InvalidDataError, match="No rating reaches 4, so nothing counts as liked"):
        split(Feedback.of(user=list("abcdefghi"), item=["x"] * 9, value=3))
    with pytest.raises(InvalidDataError, match="at least 5 users with 4 events and a later like"):
        split(Feedback.of(user=list("abcdefghi"), item=["x"] * 9, value=5))


def test_an_item_of_the_profile_is_no_truth() -> None:
    rows = [(f"u{n}", f"i{k}", 5, k) for n in range(10) for k in range(6)]
    rows += [(f"u{n}", "i0", 5, 99) for n in range(10)]  # met in the first half already
    user, item, value, time = zip(*rows, strict=True)
    feedback = Feedback.of(user=user, item=item, value=value, time=time)
    split = hold_out(feedback, catalog_of(feedback), rng=np.random.default_rng(0), cold_share=0.0)
    assert len(split.cold) == 0
    for items in split.truth(Vocabulary(tuple(f"i{k}" for k in range(6)))).lists().values():
        assert set(items) == {"i4", "i5"}
