"""What people did with the lists they were shown: every event finds its list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Shown, Table
from siamrec.data import Feedback, FeedbackKind
from siamrec.errors import InvalidParameterError, MissingInputError, UnknownNameError
from siamrec.feedback import LoadedFeedback
from siamrec.lifecycle._searching import with_query
from siamrec.lifecycle._settlement import settle_at_once
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.storage import Imported, Receipt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siamrec.data import Catalog
    from siamrec.lifecycle._ground import Ground
    from siamrec.storage import FeedbackSummary, StoredList
    from siamrec.typing import Id, Instant


@final
class WorkspaceFeedback(Shown):
    """Feedback of a workspace; made by `Workspace`.

    An event on a list is stored together with what it means for the list: the item and those
    above it were seen, and the list waits to be settled (anew). Told again it is a duplicate, by
    list, item, kind, user and value. An event on an item that the list did not show is kept and
    rewards nobody.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._log = ground.store.feedback

    @override
    def title(self) -> str:
        return f"Feedback at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return what was collected."""
        return self.summary().table()

    def write(self, feedback: Feedback, *, keys: Sequence[str] | None = None) -> Receipt:
        """Store many events in one transaction; see `siamrec.storage.FeedbackLog.write`.

        Raises:
            siamrec.errors.InvalidParameterError: If ids are of another kind than the workspace's.
        """
        check.kind("feedback", feedback, Feedback)
        self._ground.require_kinds(users=feedback.users.ids, items=feedback.items.ids)
        return self._log.write(feedback, keys=keys)

    def load(
        self, loaded: LoadedFeedback, *, catalog: Catalog | None = None, dry_run: bool = False
    ) -> Imported:
        """Store what was read from files, all of it or nothing, and return the counts.

        Args:
            loaded: What `siamrec.feedback.FileFeedback.load` returned.
            catalog: Items that go with it.
            dry_run: Whether only to count: nothing is stored then.

        Raises:
            siamrec.errors.InvalidParameterError: If ids are of another kind than the workspace's.
        """
        feedback = check.kind("loaded", loaded, LoadedFeedback).feedback
        items = (*feedback.items.ids, *(() if catalog is None else catalog.items.ids))
        kinds = self._ground.alike if dry_run else self._ground.require_kinds
        kinds(users=feedback.users.ids, items=items)
        receipt, n_items = self._ground.store.copies.take_in(feedback, catalog, dry_run=dry_run)
        return Imported(
            rows=loaded.n_rows,
            accepted=receipt.accepted,
            duplicates=receipt.duplicates,
            rejected=loaded.reasons,
            left_out=dict(loaded.left_out),
            items=n_items,
            dry=dry_run,
        )

    def read(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        batch_rows: int = 65_536,
    ) -> Iterator[Feedback]:
        """Yield the events in time order; see `siamrec.storage.FeedbackLog.read`."""
        return self._log.read(since=since, until=until, batch_rows=batch_rows)

    def read_all(self) -> Feedback:
        """Return every event as one value.

        Raises:
            siamrec.errors.InvalidDataError: If the log is empty.
        """
        return self._log.read_all()

    def summary(self) -> FeedbackSummary:
        """Return what was collected."""
        return self._log.summary()

    def click(
        self, shown: Recommendation | str, item: Id, *, user: Id | None = None,
        time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store a click on an item of a list.

        Args:
            shown: The list, or its id.
            item: The item.
            user: Who; whom the list was made for when absent.
            time: When; the clock's instant when absent.
            key: Idempotency key; of list, item and kind when absent.

        Raises:
            siamrec.errors.UnknownNameError: If the list is none of this workspace.
            siamrec.errors.MissingInputError: If the list was made for nobody and no user is given.
        """
        return self._tell(shown, item, 1.0, FeedbackKind.CLICK, user, time, key)

    def thumbs(
        self, shown: Recommendation | str, item: Id, *, up: bool, user: Id | None = None,
        time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store a thumb, up (+1) or down (-1), on an item of a list; see `click`."""
        value = 1.0 if check.kind("up", up, bool) else -1.0
        return self._tell(shown, item, value, FeedbackKind.THUMB, user, time, key)

    def dwell(
        self, shown: Recommendation | str, item: Id, *, seconds: float, user: Id | None = None,
        time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store how many seconds somebody stayed with an item of a list; see `click`."""
        check.not_negative("seconds", seconds)
        return self._tell(shown, item, seconds, FeedbackKind.DWELL, user, time, key)

    def convert(
        self, shown: Recommendation | str, item: Id, *, value: float = 1.0,
        user: Id | None = None, time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store a conversion, such as a purchase with its amount; see `click`."""
        return self._tell(shown, item, value, FeedbackKind.CONVERSION, user, time, key)

    def rate(
        self, user: Id, item: Id, value: float, *, shown: Recommendation | str | None = None,
        time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store a rating of an item, shown in a list or not; see `click`."""
        return self._of_user(user, item, value, FeedbackKind.RATING, shown, time, key)

    def comment(
        self, user: Id, item: Id, text: str, *, shown: Recommendation | str | None = None,
        time: Instant | None = None, key: str | None = None,
    ) -> Receipt:  # fmt: skip
        """Store a comment on an item; its text is the context column `comment`; see `click`."""
        words = {"comment": np.asarray([check.text("text", text)])}
        kind = FeedbackKind.COMMENT
        return self._of_user(user, item, 1.0, kind, shown, time, key, context=words)

    def seen(
        self,
        shown: Recommendation | str,
        positions: Sequence[int] | None = None,
        *,
        time: Instant | None = None,
    ) -> None:
        """Note that a list was seen, all of it or some positions, from 1.

        A list that counts as seen only then begins its window with the first *seen*.

        Raises:
            siamrec.errors.UnknownNameError: If the list is none of this workspace.
            siamrec.errors.InvalidParameterError: If it has no such position.
        """
        row = self._list(shown)
        items = None
        if positions is not None:
            by_place = {place: item for place, item, *_ in row.items}
            for place in check.many("positions", positions, what="positions"):
                if not isinstance(place, int) or place not in by_place:
                    raise InvalidParameterError("positions", place, f"from 1 to {len(by_place)}")
            items = [by_place[place] for place in positions]
        when = max(self._now(time), row.time)
        self._ground.store.recommendations.tell(row.id, [], seen=items, time=when)

    def retract(self, event: Receipt | str) -> list[str]:
        """Take back what somebody did; return the lists that it was told of.

        History, *seen* and training know nothing of it from now on. A list that was settled with
        it is settled anew, and the bandit's reward is corrected. Its key stays used up: what is
        told again on a list, without a key, counts again; with a key it needs another.

        Args:
            event: What told it returned, or its key.

        Raises:
            siamrec.errors.UnknownNameError: If there is no event of that key.
            siamrec.errors.InvalidDataError: If it is archived or erased.
            siamrec.errors.InvalidParameterError: If the receipt is of many events.
        """
        keys = event.keys if isinstance(event, Receipt) else (check.text("event", event),)
        if not keys:
            raise InvalidParameterError("event", event, "of one event, or a key")
        return self._log.retract(*keys)

    def _of_user(  # noqa: PLR0917 - one event, in the order of its columns
        self,
        user: Id,
        item: Id,
        value: float,
        kind: FeedbackKind,
        shown: Recommendation | str | None,
        time: Instant | None,
        key: str | None,
        context: dict[str, Any] | None = None,
    ) -> Receipt:
        if shown is not None:
            return self._tell(shown, item, value, kind, user, time, key, context=context)
        event = self._event(user, item, value, kind, self._now(time), context)
        return self.write(event, keys=None if key is None else [key])

    def _tell(  # noqa: PLR0917 - one event, in the order of its columns
        self,
        shown: Recommendation | str,
        item: Id,
        value: float,
        kind: FeedbackKind,
        user: Id | None,
        time: Instant | None,
        key: str | None,
        context: dict[str, Any] | None = None,
    ) -> Receipt:
        row = self._list(shown)
        if user is None:
            user = int(row.unit) if row.unit is not None and row.whole & 1 else row.unit
        if user is None:
            raise MissingInputError("user", "user=..., since the list was made for nobody")
        when = self._now(time)
        event = self._event(user, item, value, kind, when, context)
        place = next((place for place, id_, *_ in row.items if id_ == str(item)), None)
        event = replace(
            event,
            decision=np.asarray([row.id], dtype=np.str_),
            position=None if place is None else np.asarray([place]),
        )
        event = with_query(event, row)
        said = (row.id, str(item), int(kind), str(user), float(value), repr(context))
        own = content_hash(*said)[:40] if key is None else check.text("key", key, longest=64)
        # Who acts on an item has looked at the list down to it.
        seen = [id_ for number, id_, *_ in row.items if place is not None and number <= place]
        log = self._ground.store.recommendations
        opened = max(when, row.time)  # a device's clock may be behind
        receipt = log.tell(row.id, self._log.rows(event, [own]), seen=seen, time=opened)
        while key is None and not receipt.accepted and self._log.was_retracted(own):
            own = content_hash(own, "again")[:40]  # done once more after it was taken back
            receipt = log.tell(row.id, self._log.rows(event, [own]), seen=seen, time=opened)
        if receipt.conflicts and time is None and key is None:
            again = len(receipt.conflicts)  # told once more, later
            receipt = replace(receipt, duplicates=again, conflicts=())
        if receipt.accepted:
            settle_at_once(self._ground, row.id)
        return receipt

    def _event(  # noqa: PLR0917 - one event, in the order of its columns
        self,
        user: Id,
        item: Id,
        value: float,
        kind: FeedbackKind,
        when: Instant,
        context: dict[str, Any] | None,
    ) -> Feedback:
        self._ground.require_kinds(users=[user], items=[item])
        event = Feedback.of(user=[user], item=[item], value=[value], time=[when], kind=kind)
        return event if context is None else replace(event, context=context)

    def _list(self, shown: Recommendation | str) -> StoredList:
        id_ = shown.id if isinstance(shown, Recommendation) else check.text("shown", shown)
        found = self._ground.store.recommendations.get(id_)
        if found is None:
            raise UnknownNameError("recommendation of this workspace", id_, [])
        return found

    def _now(self, time: Instant | None) -> Instant:
        return self._ground.now() if time is None else check.instant("time", time)
