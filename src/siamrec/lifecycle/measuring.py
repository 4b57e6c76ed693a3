"""What the log of a workspace tells: events of lists, and metrics by any slice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND
from siamrec._core.table import Shown, Table, counted
from siamrec.data import FeedbackKind, Rankings, Vocabulary
from siamrec.errors import MissingInputError, UnknownNameError
from siamrec.lifecycle._figure_names import ONLINE, require_metric
from siamrec.lifecycle._groups import ITEM, POPULARITY, item_groups
from siamrec.lifecycle._searching import unit_of
from siamrec.lifecycle._settlement import earned, events_by_list, rewards_of
from siamrec.lifecycle._starving import SERVED, served_shares
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.metrics import Suite
from siamrec.metrics.online.events import KINDS, Events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.release import Release
    from siamrec.storage import StoredList
    from siamrec.typing import FloatArray, Instant, IntArray

_OF_LIST = ("placement", "experiment", "variant", "allocation", "version", "day")
_LEVELS = (*_OF_LIST, "arm", "model")
_CONTEXT = "context."
_NONE = "none"
_KIND_OF = {
    FeedbackKind.CLICK: "click",
    FeedbackKind.RATING: "rating",
    FeedbackKind.THUMB: "thumb",
    FeedbackKind.DWELL: "dwell",
    FeedbackKind.CONVERSION: "conversion",
}
"""Kinds of the log that metrics of events know; views and comments are none of them."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Measured(Shown):
    """Metrics of what was seen, by slice.

    Attributes:
        by: Names of the columns that were sliced by.
        rows: For each slice and metric: the levels of the slice, the metric, its value, its 95 %
            interval (None for a figure of lists, which is a census), and the number of lists.
        n_unseen: Lists that nobody has seen; they are part of no figure.
        n_stray: Events on items that their list had not shown; they are part of no figure.
    """

    by: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], str, float, tuple[float, float] | None, int], ...]
    n_unseen: int
    n_stray: int

    def value(self, metric: str, **slice_: str) -> float:
        """Return one figure.

        Args:
            metric: Name of the metric.
            slice_: Level of every column that was sliced by.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such figure.
        """
        wanted = tuple(slice_.get(name, "") for name in self.by)
        for levels, name, value, _, _ in self.rows:
            if (levels, name) == (wanted, metric):
                return value
        raise UnknownNameError("figure", f"{metric} of {slice_}", [row[1] for row in self.rows])

    @override
    def title(self) -> str:
        by = f" by {', '.join(self.by)}" if self.by else ""
        return f"Measured{by}: {counted(len(self.rows), 'figure')}"

    @override
    def table(self) -> Table:
        """Return one row for each slice and metric."""
        rows: tuple[tuple[Any, ...], ...] = tuple((*each[0], *each[1:]) for each in self.rows)
        head = (*self.by, "metric", "value", "interval", "lists")
        told = (("lists that nobody has seen", self.n_unseen), ("stray events", self.n_stray))
        notes = tuple(f"{n:,} {what} are left out" for what, n in told if n)
        return Table(head=head, rows=rows, title=self.title(), notes=notes)


class _Shown(NamedTuple):
    """One seen item of a list."""

    list: int
    place: int
    item: Any
    arm: str


