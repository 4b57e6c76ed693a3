"""Splitters: every event on the right side, and the leaks that are left are counted."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError, LeakageError
from siamrec.metrics.splits import (
    Fold,
    GlobalTime,
    KFold,
    LeaveLast,
    NewUsers,
    RandomShare,
    RollingWindow,
    Splitter,
)

DAY = 24 * 3600 * 10**9


def events(n: int = 300, seed: int = 0) -> Feedback:
    rng = np.random.default_rng(seed)
    return Feedback.of(
        user=rng.integers(0, 20, n).tolist(),
        item=rng.integers(0, 40, n).tolist(),
        value=rng.integers(1, 6, n).tolist(),
        time=(1_600_000_000 * 10**9 + rng.permutation(n) * DAY).tolist(),
    )


def folds(splitter: Splitter, feedback: Feedback, seed: int = 1) -> list[Fold]:
    return list(splitter.split(feedback, rng=np.random.default_rng(seed)))


ALL = [
    RandomShare(share=0.3),
    RandomShare(share=0.3, per_user=True),
    KFold(n_folds=4),
    KFold(n_folds=4, by="user"),
    LeaveLast(n=2),
    GlobalTime(share=0.25),
    RollingWindow(test="30d", n_folds=3, gap="5d"),
    NewUsers(share=0.3, known=1),
]


@pytest.mark.parametrize("splitter", ALL, ids=repr)
def test_sides_are_apart_and_seeds_repeat(splitter: Splitter) -> None:
    feedback = events()
    found, again = folds(splitter, feedback), folds(splitter, feedback)
    for fold, same in zip(found, again, strict=True):
        assert fold.leakage().shared_rows == 0
        assert fold.test.size
        np.testing.assert_array_equal(fold.test, same.test)
        np.testing.assert_array_equal(fold.train, same.train)
        assert len(fold.training) == fold.train.size
        assert len(fold.testing) == fold.test.size


def test_random_shares() -> None:
    feedback = events()
    assert folds(RandomShare(share=0.3), feedback)[0].test.size == 90
    fold = folds(RandomShare(share=0.5, per_user=True), feedback)[0]
    held = np.bincount(feedback.user[fold.test], minlength=20)
    np.testing.assert_array_equal(held, np.bincount(feedback.user) // 2)
    assert fold.leakage().cold_users == 0


def test_folds_hold_every_event_out_once() -> None:
    feedback = events()
    for by in ("event", "user"):
        rows = np.concatenate([fold.test for fold in folds(KFold(n_folds=4, by=by), feedback)])
        np.testing.assert_array_equal(np.sort(rows), np.arange(300))
    for fold in folds(KFold(n_folds=4, by="user"), feedback):
        assert not np.isin(feedback.user[fold.test], feedback.user[fold.train]).any()


def test_leave_last_holds_the_latest_of_each_user_out() -> None:
    feedback = events()
    fold = folds(LeaveLast(n=2), feedback)[0]
    for user in range(20):
        rows = np.flatnonzero(feedback.user == user)
        latest = rows[np.argsort(feedback.time[rows])][-2:]
        assert set(latest) == set(fold.test[feedback.user[fold.test] == user])
    assert fold.leakage().future_rows > 0
    with pytest.raises(LeakageError, match="Training and test must not leak"):
        fold.check()


def test_global_time_does_not_leak() -> None:
    feedback = events()
    fold = folds(GlobalTime(share=0.25), feedback)[0].check()
    assert fold.test.size == 75
    assert feedback.time[fold.train].max() < feedback.time[fold.test].min()
    at = int(np.sort(feedback.time)[100])
    assert folds(GlobalTime(at=at), feedback)[0].train.size == 100


def test_rolling_windows_keep_the_gap_and_follow_each_other() -> None:
    feedback = events()
    found = folds(RollingWindow(test="30d", n_folds=3, gap="5d", train="60d"), feedback)
    ends = []
    for fold in found:
        train, test = feedback.time[fold.train], feedback.time[fold.test]
        assert test.min() - train.max() > 5 * DAY
        assert train.max() - train.min() < 60 * DAY
        assert fold.test.size == 30
        ends.append(test.max())
    assert ends == sorted(ends)
    assert ends[-1] == feedback.time.max()


def test_new_users_keep_a_few_first_events() -> None:
    feedback = events()
    fold = folds(NewUsers(share=0.3, known=2), feedback)[0]
    new = np.unique(feedback.user[fold.test])
    assert new.size == 6
    for user in new:
        mine = feedback.user == user
        assert np.isin(np.flatnonzero(mine), fold.train).sum() == 2
        kept = feedback.time[fold.train][feedback.user[fold.train] == user]
        assert kept.max() < feedback.time[fold.test][feedback.user[fold.test] == user].min()


def test_fold_gives_truth_and_history() -> None:
    feedback = Feedback.of(
        user=["a", "a", "a", "b"], item=["x", "y", "x", "x"], value=[5, 2, 3, 4]
    )
    fold = Fold(feedback, train=np.array([3]), test=np.array([0, 1, 2]))
    assert fold.truth(graded=True).lists() == {"a": {"x": 3.0, "y": 2.0}, "b": {}}
    assert fold.truth(least=3).lists()["a"] == {"x": 1.0}
    assert fold.history().lists() == {"a": {}, "b": {"x": 1.0}}
    found = fold.leakage()
    assert (found.cold_users, found.cold_items, found.repeated_pairs) == (1, 1, 0)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"share must be in \(0, 1\), got 1.0"):
        RandomShare(share=1.0)
    with pytest.raises(
        InvalidParameterError, match="n_folds must be a whole number of at least 2"
    ):
        KFold(n_folds=1)
    with pytest.raises(InvalidParameterError, match="test must be a duration"):
        RollingWindow(test="soon")
    timeless = Feedback.of(user=["a"], item=["x"], value=[1])
    with pytest.raises(InvalidDataError, match="Every event must have a time"):
        folds(LeaveLast(), timeless)
