"""The split of a cycle: held-out users, their first half as profile, cold items hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec._core.hashing import uniforms
from siamrec._core.table import Record, counted
from siamrec.data import Truth, Vocabulary
from siamrec.data.liking import liked
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.data import Catalog, Feedback
    from siamrec.typing import BoolArray, CodeArray, FloatArray

_FEWEST_EVENTS = 4
_FEWEST_USERS = 5
TEST_SHARE = 0.2
"""Share of the users that test."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeldOut(Record):
    """Feedback parted so that nothing that is tested was seen in training.

    Attributes:
        train: Events of the other users on warm items.
        profile: First half of the held-out users' events, warm items only.
        later: Second half of their events, in time order.
        cold: Items hidden from `train` and `profile`; all have a text.
        by_time: Whether halves follow time; without times they are drawn at random.
        positive: Smallest rating that is a like.
    """

    train: Feedback
    profile: Feedback
    later: Feedback
    cold: Vocabulary
    by_time: bool
    positive: float

    @override
    def title(self) -> str:
        tested = counted(len(self.later), "event")
        return f"Held out: {counted(len(self.train), 'event')} to train, {tested} to test"

    @property
    def warm(self) -> Vocabulary:
        """Items with training feedback: the candidates of every arm."""
        return self.train.items

    def truth(self, items: Vocabulary) -> Truth:
        """Return which of `items` each held-out user liked later, and had not met before.

        Users follow `profile.users`; a user may have none.
        """
        users = self.profile.users
        likes = liked(self.later.kind, self.later.value, self.positive)
        user = self.later.users.translate(users)[self.later.user].astype(np.int64)
        item = self.later.items.translate(items)[self.later.item].astype(np.int64)
        met = self.profile.items.translate(items)[self.profile.item].astype(np.int64)
        n_items = max(len(items), 1)
        known = np.unique(self.profile.user[met >= 0] * n_items + met[met >= 0])
        keep = likes & (item >= 0) & (user >= 0)
        keys = np.setdiff1d(user[keep] * n_items + item[keep], known)
        return Truth(
            users=users,
            items=items,
            start=np.searchsorted(keys // n_items, np.arange(len(users) + 1)),
            item=(keys % n_items).astype(np.int32),
            grade=np.ones(keys.size),
        )


def fixed_points(salt: str, ids: Vocabulary, *, what: str = "test") -> FloatArray:
    """Return a number in [0, 1) for each user, the same for ever: who is below a share tests.

    No version is trained on what a test user did, so that any two can be compared on them.

    Args:
        salt: Salt of the workspace.
        ids: The users, or the items that may be hidden.
        what: What the numbers are for.

    Examples:
        >>> users = Vocabulary(("ann", "bob"))
        >>> bool((fixed_points("s", users) == fixed_points("s", users)).all())
        True
    """
    points: FloatArray = uniforms(map(str, ids.ids), f"{what}|{salt}")
    return points


def hold_out(
    feedback: Feedback,
    catalog: Catalog,
    *,
    rng: Chance,
    salt: str = "",
    share: float = TEST_SHARE,
    cold_share: float = 0.1,
    positive: float = 4.0,
) -> HeldOut:
    """Split by user, then by time within each held-out user, and hide some items.

    Users are held out, and items hidden, by a hash, so that they are the same whenever there is
    new data, and an encoder of last month has not met what is hidden today. Those of the users
    with fewer than four events, or without a like in the later half, neither train nor test; nor
    do, for a small share, the others whom `TEST_SHARE` would hold out. Where the hash chooses
    fewer than two, the two next to it are held out; never more than half.

    Args:
        feedback: All events.
        catalog: Items with texts; only items with a text are hidden, since a text is the only
            ground on which they can be ranked.
        rng: Draws halves where times are not known.
        salt: Salt of the hash.
        share: Share of the users to hold out, in (0, 1).
        cold_share: Share of the items to hide, in [0, 1).
        positive: Smallest rating that is a like.

    Raises:
        siamrec.errors.InvalidDataError: If there are too few users, or nothing is liked.
    """
    rng = generator(rng)
    check.share("share", share, open_ends=True)
    check.share("cold_share", cold_share)
    _require_enough(feedback, positive)
    events = feedback.compacted()
    # Random halves come from shuffling first: the sort that follows keeps ties in their order.
    shuffled = events if events.has_time else events.where(rng.permutation(len(events)))
    ordered = shuffled.where(np.lexsort((shuffled.time, shuffled.user)))
    is_later = _second_half(ordered.user, len(ordered.users))
    liked_later = np.bincount(
        ordered.user[is_later & liked(ordered.kind, ordered.value, positive)],
        minlength=len(ordered.users),
    )
    counts = np.bincount(ordered.user, minlength=len(ordered.users))
    eligible = np.flatnonzero((liked_later > 0) & (counts >= _FEWEST_EVENTS))
    if eligible.size < _FEWEST_USERS:
        raise InvalidDataError(
            f"A cycle needs at least {_FEWEST_USERS} users with {_FEWEST_EVENTS} events and a "
            f"later like, got {eligible.size}."
        )
    points = fixed_points(salt, ordered.users)
    wanted = int((points[eligible] < share).sum())
    n_held = max(2, min(wanted, eligible.size // 2))
    held = np.zeros(len(ordered.users), dtype=bool)
    held[eligible[np.argsort(points[eligible], kind="stable")[:n_held]]] = True
    silent = (points < max(share, TEST_SHARE)) & ~held
    kept = ~silent[ordered.user]
    cold = _cold_items(ordered, catalog, cold_share, salt)
    return _parts(ordered.where(kept), held, is_later[kept], cold, positive)


def hold_out_users(
    feedback: Feedback, held: BoolArray, *, rng: Chance, positive: float
) -> HeldOut:
    """Part the events of given users from those of the others; no item is hidden.

    Args:
        feedback: All events.
        held: Whether each of `feedback.users` is held out, shape `(n_users,)`.
        rng: Draws halves where times are not known.
        positive: Smallest value that is a like.

    Raises:
        siamrec.errors.InvalidDataError: If the other users like nothing.
    """
    shuffled = feedback
    if not feedback.has_time:
        shuffled = feedback.where(generator(rng).permutation(len(feedback)))
    ordered = shuffled.where(np.lexsort((shuffled.time, shuffled.user)))
    is_later = _second_half(ordered.user, len(ordered.users))
    return _parts(ordered, held, is_later, np.zeros(len(ordered.items), dtype=bool), positive)


def _parts(
    ordered: Feedback, held: BoolArray, is_later: BoolArray, cold: BoolArray, positive: float
) -> HeldOut:
    held_row, cold_row = held[ordered.user], cold[ordered.item]
    train = ordered.where(~held_row & ~cold_row).compacted()
    profile = ordered.where(held_row & ~is_later & ~cold_row).compacted()
    later = ordered.where(held_row & is_later).sorted()
    ids = tuple(ordered.items.decode(np.flatnonzero(cold)))
    if not liked(train.kind, train.value, positive).any():
        raise InvalidDataError(f"The training users like nothing (no rating of {positive:g}).")
    return HeldOut(
        train=train,
        profile=profile,
        later=later,
        cold=Vocabulary(ids),
        by_time=ordered.has_time,
        positive=positive,
    )


def _require_enough(feedback: Feedback, positive: float) -> None:
    n_users = len(np.unique(feedback.user))
    if n_users < _FEWEST_USERS:
        raise InvalidDataError(
            f"A cycle needs at least {_FEWEST_USERS} users to train and test on, got {n_users}."
        )
    if not liked(feedback.kind, feedback.value, positive).any():
        raise InvalidDataError(
            f"No rating reaches {positive:g}, so nothing counts as liked; "
            "lower it with --positive (positive=… from Python)."
        )


def _second_half(user: CodeArray, n_users: int) -> BoolArray:
    """Whether each row, sorted by user and time, is in the second half of its user's rows."""
    start = np.searchsorted(user, np.arange(n_users + 1))
    place = np.arange(user.size) - start[user]
    half: BoolArray = place >= (np.diff(start)[user] + 1) // 2
    return half


def _cold_items(events: Feedback, catalog: Catalog, share: float, salt: str) -> BoolArray:
    written = catalog.aligned(events.items).has_text
    cold: BoolArray = written & (fixed_points(salt, events.items, what="cold") < share)
    return cold
