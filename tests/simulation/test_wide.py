"""The wide world is wide, sparse, and has tastes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError
from siamrec.simulation import WideWorld

WORLD = WideWorld(n_users=4000, n_items=3000)
CLICKS = WORLD.simulate(5)


def test_the_same_seed_gives_the_same_world() -> None:
    assert WORLD.simulate(5).fingerprint() == CLICKS.fingerprint()
    assert WORLD.simulate(6).fingerprint() != CLICKS.fingerprint()


def test_few_clicks_of_many_without_repeats() -> None:
    assert (CLICKS.kind == FeedbackKind.CLICK).all()
    assert (np.diff(CLICKS.time) >= 0).all()
    pair = CLICKS.user.astype(np.int64) * len(CLICKS.items) + CLICKS.item
    assert np.unique(pair).size == pair.size
    mean = len(CLICKS) / len(CLICKS.users)
    assert 11 < mean < 16  # repeats are dropped; 5 sigma of the mean are 1
    assert np.bincount(CLICKS.user).min() >= 1


def test_few_items_are_popular_and_tastes_go_together() -> None:
    count = np.sort(np.bincount(CLICKS.item, minlength=3000))[::-1]
    assert count[:300].sum() > 0.2 * count.sum()
    stray = WideWorld(n_users=4000, n_items=3000, stray=1.0).simulate(5)
    assert _together(CLICKS) > 3 * _together(stray)


def _together(feedback: Feedback) -> int:
    """Number of couples of items that four people or more have in common, a fifth of either's."""
    where = (feedback.user, feedback.item)
    met = sparse.csr_array((np.ones(len(feedback)), where), shape=(4000, 3000))
    both = sparse.coo_array(met.T @ met)
    count = np.asarray(met.sum(axis=0)).ravel()
    alike = both.data > 0.2 * np.sqrt(count[both.row] * count[both.col])
    return int((alike & (both.data >= 4) & (both.row < both.col)).sum())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_users": 1}, "n_users must be a whole number of at least 2"),
        ({"events_per_user": 3.0}, "events_per_user - 4 must be"),
        ({"stray": 1.5}, "stray must be"),
        ({"head": 0.0}, "head must be"),
    ],
)
def test_settings_are_checked(setting: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        WideWorld(**setting)  # type: ignore[arg-type]