def events_of(
    ground: Ground, placement: str | None, since: Instant | None, until: Instant | None
) -> tuple[Events, int]:
    """Return what was seen and done on the lists of a time, and how many events were stray."""
    lists = list(lists_of(ground, placement, since, until))
    persons = ground.store.identities.persons()
    seen, columns = _seen(lists)
    rows: list[tuple[Any, Any, str, int, float, int, int]] = [
        (_unit(lists[each.list], persons), each.item, "impression", when, 1.0, code, each.place)
        for code, (each, when) in enumerate(seen)
    ]
    place_of = {(each.list, str(each.item)): code for code, (each, _) in enumerate(seen)}
    number = {each.id: place for place, (each, _) in enumerate(lists)}
    owner = list(range(len(rows)))
    stray = 0
    told = ground.store.recommendations.events_of([each.id for each, _ in lists])
    if told is not None and told.decision is not None:
        listed = zip(
            told.decision.tolist(), told.items.decode(told.item), told.kind.tolist(),
            told.time.tolist(), told.value.tolist(), strict=True,
        )  # fmt: skip
        for id_, item, kind, time, value in listed:
            code = place_of.get((number[id_], str(item)), -1)
            name = _KIND_OF.get(FeedbackKind(kind))
            stray += code < 0 and name is not None
            if code < 0 or name is None:
                continue
            each = seen[code][0]
            unit = _unit(lists[each.list], persons)
            rows.append((unit, item, name, time, value, code, each.place))
            owner.append(code)
    spread = {name: [column[code] for code in owner] for name, column in columns.items()}
    return _events(rows, spread), stray


def _events(rows: Sequence[tuple[Any, ...]], columns: Mapping[str, Sequence[Any]]) -> Events:
    user, item, kind, time, value, impression, position = (
        zip(*rows, strict=True) if rows else ((),) * 7
    )
    users, user_code = Vocabulary.factorize(user)
    items, item_code = Vocabulary.factorize(item)
    return Events(
        users=users,
        items=items,
        user=user_code,
        item=item_code,
        kind=np.array([KINDS.index(each) for each in kind], dtype=np.int8),
        time=np.array(time, dtype=np.int64),
        value=np.array(value, dtype=np.float64),
        impression=np.array(impression, dtype=np.int64),
        position=np.array(position, dtype=np.int64),
        columns={name: np.array(column) for name, column in columns.items()},
    )


def lists_of(
    ground: Ground, placement: str | None, since: Instant | None, until: Instant | None
) -> Iterable[tuple[Recommendation, StoredList]]:
    """Yield the lists of a time with their rows, oldest first."""
    for row in ground.store.recommendations.between(placement, since, until):
        yield Recommendation.of(row), row


def _unit(pair: tuple[Recommendation, StoredList], persons: Mapping[Any, Any]) -> Any:
    """Return whose list it is; one that was made for nobody is a unit of its own."""
    each, _ = pair
    return each.id if each.user is None else str(persons.get(each.user, each.user))


def _seen(
    lists: Sequence[tuple[Recommendation, StoredList]],
) -> tuple[list[tuple[_Shown, Instant]], dict[str, list[Any]]]:
    """Return the seen items of lists with the instant, and the columns of each."""
    seen: list[tuple[_Shown, Instant]] = []
    columns: dict[str, list[Any]] = {name: [] for name in (*_LEVELS, "confidence", "list")}
    factors = sorted({factor for each, _ in lists for factor in each.context})
    columns |= {f"{_CONTEXT}{factor}": [] for factor in factors}
    for number, (each, row) in enumerate(lists):
        sure = dict(zip(each.arms, each.confidences, strict=False))
        levels = _levels_of(each)
        for (place, _, _, source, _, when), item in zip(row.items, each.items, strict=True):
            if when is None:
                continue
            seen.append((_Shown(number, place, item, source), int(when)))
            for name in _OF_LIST:
                columns[name].append(levels[name])
            columns["arm"].append(source)
            columns["model"].append(each.versions.get(source, _NONE))
            columns["confidence"].append(sure.get(source, np.nan))
            columns["list"].append(each.id)
            for factor in factors:
                columns[f"{_CONTEXT}{factor}"].append(each.context.get(factor, _NONE))
    return seen, columns


def _levels_of(each: Recommendation) -> dict[str, str]:
    day = datetime.fromtimestamp(each.time / SECOND, tz=UTC).date().isoformat()
    return {
        "placement": each.placement,
        "experiment": each.experiment or _NONE,
        "variant": each.variant or _NONE,
        "allocation": _NONE if each.allocation is None else str(each.allocation),
        "version": each.release or _NONE,
        "day": day,
    }


