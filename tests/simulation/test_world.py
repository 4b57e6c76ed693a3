"""The simulated world keeps what it promises."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec.errors import InvalidParameterError
from siamrec.simulation import World

WORLD = World(n_users=300, n_items=120).simulate(np.random.default_rng(3))


def test_the_same_seed_gives_the_same_world() -> None:
    again = World(n_users=300, n_items=120).simulate(np.random.default_rng(3))
    assert again.feedback.fingerprint() == WORLD.feedback.fingerprint()
    assert again.catalog.fingerprint() == WORLD.catalog.fingerprint()


def test_ratings_are_half_stars_in_time_order_without_repeats() -> None:
    feedback = WORLD.feedback
    doubled = feedback.value * 2
    assert set(doubled.tolist()) <= set(range(1, 11))
    assert (np.diff(feedback.time) >= 0).all()
    keys = feedback.user.astype(np.int64) * 1000 + feedback.item
    assert np.unique(keys).size == keys.size


def test_people_like_what_suits_their_taste() -> None:
    feedback = WORLD.feedback
    liking = WORLD.taste[feedback.user, WORLD.theme[feedback.item]]
    # 12 000 ratings with noise 0.7 around the liking: a correlation of 0.5 is 50 sigma off zero.
    assert np.corrcoef(liking, feedback.value)[0, 1] > 0.5


def test_few_items_are_popular() -> None:
    counts = np.sort(np.bincount(WORLD.feedback.item, minlength=120))[::-1]
    assert counts[:12].mean() > 2.5 * counts[-60:].mean()


def test_texts_carry_their_theme() -> None:
    themes = WORLD.catalog.attributes["theme"]
    words: dict[str, list[set[str]]] = {}
    for theme, text in zip(themes, WORLD.catalog.text, strict=True):
        assert text is not None
        words.setdefault(theme, []).append(set(text.lower().replace(".", "").split()))
    same = np.mean([len(group[0] & group[1]) for group in words.values()])
    other = [list(words.values())[n][0] & list(words.values())[n + 1][0] for n in range(20)]
    assert same > 1.2 * np.mean([len(shared) for shared in other])


@pytest.mark.parametrize(
    "bad",
    [
        {"n_users": 1},
        {"n_items": 5},
        {"ratings_per_user": 0.0},
        {"n_tastes": 9},
        {"popularity_exponent": -1.0},
        {"noise": float("nan")},
    ],
)
def test_settings_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(bad))):
        World(**bad)  # type: ignore[arg-type]
