"""What arms promised and what people said: accuracy of shown items that were judged later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec._core.table import Shown, Table, counted
from siamrec.data import FeedbackKind
from siamrec.errors import UnknownNameError
from siamrec.lifecycle._settlement import events_by_list
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.models.recommenders import Capability
from siamrec.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.release import Release
    from siamrec.typing import Instant

_COLUMNS = ("arm", "item", "version", "placement")


class TrackedRow(NamedTuple):
    """How the judged items of one slice turned out."""

    slice: tuple[str, ...]
    accuracy: float
    interval: tuple[float, float]
    mean_absolute_error: float | None
    n: int


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Tracked(Shown):
    """Accuracy of what was shown, by slice.

    Attributes:
        by: Names of the columns that were sliced by.
        rows: For each slice the share of judged items that were judged good, with Wilson's 95 %
            interval; the mean absolute error of predicted ratings, where the arm predicts them;
            and the number of judged items.
        n_few: Items with fewer judgements than asked; they are part of no row.
    """

    by: tuple[str, ...]
    rows: tuple[TrackedRow, ...]
    n_few: int

    @override
    def title(self) -> str:
        judged = sum(row.n for row in self.rows)
        return f"Accuracy by {', '.join(self.by)}: {counted(judged, 'judged item')}"

    @override
    def table(self) -> Table:
        """Return one row for each slice, the least accurate first."""
        head = (*self.by, "accuracy", "interval", "mean absolute error", "judged")
        rows: tuple[tuple[Any, ...], ...] = tuple((*row.slice, *row[1:]) for row in self.rows)
        few = counted(self.n_few, "item")
        notes = (f"{few} with too few judgements are left out",) if self.n_few else ()
        return Table(head=head, rows=rows, title=self.title(), notes=notes)

    def accuracy(self, *slice_: str) -> float:
        """Return the accuracy of one slice.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such slice.
        """
        for row in self.rows:
            if row.slice == slice_:
                return row.accuracy
        raise UnknownNameError("slice", ", ".join(slice_), [", ".join(r.slice) for r in self.rows])


@final
class Tracker(Shown):
    """Joins what was shown with what was said of it; made by `Workspace`.

    Args:
        ground: The workspace.
        release: Returns a release by its version.
    """

    def __init__(self, ground: Ground, release: Callable[[str], Release]) -> None:
        self._ground = ground
        self._release = release

    @override
    def title(self) -> str:
        return f"Tracker at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return the accuracy of each arm in the last thirty days."""
        return self.accuracy().table()

    def accuracy(
        self,
        *,
        window: str | timedelta | float = "30d",
        min_per_item: int = 5,
        by: Sequence[str] = ("arm",),
        since: Instant | None = None,
    ) -> Tracked:
        """Return how shown items turned out that people rated or gave a thumb.

        An item is judged good by the rule of its placement. Predicted ratings are those of the
        version that made the list.

        Args:
            window: How far back lists are looked at.
            min_per_item: Fewest judgements of an item that counts.
            by: Columns to slice by: `"arm"`, `"item"`, `"version"`, `"placement"`.
            since: The first instant of the window, in the place of its length.

        Raises:
            siamrec.errors.UnknownNameError: If a column is not known.
        """
        check.count("min_per_item", min_per_item)
        columns = tuple(check.many("by", by, what="names of columns"))
        for name in columns:
            check.one_of("column", name, _COLUMNS)
        length = duration("window", window)
        since = self._ground.now() - length if since is None else check.instant("since", since)
        judged = self._judged(since)
        counts: dict[Any, int] = {}
        for each in judged:
            counts[each.item] = counts.get(each.item, 0) + 1
        kept = [each for each in judged if counts[each.item] >= min_per_item]
        slices: dict[tuple[str, ...], list[_Judged]] = {}
        for each in kept:
            levels = tuple(str(getattr(each, name)) for name in columns)
            slices.setdefault(levels, []).append(each)
        rows = [_row(levels, part) for levels, part in slices.items()]
        few = sum(n < min_per_item for n in counts.values())
        ordered = sorted(rows, key=lambda row: (row.accuracy, row.slice))
        return Tracked(by=columns, rows=tuple(ordered), n_few=few)

    def _judged(self, since: int) -> list[_Judged]:
        """Return every shown item that was judged, with what was predicted of it."""
        log = self._ground.store.recommendations
        rows = [row for row in log.between(None, since, None) if row.opened is not None]
        told = events_by_list(rows, log.events_of([row.id for row in rows]))
        rules = {name: self._ground.config(name).settles for name in {r.placement for r in rows}}
        found = []
        for row in rows:
            events, shown = told[row.id], Recommendation.of(row)
            if events is None:
                continue
            source = dict(zip(map(str, shown.items), shown.sources, strict=True))
            score = rules[row.placement].score(events)
            opinion = np.isin(events.kind, (FeedbackKind.RATING, FeedbackKind.THUMB))
            for place in np.flatnonzero(opinion & np.isfinite(score)).tolist():
                item = events.items[int(events.item[place])]
                if str(item) in source:
                    rated = events.kind[place] == FeedbackKind.RATING
                    found.append(
                        _Judged(
                            arm=source[str(item)],
                            item=item,
                            version=row.release or "none",
                            placement=row.placement,
                            user=events.users[int(events.user[place])],
                            good=float(score[place]) > 0.5,
                            rating=float(events.value[place]) if rated else None,
                        )
                    )
        return self._predicted(found)

    def _predicted(self, judged: list[_Judged]) -> list[_Judged]:
        """Fill in the ratings that the version of a list predicts, where its arm does."""
        done = list(judged)
        groups: dict[tuple[str, str], list[int]] = {}
        for place, each in enumerate(judged):
            if each.rating is not None and each.version != "none":
                groups.setdefault((each.version, each.arm), []).append(place)
        releases = {version: self._release(version) for version, _ in groups}
        persons = self._ground.store.identities.persons()
        for (version, arm), places in groups.items():
            fitted = releases[version].arms.get(arm)
            if fitted is None or Capability.RATINGS not in fitted.capabilities:
                continue
            part = [judged[place] for place in places]
            users = [  # the release knows an id, or the person that it was known to be then
                each.user if each.user in fitted.users else persons.get(each.user, each.user)
                for each in part
            ]
            items = [each.item for each in part]
            for place, value in zip(
                places, fitted.predict(users, items, unknown="fallback").tolist(), strict=True
            ):
                done[place] = done[place]._replace(predicted=value)
        return done


class _Judged(NamedTuple):
    """One shown item that somebody judged."""

    arm: str
    item: Any
    version: str
    placement: str
    user: Any
    good: bool
    rating: float | None
    predicted: float | None = None


def _row(levels: tuple[str, ...], part: list[_Judged]) -> TrackedRow:
    good = sum(each.good for each in part)
    errors = [
        abs(each.rating - each.predicted)
        for each in part
        if each.rating is not None and each.predicted is not None
    ]
    return TrackedRow(
        levels,
        good / len(part),
        wilson(good, len(part)),
        float(np.mean(errors)) if errors else None,
        len(part),
    )
