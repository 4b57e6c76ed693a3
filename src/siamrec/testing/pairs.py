"""What every pair generator must satisfy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.data import Catalog, Feedback, FeedbackKind, PairOrigin, Pairs, Vocabulary
from siamrec.models.encoders import HashingEncoder
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from siamrec.pairs import Miner
    from siamrec.protocols import PairGenerator, SiameseEncoder

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
    """Subclass it as `class TestMine(PairGeneratorContract)` and say how to build one.

    Attributes:
        draws: Whether another seed gives other pairs of the sample.
    """

    draws: bool = True

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
        if self.draws:
            assert first != other, "chance must come from rng"

    def test_chance_is_handed_in(self) -> None:
        with no_global_chance():
            self.make().generate(self.feedback(), catalog_of(), rng=np.random.default_rng(1))

    def test_what_is_handed_in_stays_as_it_is(self) -> None:
        feedback, catalog = self.feedback(), catalog_of()
        before = feedback.fingerprint(), catalog.fingerprint()
        self.make().generate(feedback, catalog, rng=np.random.default_rng(1))
        assert (feedback.fingerprint(), catalog.fingerprint()) == before

    def test_users_and_items_keep_their_ids(self) -> None:
        feedback = self.feedback()
        pairs = self.make().generate(feedback, catalog_of(), rng=np.random.default_rng(0))
        known = set(pairs.users.decode(pairs.user[pairs.user >= 0]))
        assert known <= set(feedback.users.ids)
        for side in (pairs.left_item, pairs.right_item):
            assert set(pairs.items.decode(side[side >= 0])) <= {*catalog_of().items.ids}

    def test_the_text_of_a_pair_is_the_text_of_its_item(self) -> None:
        feedback, catalog = self.feedback(), catalog_of()
        pairs = self.make().generate(feedback, catalog, rng=np.random.default_rng(0))
        text_of = dict(zip(catalog.items.ids, catalog.text, strict=True))
        fed = (pairs.origin != PairOrigin.SYNTHETIC) & (pairs.right_item >= 0)
        for code, item in zip(pairs.right[fed], pairs.right_item[fed], strict=True):
            assert pairs.texts[code] == text_of[pairs.items.ids[item]]

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

    def test_a_positive_joins_what_one_user_met(self) -> None:
        """Both items of a pair are in the history of its user, or of anybody where it has none."""
        feedback = self.feedback()
        pairs = self.make().generate(feedback, catalog_of(), rng=np.random.default_rng(0))
        met: dict[object, set[object]] = {}
        for user, item in zip(feedback.user, feedback.item, strict=True):
            met.setdefault(feedback.users[user], set()).add(feedback.items[item])
        fed = (pairs.label >= 0.5) & (pairs.left_item >= 0) & (pairs.right_item >= 0)
        for row in np.flatnonzero(fed & (pairs.origin != PairOrigin.SYNTHETIC)).tolist():
            both = {pairs.items[pairs.left_item[row]], pairs.items[pairs.right_item[row]]}
            own = pairs.user[row] >= 0
            histories = [met.get(pairs.users[pairs.user[row]], set())] if own else met.values()
            assert any(both <= items for items in histories), f"nobody met both of {both}"

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


class MinerContract(ABC):
    """Subclass it as `class TestMine(MinerContract)` and say how to build one.

    Attributes:
        asked: Negatives of each positive that `make` asks for.
    """

    asked: int = 3

    @abstractmethod
    def make(self) -> Miner:
        """Return the miner under test, which asks for `asked` negatives of each positive."""

    def encoder(self) -> SiameseEncoder:
        """Return what says which texts are near."""
        return HashingEncoder(dim=64)

    def pairs(self) -> Pairs:
        """Return likes of twelve users, each of three of forty texts, and some dislikes."""
        texts = [text for text in catalog_of().text if text is not None]
        left: list[int] = []
        right: list[int] = []
        label: list[float] = []
        for person in range(12):
            liked = [(person + 4 * step) % N_ITEMS for step in range(3)]
            for first, second, value in (
                (liked[0], liked[1], 1.0),
                (liked[1], liked[2], 1.0),
                (liked[0], (person + 2) % N_ITEMS, 0.0),
            ):
                left.append(first)
                right.append(second)
                label.append(value)
        user = np.repeat(np.arange(12, dtype=np.int32), 3)
        made = Pairs.of(
            [texts[code] for code in left], [texts[code] for code in right], label=label
        )
        rest = [text for text in texts if text not in made.texts]
        table = (*made.texts, *rest)
        likes = [table.index(texts[code]) for code in (*left, *right)]
        return replace(
            made,
            texts=table,
            user=user,
            users=Vocabulary(tuple(f"u{person}" for person in range(12))),
            liked_user=np.concatenate([user, user])[np.tile(np.array(label) >= 0.5, 2)],
            liked_text=np.array(likes, np.int32)[np.tile(np.array(label) >= 0.5, 2)],
        )

    def mined(self) -> Pairs:
        return self.make().mine(self.pairs(), self.encoder())

    def test_pairs_stay_and_get_negatives(self) -> None:
        before, after = self.pairs(), self.mined()
        assert after.texts == before.texts
        for name in ("left", "right", "label", "weight", "user", "origin"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
        assert after.negatives is not None
        assert after.negatives.shape == (len(before), self.asked)
        assert after.negatives.dtype == np.int32
        assert ((after.negatives >= -1) & (after.negatives < len(before.texts))).all()

    def test_as_many_as_asked_for_each_positive_and_none_for_others(self) -> None:
        after = self.mined()
        assert after.negatives is not None
        positive = after.label >= 0.5
        assert (after.negatives[positive] >= 0).mean() > 0.9
        assert (after.negatives[~positive] == -1).all()

    def test_a_negative_is_given_once(self) -> None:
        after = self.mined()
        assert after.negatives is not None
        for row in after.negatives:
            given = row[row >= 0]
            assert len(set(given.tolist())) == given.size

    def known(self) -> list[set[int]]:
        """Return for each pair what suits its anchor or its user, the anchor among it."""
        pairs = self.pairs()
        suits: dict[int, set[int]] = {}
        liked: dict[int, set[int]] = {}
        rows = zip(pairs.user, pairs.left, pairs.right, pairs.label, strict=True)
        for user, left, right, label in rows:
            if label >= 0.5:
                suits.setdefault(int(left), {int(left)}).add(int(right))
                suits.setdefault(int(right), {int(right)}).add(int(left))
                liked.setdefault(int(user), set()).update((int(left), int(right)))
        return [
            suits.get(int(left), {int(left)}) | liked[int(user)]
            for user, left in zip(pairs.user, pairs.left, strict=True)
        ]

    def test_what_is_known_to_suit_is_never_a_negative(self) -> None:
        after = self.mined()
        assert after.negatives is not None
        for known, row in zip(self.known(), after.negatives, strict=True):
            assert not known & set(row[row >= 0].tolist())

    def test_negatives_are_nearer_than_texts_at_large(self) -> None:
        after = self.mined()
        assert after.negatives is not None
        vectors = self.encoder().encode(after.texts)
        cosine = vectors @ vectors.T
        near, far = [], []
        for place, known in enumerate(self.known()):
            row = after.negatives[place]
            own = cosine[after.left[place]]
            near += own[row[row >= 0]].tolist()
            far += [own[code] for code in range(len(after.texts)) if code not in known]
        assert np.mean(near) > np.mean(far)

    def test_mining_twice_gives_the_same(self) -> None:
        with no_global_chance():
            first, second = self.mined(), self.mined()
        np.testing.assert_array_equal(first.negatives, second.negatives)

    def test_no_pairs_have_no_negatives(self) -> None:
        none = self.pairs().where(np.zeros(len(self.pairs()), dtype=bool))
        mined = self.make().mine(none, self.encoder())
        assert len(mined) == 0

    def test_another_kind_is_refused(self) -> None:
        with pytest.raises((TypeError, ValueError)):
            self.make().mine([("a", "b")], self.encoder())  # type: ignore[arg-type]