def measured(
    ground: Ground,
    metrics: Sequence[str],
    *,
    by: Sequence[str],
    placement: str | None,
    since: Instant | None,
    until: Instant | None,
    release: Callable[[str], Release],
    age: Callable[[str], Instant],
) -> Measured:
    """Return metrics of what was seen, by slice; see `Workspace.measure`."""
    wanted = check.many("metrics", metrics, what="names of metrics")
    for name in wanted:
        if name not in SERVED:
            require_metric(name, besides=tuple(SERVED))
    by = tuple(check.many("by", by, what="names of columns"))
    served, wanted = _parted(wanted)
    rows: list[Any] = []
    if served:
        lists = [(each, _told_of(each)) for each, _ in lists_of(ground, placement, since, until)]
        rows += served_shares(served, lists, by)
    events, stray = events_of(ground, placement, since, until)
    needed = set(wanted) - set(ONLINE) or (wanted and POPULARITY in by)
    known = _known_items(events, release, age) if needed else None
    slices = _slices(events, _columns(ground, events, by, known)) if wanted else []
    for levels, rows_of in slices:
        part = events.where(rows_of)
        n_lists = len(np.unique(part.columns["list"]))
        for name in wanted:
            if name in ONLINE:
                found = ONLINE[name](part).estimate()
                rows.append((levels, name, float(found.mean), found.interval, n_lists))
            else:
                rows.append((levels, name, _of_lists(part, name, known), None, n_lists))
    every = ground.store.recommendations.between(placement, since, until)
    unseen = sum(row.opened is None for row in every)
    return Measured(by=by, rows=tuple(rows), n_unseen=unseen, n_stray=stray)


