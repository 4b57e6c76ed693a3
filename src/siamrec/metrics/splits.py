"""Ways to hold feedback out, each with a report of what training and test share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.clock import duration
from siamrec._core.table import Record, counted
from siamrec.data.frames import NO_TIME
from siamrec.data.liking import acted
from siamrec.data.truth import Truth
from siamrec.errors import InvalidDataError, LeakageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from siamrec.data.feedback import Feedback
    from siamrec.typing import BoolArray, Instant, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Leakage(Record):
    """What the two sides of a fold have in common.

    Args:
        train_rows: Events to train on.
        test_rows: Events to test on.
        shared_rows: Events that are on both sides; always 0 from the splitters here.
        repeated_pairs: Test events whose user and item meet in training too: a model that hides
            seen items cannot find them.
        future_rows: Training events later than the first test event; 0 where time is not known.
        cold_users: Users of the test side that training does not know.
        cold_items: Items of the test side that training does not know.
    """

    train_rows: int
    test_rows: int
    shared_rows: int
    repeated_pairs: int
    future_rows: int
    cold_users: int
    cold_items: int

    @override
    def title(self) -> str:
        return (
            f"Leakage: {self.shared_rows:,} shared rows, {self.future_rows:,} rows from the future"
        )


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Fold(Record):
    """One division of feedback into rows to train on and rows to test on.

    Args:
        feedback: All events.
        train: Rows to train on, rising.
        test: Rows to test on, rising.
    """

    feedback: Feedback
    train: IntArray
    test: IntArray

    @override
    def title(self) -> str:
        return f"Fold: {counted(self.train.size, 'event')} to train, {self.test.size:,} to test"

    @property
    def training(self) -> Feedback:
        """The events to train on."""
        return self.feedback.where(self.train)

    @property
    def testing(self) -> Feedback:
        """The events to test on."""
        return self.feedback.where(self.test)

    def truth(self, *, least: float | None = None, graded: bool = False) -> Truth:
        """Return the test side as a truth, as `Truth.from_feedback` reads it.

        Args:
            least: Smallest rating that counts as relevant; without it, all events do, but a thumb
                down.
            graded: Whether values become grades (they may not be negative); else all are 1.
        """
        return Truth.from_feedback(self.testing, positive=least, graded=graded)

    def history(self) -> Truth:
        """Return what each user did on the training side, as a truth of grade 1."""
        return Truth.from_feedback(self.training)

    def leakage(self) -> Leakage:
        """Return what the two sides have in common."""
        data, train, test = self.feedback, self.train, self.test
        pair = data.user.astype(np.int64) * max(len(data.items), 1) + data.item
        known = data.time != NO_TIME
        first = data.time[test][known[test]].min(initial=np.iinfo(np.int64).max)
        return Leakage(
            train_rows=train.size,
            test_rows=test.size,
            shared_rows=int(np.isin(test, train).sum()),
            repeated_pairs=int(np.isin(pair[test], pair[train]).sum()),
            future_rows=int((known[train] & (data.time[train] > first)).sum()),
            cold_users=np.setdiff1d(data.user[test], data.user[train]).size,
            cold_items=np.setdiff1d(data.item[test], data.item[train]).size,
        )

    def check(self) -> Fold:
        """Return the fold if it does not leak.

        Raises:
            siamrec.errors.LeakageError: If events are on both sides, or training events are later
                than the first test event.
        """
        found = self.leakage()
        overlap = {"shared_rows": found.shared_rows, "future_rows": found.future_rows}
        if any(overlap.values()):
            raise LeakageError(
                f"Training and test must not leak, got {overlap}; GlobalTime() keeps them apart.",
                overlap,
            )
        return self


class Splitter(ABC):
    """A recipe for dividing feedback; equal seeds give equal folds."""

    @abstractmethod
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        """Yield the folds.

        Args:
            feedback: Events in any order.
            rng: Source of every random choice; splitters by time do not draw from it.
        """


def _fold(feedback: Feedback, test: BoolArray, train: BoolArray | None = None) -> Fold:
    rest = ~test if train is None else train
    return Fold(feedback, np.flatnonzero(rest), np.flatnonzero(test))


def _need_time(feedback: Feedback) -> None:
    if (feedback.time == NO_TIME).any():
        raise InvalidDataError("Every event must have a time for a split by time.")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RandomShare(Splitter):
    """Hold out a random share of the events, or of each user's events.

    Args:
        share: Share to hold out, in (0, 1).
        per_user: Whether to take the share of each user (rounded down), so that all users train.
    """

    share: float = 0.2
    per_user: bool = False

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        rng = generator(rng)
        chance = rng.random(len(feedback))
        if not self.per_user:
            cut = round(self.share * len(feedback))
            test = np.zeros(len(feedback), dtype=np.bool_)
            test[np.argsort(chance, kind="stable")[:cut]] = True
            yield _fold(feedback, test)
            return
        rank, size = _rank_within(feedback.user, np.argsort(chance, kind="stable"))
        yield _fold(feedback, rank < np.floor(self.share * size))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class KFold(Splitter):
    """Hold out each of `n_folds` random parts in turn.

    Args:
        n_folds: Number of parts, at least 2.
        by: `"event"`: parts of events; `"user"`: parts of users, so that no user is on both sides
            (strong generalisation).
    """

    n_folds: int = 5
    by: str = "event"

    def __post_init__(self) -> None:
        check.count("n_folds", self.n_folds, least=2)
        check.one_of("by", self.by, ("event", "user"))

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        rng = generator(rng)
        size = len(feedback) if self.by == "event" else len(feedback.users)
        part = rng.permutation(size) % self.n_folds
        of_event = part if self.by == "event" else part[feedback.user]
        for fold in range(self.n_folds):
            yield _fold(feedback, of_event == fold)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveLast(Splitter):
    """Hold out the last `n` events of each user who has more than `n`.

    Other users may train on events later than these: `Fold.leakage` counts them. Events of equal
    time keep the order of rows.

    Args:
        n: Events to hold out of each user.
    """

    n: int = 1

    def __post_init__(self) -> None:
        check.count("n", self.n)

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        _need_time(feedback)
        rank, size = _rank_within(feedback.user, np.argsort(feedback.time, kind="stable"))
        yield _fold(feedback, (rank >= size - self.n) & (size > self.n))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalTime(Splitter):
    """Train on everything before one instant, test on everything from it on.

    Args:
        at: The instant in nanoseconds; without it, the one that holds `share` of the events out.
        share: Share of the latest events to hold out, in (0, 1); events of one instant stay
            together.
    """

    at: Instant | None = None
    share: float = 0.2

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        _need_time(feedback)
        at = self.at
        if at is None:
            if not len(feedback):
                raise InvalidDataError("feedback must hold events to be split by time.")
            row = min(int(np.ceil((1 - self.share) * len(feedback))), len(feedback) - 1)
            at = int(np.sort(feedback.time)[row])
        yield _fold(feedback, feedback.time >= at)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RollingWindow(Splitter):
    """Test on window after window of time, each trained on what lies before it less a gap.

    Args:
        test: Length of a test window: `"7d"`, a `timedelta`, or seconds.
        n_folds: Number of windows; the last ends with the last event.
        gap: Time between training and test, for feedback that arrives late; without it, none.
        train: Length of the training window; without it, all that lies before.
    """

    test: str | timedelta | float
    n_folds: int = 3
    gap: str | timedelta | float | None = None
    train: str | timedelta | float | None = None

    def __post_init__(self) -> None:
        check.count("n_folds", self.n_folds)
        for name in ("test", "gap", "train"):
            if getattr(self, name) is not None:
                duration(name, getattr(self, name))

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        _need_time(feedback)
        width = duration("test", self.test)
        gap = 0 if self.gap is None else duration("gap", self.gap)
        end = int(feedback.time.max(initial=0)) + 1
        for fold in range(self.n_folds, 0, -1):
            low = end - fold * width
            test = (feedback.time >= low) & (feedback.time < low + width)
            train = feedback.time < low - gap
            if self.train is not None:
                train &= feedback.time >= low - gap - duration("train", self.train)
            yield _fold(feedback, test, train)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NewUsers(Splitter):
    """Hold out all events of a random share of the users, less a few that stay known.

    Args:
        share: Share of users to hold out, in (0, 1).
        known: First events of each held-out user that stay in training.
    """

    share: float = 0.2
    known: int = 0

    def __post_init__(self) -> None:
        check.share("share", self.share, open_ends=True)
        check.count("known", self.known, least=0)

    @override
    def split(self, feedback: Feedback, *, rng: Chance) -> Iterator[Fold]:
        feedback = acted(feedback)
        rng = generator(rng)
        n_users = len(feedback.users)
        chosen = np.zeros(n_users, dtype=np.bool_)
        chosen[rng.permutation(n_users)[: round(self.share * n_users)]] = True
        rank, _ = _rank_within(feedback.user, np.argsort(feedback.time, kind="stable"))
        yield _fold(feedback, chosen[feedback.user] & (rank >= self.known))


def _rank_within(user: np.typing.NDArray[np.int32], order: IntArray) -> tuple[IntArray, IntArray]:
    """Return the place of each event among its user's in an order of all, and the user's size."""
    size = np.bincount(user)
    by_user = order[np.argsort(user[order], kind="stable")]
    start = size.cumsum() - size
    rank = np.empty(user.size, dtype=np.int64)
    rank[by_user] = np.arange(user.size) - start[user[by_user]]
    return rank, size[user]
