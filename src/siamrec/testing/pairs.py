"""What every pair generator must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from siamrec.data import Catalog, Feedback, FeedbackKind, PairOrigin, Vocabulary

if TYPE_CHECKING:
    from siamrec.protocols import PairGenerator

N_USERS, N_ITEMS = 30, 40
SECOND = 10**9


def catalog_of() -> Catalog:
    """Return items of four themes with a text each, and one item without."""
    themes = ("heist crew vault", "space ship alien", "love letter paris", "robot city future")
    text = [f"{themes[k % 4]} film {k}" for k in range(N_ITEMS)]
    return Catalog(
        items=Vocabulary(tuple(f"i{k}" for k in range(N_ITEMS + 1))),
        text=(*text, None),
        attributes={"genres": [(themes[k % 4].split()[0],) for k in range(N_ITEMS + 1)]},
    )


def ratings_of(seed: int = 0) -> Feedback:
    """Return ratings of users who like one theme and dislike another."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(N_USERS), 20)
    item = np.concatenate([rng.choice(N_ITEMS + 1, 20, replace=False) for _ in range(N_USERS)])
    value = np.select([item % 4 == user % 4, item % 4 == (user + 1) % 4], [5.0, 1.0], 3.0)
    return Feedback.of(
        user=[f"u{k}" for k in user],
        item=[f"i{k}" for k in item],
        value=value,
        time=rng.integers(0, 10**6, user.size) * SECOND,
    )


class PairGeneratorContract(ABC):
    """Subclass it as `class TestMine(PairGeneratorContract)` and say how to build one."""

    @abstractmethod
    def make(self) -> PairGenerator:
        """Return the generator under test."""

    def feedback(self) -> Feedback:
        """Return the feedback that it is tried on; ratings unless overridden."""
        return ratings_of()

    def test_same_seed_same_pairs(self) -> None:
        feedback, catalog = self.feedback(), catalog_of()
        first, second, other = (
            self.make().generate(feedback, catalog, rng=np.random.default_rng(seed)).fingerprint()
            for seed in (1, 1, 2)
        )
        assert first == second
        assert len(first) == len(other) == 64

    def test_pairs_join_two_different_known_texts(self) -> None:
        catalog = catalog_of()
        pairs = self.make().generate(self.feedback(), catalog, rng=np.random.default_rng(0))
        assert len(pairs) > 0
        assert (pairs.left != pairs.right).all()
        known = {text for text in catalog.text if text is not None}
        fed = pairs.origin != PairOrigin.SYNTHETIC
        items = {pairs.texts[code] for code in pairs.right[fed & (pairs.right_item >= 0)].tolist()}
        assert items <= known

    def test_weights_are_positive_in_the_mean(self) -> None:
        pairs = self.make().generate(self.feedback(), catalog_of(), rng=np.random.default_rng(0))
        assert (pairs.weight >= 0).all()
        assert pairs.weight.mean() > 0

    def test_a_disliked_text_is_never_a_positive_of_its_user(self) -> None:
        feedback = self.feedback()
        catalog = catalog_of()
        pairs = self.make().generate(feedback, catalog, rng=np.random.default_rng(0))
        positive = (pairs.label >= 0.5) & (pairs.user >= 0) & (pairs.right_item >= 0)
        couples = zip(pairs.user[positive], pairs.right_item[positive], strict=True)
        rated = feedback.kind == FeedbackKind.RATING
        disliked = {
            (feedback.users[u], feedback.items[i])
            for u, i, value in zip(
                feedback.user[rated], feedback.item[rated], feedback.value[rated], strict=True
            )
            if value <= 1
        }
        assert not disliked & {(pairs.users[u], pairs.items[i]) for u, i in couples}
