"""When a placement is trained anew: rules as a value, and what is due by them, a pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import DAY, HOUR, MINUTE, SECOND, duration, isoformat
from siamrec._core.settings import decoded, encoded
from siamrec._core.table import Record, Table, counted
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.lifecycle._figure_names import require_metric
from siamrec.storage.jobs import paused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.typing import Instant

ACCURACY = "accuracy"
"""Share of judged items that were judged good; see `Tracker`."""
_MIN_PER_ITEM = 5


@final
@dataclass(frozen=True, slots=True, repr=False)
class Below(Record):
    """A metric that is clearly below a bound: its whole 95 % interval is.

    Only what was served since the last training counts.

    Args:
        metric: `"accuracy"`, or a metric as `Workspace.measure` knows it, such as `"ctr"`.
        bound: The bound.
        window: How far back lists are looked at.
        least: Fewest lists, or judged items for the accuracy, that say anything.
        min_per_item: For the accuracy: fewest judgements of an item that counts; 5 when absent.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such metric.
        siamrec.errors.InvalidParameterError: If a number is out of range.

    Examples:
        >>> Below("accuracy", 0.5, window="30d", min_per_item=5)
        <Below accuracy below 0.5 in 30d>
    """

    metric: str
    bound: float
    window: str = "30d"
    least: int = 30
    min_per_item: int | None = None

    def __post_init__(self) -> None:
        _require_metric(self.metric)
        check.not_negative("bound", self.bound)
        duration("window", check.text("window", self.window))
        check.count("least", self.least)
        if self.metric == ACCURACY:
            check.share("bound", self.bound)
            n = _MIN_PER_ITEM if self.min_per_item is None else self.min_per_item
            object.__setattr__(self, "min_per_item", check.count("min_per_item", n))
        elif self.min_per_item is not None:
            expected = f"left out: {self.metric} is not counted by item"
            raise InvalidParameterError("min_per_item", self.min_per_item, expected)

    @override
    def title(self) -> str:
        return f"Below {self.metric} below {self.bound:g} in {self.window}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Drop(Record):
    """A metric that has clearly dropped against the first days of the release that serves.

    The 95 % interval of now lies below that of the first window, less the share that is put up
    with. Of now only what was served since the last training counts.

    Args:
        metric: A metric as `Workspace.measure` knows it, such as `"ctr"`.
        share: Relative loss that is put up with, in [0, 1).
        window: Length of both windows.
        least: Fewest lists in each that say anything.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such metric.
        siamrec.errors.InvalidParameterError: If a number is out of range.

    Examples:
        >>> Drop("ctr", 0.10, window="7d")
        <Drop ctr lost more than 10% in 7d>
    """

    metric: str
    share: float
    window: str = "7d"
    least: int = 100

    def __post_init__(self) -> None:
        if self.metric == ACCURACY:
            expected = "a metric of lists such as 'ctr'; the accuracy has Below"
            raise InvalidParameterError("metric", self.metric, expected)
        _require_metric(self.metric)
        check.below_one("share", self.share)
        duration("window", check.text("window", self.window))
        check.count("least", self.least)

    @override
    def title(self) -> str:
        return f"Drop {self.metric} lost more than {self.share:.0%} in {self.window}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Retraining(Record):
    """When a placement is trained anew; each rule by itself is enough.

    Nothing is due without a new event, within `rest` of the last training, while a job for it
    waits or runs, or while the pause after a failure lasts, which doubles from `rest` to a day.

    Args:
        every: Time since the last training.
        new_events: Events since the last training.
        age: Age of the release that serves.
        below: A metric that is below a bound.
        drop: A metric that has dropped against the release's own figures.
        rest: Least time between two trainings.

    Raises:
        siamrec.errors.MissingInputError: If there is no rule.
        siamrec.errors.InvalidParameterError: If a rule is out of range, or two contradict.

    Examples:
        >>> Retraining(every="6h", new_events=500)
        <Retraining every 6h, from 500 new events on>
    """

    every: str | None = None
    new_events: int | None = None
    age: str | None = None
    below: Below | None = None
    drop: Drop | None = None
    rest: str = "1h"

    def __post_init__(self) -> None:
        rest = duration("rest", check.text("rest", self.rest))
        for name in ("every", "age"):
            given = getattr(self, name)
            if given is not None and duration(name, check.text(name, given)) < rest:
                expected = f"at least the rest of {self.rest} between two trainings"
                raise InvalidParameterError(name, given, expected)
        if self.new_events is not None:
            check.count("new_events", self.new_events)
        for name, kind in (("below", Below), ("drop", Drop)):
            if getattr(self, name) is not None:
                check.kind(name, getattr(self, name), kind)
        rules = (self.every, self.new_events, self.age, self.below, self.drop)
        if all(rule is None for rule in rules):
            raise MissingInputError("a rule", "Retraining(every='6h')")
        both = self.every is not None and self.age is not None
        if both and duration("age", self.age or "") < duration("every", self.every or ""):
            expected = f"at least {self.every}, or the schedule is never waited for"
            raise InvalidParameterError("age", self.age, expected)

    @override
    def title(self) -> str:
        told = (
            self.every and f"every {self.every}",
            self.new_events and f"from {counted(self.new_events, 'new event')} on",
            self.age and f"at an age of {self.age}",
            self.below and self.below.title().removeprefix("Below "),
            self.drop and self.drop.title().removeprefix("Drop "),
        )
        return f"Retraining {', '.join(each for each in told if each)}"

    def to_config(self) -> dict[str, Any]:
        """Return the rules as JSON values."""
        return encoded(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Retraining:
        """Return the rules that `to_config` wrote.

        Raises:
            siamrec.errors.UnknownNameError: If a rule is not known, as of a newer release.
        """
        return cls(**decoded("retraining", cls, config))


class Figure(NamedTuple):
    """What was measured: its value, the ends of its 95 % interval, and of how many lists."""

    value: float
    low: float
    high: float
    n: int


class Facts(NamedTuple):
    """What is known of a placement when it is asked what is due.

    Attributes:
        trained: When it was trained last; None for never.
        new_events: Events since then.
        made: When the release that serves was made; None where none serves.
        below: The metric of `Retraining.below`; None where nothing is known.
        drop: That of `Retraining.drop`, of the first window and of now.
        failures: Jobs since the last training that failed or were cancelled.
        failed: When the last of them ended.
        busy: Whether a job for it waits or runs.
        trainings: How often it was trained.
    """

    trained: Instant | None = None
    new_events: int = 0
    made: Instant | None = None
    below: Figure | None = None
    drop: tuple[Figure, Figure] | None = None
    failures: int = 0
    failed: Instant | None = None
    busy: bool = False
    trainings: int = 0


@final
@dataclass(frozen=True, slots=True, repr=False)
class Due(Record):
    """Whether a placement is to be trained now, and why.

    Attributes:
        yes: Whether it is.
        reasons: Every rule that says so; or why it is not, in one line.
    """

    yes: bool
    reasons: tuple[str, ...]

    @override
    def title(self) -> str:
        return f"{'Due' if self.yes else 'Not due'}: {'; '.join(self.reasons)}"

    @override
    def table(self) -> Table:
        """Return one row for each reason."""
        return Table(head=("reason",), rows=tuple((each,) for each in self.reasons),
                     title=self.title())  # fmt: skip


def due(rules: Retraining | None, facts: Facts, now: Instant) -> Due:
    """Return whether a placement is to be trained at an instant, and why; see `Retraining`.

    Examples:
        >>> hour = 3600 * 10**9
        >>> due(Retraining(every="6h"), Facts(trained=0, new_events=9), 7 * hour)
        <Due: 7 hours since the last training, every 6h>
        >>> due(Retraining(every="6h"), Facts(trained=0, new_events=9), 5 * hour).yes
        False
    """
    against = spoken_against(rules, facts, now)
    if against is not None or rules is None:
        return Due(False, (against or "",))
    n = counted(facts.new_events, "new event")
    if facts.trained is None:
        return Due(True, (f"Never trained: {n}",))
    since = now - facts.trained
    found = []
    if rules.every is not None and since >= duration("every", rules.every):
        found.append(f"{_long(since)} since the last training, every {rules.every}")
    if rules.new_events is not None and facts.new_events >= rules.new_events:
        found.append(f"{n}, from {rules.new_events:,} on")
    age = None if rules.age is None else duration("age", rules.age)
    if age is not None and facts.made is not None and now - facts.made >= age:
        found.append(f"What serves is {_long(now - facts.made)} old, at most {rules.age}")
    found += _measured(rules, facts)
    if found:
        return Due(True, tuple(found))
    return Due(False, (f"{_long(since)} since the last training, {n}: no rule asks for it",))


def spoken_against(rules: Retraining | None, facts: Facts, now: Instant) -> str | None:
    """Return why nothing is due, whatever the rules say."""
    if rules is None:
        return "The placement has no rules of retraining"
    if facts.busy:
        return "A job for it waits or runs"
    rest = duration("rest", rules.rest)
    if facts.failed is not None:
        again = facts.failed + paused(facts.failures, rest, DAY)
        if now < again:
            failures = counted(facts.failures, "failure")
            return f"{failures} since the last training: not before {isoformat(again)}"
    if not facts.new_events:
        return "No new event"
    if facts.trained is not None and now - facts.trained < rest:
        return f"{_long(max(now - facts.trained, 0))} since the last training: rests {rules.rest}"
    return None


def _measured(rules: Retraining, facts: Facts) -> list[str]:
    """Return what is clearly worse than it may be."""
    found, low, drop = [], rules.below, rules.drop
    seen = facts.below
    if low is not None and seen is not None and seen.n >= low.least and seen.high < low.bound:
        told = f"{seen.value:.3g} [{seen.low:.3g}, {seen.high:.3g}]"
        found.append(f"{low.metric} {told} of {seen.n:,} in {low.window}: below {low.bound:g}")
    if drop is not None and facts.drop is not None:
        first, last = facts.drop
        enough = min(first.n, last.n) >= drop.least
        if enough and last.high < (1 - drop.share) * first.low:
            told = f"{first.value:.3g} at first to {last.value:.3g} in {drop.window}"
            found.append(f"{drop.metric} {told}: lost more than {drop.share:.0%}")
    return found


def _require_metric(name: str) -> None:
    if check.text("metric", name) != ACCURACY:
        require_metric(name, besides=(ACCURACY,))


def _long(length: int) -> str:
    """Return a time in the greatest unit of which it has one."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if length >= unit:
            return counted(length // unit, name)
    return counted(length // SECOND, "second")
