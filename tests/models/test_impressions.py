"""What was shown is nothing that anybody did: no arm, pair, label or split learns from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.models.every_arm import NAMES, make

from siamrec.bandits import SuccessRule
from siamrec.data import Catalog, Feedback, FeedbackKind, Truth
from siamrec.data.liking import acted, disliked, liked, speakers, threshold
from siamrec.feedback import LabelRules
from siamrec.metrics.splits import (
    GlobalTime,
    KFold,
    LeaveLast,
    NewUsers,
    RandomShare,
    RollingWindow,
)
from siamrec.pairs import PAIR_GENERATORS
from siamrec.simulation import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORLD = World(n_users=40, n_items=30, ratings_per_user=12).simulate(np.random.default_rng(5))


def with_impressions(feedback: Feedback) -> Feedback:
    """The same events among impressions of people and items that are there, at all times."""
    rng = np.random.default_rng(7)
    n = len(feedback)
    shown = replace(
        feedback,
        user=rng.integers(0, len(feedback.users), n, dtype=np.int32),
        item=rng.integers(0, len(feedback.items), n, dtype=np.int32),
        value=np.ones(n, dtype=np.float32),
        kind=np.full(n, FeedbackKind.IMPRESSION, dtype=np.int8),
        time=feedback.time + rng.integers(-(10**15), 10**15, n),
    )  # fmt: skip
    both = Feedback.concat([feedback, shown])
    order = np.arange(2 * n).reshape(2, n).T.ravel()  # an event, an impression, an event, …
    mixed = both.where(order)
    assert acted(mixed).fingerprint() == feedback.fingerprint()
    return mixed


PLAIN, MIXED = WORLD.feedback, with_impressions(WORLD.feedback)


@pytest.mark.parametrize("name", NAMES)
def test_every_arm_is_the_same_with_impressions(name: str, tmp_path: Path) -> None:
    """Bit for bit, whatever is saved of it."""
    kinds = [("noir", "war")[code % 2] for code in range(len(PLAIN.items))]
    known = WORLD.catalog.aligned(PLAIN.items)
    catalog = replace(known, attributes={"kind": kinds})
    saved: list[dict[str, bytes]] = []
    for feedback in (PLAIN, MIXED):
        arm = make(name).fit(feedback, catalog=catalog)
        folder = tmp_path / str(len(saved))
        arm.save(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        saved.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
        assert arm.items == PLAIN.items
    assert saved[0] == saved[1]


@pytest.mark.parametrize("name", sorted(PAIR_GENERATORS.house()))
def test_every_generator_of_pairs_is_the_same_with_impressions(name: str) -> None:
    made = []
    for feedback in (PLAIN, MIXED):
        try:
            generator = PAIR_GENERATORS.make(name)
            found = generator.generate(feedback, WORLD.catalog, rng=np.random.default_rng(1))
        except Exception as error:  # noqa: BLE001 - of one that needs another log: the same
            made.append(f"{type(error).__name__}: {error}")
        else:
            made.append(found.to_arrow())
    assert made[0] == made[1]


def splits(feedback: Feedback, splitter: Any) -> Iterator[tuple[Any, ...]]:
    for fold in splitter.split(feedback, rng=np.random.default_rng(2)):
        yield (
            fold.training.fingerprint(),
            fold.testing.fingerprint(),
            fold.truth().fingerprint() if hasattr(fold.truth(), "fingerprint") else 0,
        )


@pytest.mark.parametrize(
    "splitter",
    [
        RandomShare(share=0.2), KFold(n_folds=3), LeaveLast(n=2), NewUsers(share=0.2),
        GlobalTime(share=0.3), RollingWindow(test="10d"),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_every_split_is_the_same_with_impressions(splitter: Any) -> None:
    assert [*splits(PLAIN, splitter)] == [*splits(MIXED, splitter)]


def test_an_impression_says_nothing() -> None:
    feedback = Feedback.of(
        user=["a"] * 3, item=["x", "x", "y"], kind=[0, 7, 7],
        value=[5, 1, 1], time=[1, 2, 3],
    )  # fmt: skip
    assert speakers(feedback).tolist() == [0]
    for positive in (None, 4.0):
        assert liked(feedback.kind, feedback.value, positive).tolist() == [True, False, False]
    assert not disliked(feedback.kind, feedback.value, 2.0).any()
    assert np.isnan(LabelRules(view="no")(feedback)[1:]).all()
    assert np.isnan(SuccessRule().score(feedback)[1:]).all()
    assert Truth.from_feedback(feedback, positive=None).lists() == {"a": {"x": 1.0}}
    only = feedback.where(np.array([1, 2]))
    assert threshold("scale", only.kind, only.value) is None
    assert not Truth.from_feedback(only, positive=None).lists().get("a")


def test_the_same_object_comes_back_where_nothing_was_shown() -> None:
    assert acted(PLAIN) is PLAIN
    assert isinstance(WORLD.catalog, Catalog)