def _parted(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the metrics of what was served, and those of what was seen."""
    served = [name for name in names if name in SERVED]
    return served, [name for name in names if name not in SERVED]


def _told_of(each: Recommendation) -> dict[str, str]:
    return _levels_of(each) | {f"{_CONTEXT}{name}": each.context[name] for name in each.context}


def _columns(
    ground: Ground, events: Events, by: tuple[str, ...], known: _Items | None
) -> list[list[tuple[str, ...]]]:
    """Return for each name the levels of every event: one, or those of the groups of its item."""
    catalog = None
    columns = []
    for name in by:
        if name.startswith(ITEM):
            catalog = ground.store.catalog.read() if catalog is None else catalog
            counted_in = None if known is None else (known.items, known.popularity)
            groups = item_groups(name, events.items, catalog, counted_in)
            columns.append([groups[code] for code in events.item.tolist()])
        else:
            names = [each for each in events.columns if each != "list"]
            check.one_of("column", name, [*names, POPULARITY])
            columns.append([(level,) for level in events.columns[name].astype(str).tolist()])
    return columns


def _slices(
    events: Events, columns: Sequence[Sequence[tuple[str, ...]]]
) -> list[tuple[tuple[str, ...], IntArray]]:
    """Return the levels of each slice, and its events."""
    if not columns:
        return [((), np.arange(len(events)))]
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, several in enumerate(zip(*columns, strict=True)):
        for levels in product(*several):
            rows.setdefault(levels, []).append(row)
    return [(levels, np.array(rows[levels])) for levels in sorted(rows)]


@final
@dataclass(frozen=True, slots=True)
class _Items:
    """What is known of the items of all releases that lists were made by, the newest first."""

    items: Vocabulary
    popularity: FloatArray
    quality: FloatArray
    vectors: dict[Any, FloatArray]


def _known_items(
    events: Events, release: Callable[[str], Release], age: Callable[[str], Instant]
) -> _Items | None:
    versions = {version for version in events.columns["version"].tolist() if version != _NONE}
    if not versions:
        return None
    newest = [release(version) for version in sorted(versions, key=age, reverse=True)]
    of: dict[Any, tuple[float, float]] = {}
    for each in newest:
        facts = zip(each.popularity.tolist(), each.quality.tolist(), strict=True)
        for item, fact in zip(each.items.ids, facts, strict=True):
            of.setdefault(item, fact)
    for item in events.items.ids:  # of lists that were made before any release
        of.setdefault(item, (0.0, 0.0))
    popularity, quality = np.array(list(of.values())).T
    # Vectors of two releases lie in two spaces: only those of the newest are compared.
    own = zip(newest[0].items.ids, newest[0].vectors.astype(np.float64), strict=True)
    return _Items(Vocabulary(tuple(of)), popularity, quality, dict(own))


def _of_lists(part: Events, name: str, known: _Items | None) -> float:
    """Return a metric of the seen lists of a slice, as `Suite` gives it on them."""
    shown = part.where(part.kind == KINDS.index("impression"))
    if not len(shown):
        return float("nan")
    if known is None:
        raise MissingInputError(
            "a release", "train the placement: lists of nothing trained have no catalogue"
        )
    assert shown.position is not None
    order = np.lexsort((shown.position, shown.columns["list"]))
    shown = shown.where(order)
    ids, row = np.unique(shown.columns["list"], return_inverse=True)
    item = known.items.encode(shown.items.decode(shown.item)).astype(np.int32)
    lists = Rankings(
        users=Vocabulary(tuple(ids.tolist())),
        items=known.items,
        item=item,
        start=np.searchsorted(row, np.arange(len(ids) + 1)),
    )
    full = name if "@" in name else f"{name}@{int(lists.length.max(initial=1))}"
    there = all(known.items[code] in known.vectors for code in np.unique(item).tolist())
    found = Suite([full]).evaluate(
        lists,
        catalog_size=len(known.items),
        popularity=known.popularity,
        quality=known.quality,
        embeddings=known.vectors if there else None,
        n_users=len(ids),
    )
    return float(found[full].mean)


def outcomes_of(ground: Ground, experiment: str) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """Return one row for each seen list of an experiment: unit, variant and what came of it.

    And by variant the number of lists that are left out: those that a person of several ids saw
    in another variant than that of the id which was exposed first.
    """
    lists = [
        (each, row)
        for each, row in lists_of(ground, None, None, None)
        if each.experiment == experiment and row.opened is not None and unit_of(each) is not None
    ]
    units = _units(lists, ground.store.identities.persons())
    left = Counter(str(each.variant) for each, _ in lists if each.id not in units)
    lists = [pair for pair in lists if pair[0].id in units]
    rows = [row for _, row in lists]
    told = events_by_list(rows, ground.store.recommendations.events_of([r.id for r in rows]))
    columns: dict[str, list[Any]] = {
        name: [] for name in ("unit", "variant", "success", "reward", "clicks")
    }
    rules = {name: ground.config(name).settles for name in {each.placement for each, _ in lists}}
    for each, row in lists:
        events = told[row.id]
        gained = rewards_of(row, events, rules[each.placement])
        n_clicks = 0 if events is None else int((events.kind == FeedbackKind.CLICK).sum())
        reward = float(np.mean(list(gained.values()))) if gained else 0.0
        won = any(value > 0 for value in earned(row, events, rules[each.placement]).values())
        values = (units[each.id], each.variant, float(won), reward, float(n_clicks))
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return columns, dict(sorted(left.items()))


def _units(
    lists: Sequence[tuple[Recommendation, StoredList]], persons: Mapping[Any, Any]
) -> dict[str, str]:
    """Return the unit of each list that counts: for a person of several ids the first exposed.

    What such a person saw in another variant, before the ids were known to be one person's, does
    not count; so who is exposed, and in which variant, is as it was drawn.
    """
    first: dict[Any, tuple[Recommendation, StoredList]] = {}
    ordered = sorted(lists, key=lambda pair: (pair[1].opened, pair[0].id))
    for each, row in ordered:
        first.setdefault(persons.get(each.user, each.user), (each, row))
    several = set(persons.values())
    found = {}
    for each, _ in lists:
        person = persons.get(each.user, each.user)
        if each.unit == "user" and person in several:
            begun = first[person][0]
            if each.variant == begun.variant:
                found[each.id] = str(begun.user)
        else:
            found[each.id] = str(unit_of(each))
    return found
