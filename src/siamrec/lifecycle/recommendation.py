"""One list that was served, and how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec._core.table import Shown, Table, counted
from siamrec.data import Decision
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.lifecycle.why import Why
from siamrec.storage import StoredList

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle.why import Splits
    from siamrec.typing import Instant

FALLBACK, RULE = "fallback", "rule"
"""Sources of items that no arm of the decision put into the list."""
NOBODYS = (FALLBACK, RULE)


class Pager(Protocol):
    """Makes next pages."""

    def next(self, shown: Recommendation | str, k: int | None = None) -> Recommendation:
        """Return the page after a list."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Recommendation(Shown):
    """A list with everything that later events and evaluations need to know of it.

    Attributes:
        id: Id of the list and of its decision; every later event refers to it.
        placement: Where it is shown.
        user: Whom it was made for; None for nobody.
        items: Ids, best first.
        scores: Score of each item, on the scale of its source.
        sources: The arm that put each item into the list, `"fallback"` or `"rule"`.
        shares: For a blend by weights, what each arm added to each item; else empty.
        decision: The draw of the arms; None where nothing was drawn.
        time: When it was served, in nanoseconds since the epoch.
        release: Release that made it; None before the first training.
        versions: Version of each arm that took part.
        experiment: Experiment of the placement, if one runs.
        variant: Variant of the user in it.
        allocation: Version of its shares of variants, by which the user got this one.
        fallback: Why something else than the chosen arms had to fill it; None where nothing had.
        failed: Arms that were chosen and gave nothing, with the reason.
        filtered: Number of items that could be ranked and were kept back, by the first reason:
            `hidden`, `removed`, `out of stock`, `unavailable` (out of its time), `own`,
            `blocked`, `shown` (on an earlier page, or above), `seen`, `excluded`, `not among`,
            `never` (a rule), `unknown` (a filter asks for what is not known of it) or `where`.
        too_few: What was done where fewer items were left than asked for; None where enough were.
        rules: For each rule that was in force, the items that it moved: what it put in, lifted or
            put down, or what a quota kept out.
        anchors: Items on the screen, or of the visit, that the list was made for.
        query: What was searched for; None where nothing was.
        unit: What its variant was given to, the user or the query.
        limit: What the log could not tell any more when the list was made; None where nothing.
        confirm: Whether it counts as seen when served, or when somebody says so.
        parent: Id of the list that it comes after: the page before it, or the row above it.
        page: Number of the page, from 1.
        revision: Revision of the placement that the first page was made by.
        asked: What the request asked for beside the defaults, as JSON values: the next page
            inherits it.
        changed: Why a next page was not made by what made the first one; None where it was.
        logged: Whether it is in the log; nothing is learned from one that is not.
    """

    id: str
    placement: str
    user: str | int | None
    items: tuple[str | int, ...]
    scores: tuple[float, ...]
    sources: tuple[str, ...]
    shares: tuple[Mapping[str, float], ...] = ()
    decision: Decision | None = None
    time: Instant
    release: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    experiment: str | None = None
    variant: str | None = None
    allocation: int | None = None
    fallback: str | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    filtered: Mapping[str, int] = field(default_factory=dict)
    too_few: str | None = None
    rules: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
    anchors: tuple[str | int, ...] = ()
    query: str | None = None
    unit: str = "user"
    limit: str | None = None
    confirm: str = "on_serve"
    parent: str | None = None
    page: int = 1
    revision: int = 0
    asked: Mapping[str, Any] = field(default_factory=dict)
    changed: str | None = None
    logged: bool = True
    splits: Splits | None = field(default=None, compare=False, repr=False)
    """Splits scores while the list is in the process that made it; it travels no further."""
    pager: Pager | None = field(default=None, compare=False, repr=False)
    """Makes the next page, in the same process as well."""

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values["splits"] = values["pager"] = None
        return partial(Recommendation, **values), ()

    @property
    def arms(self) -> tuple[str, ...]:
        """The chosen arms, best rank first."""
        return () if self.decision is None else self.decision.arms

    @property
    def propensities(self) -> tuple[float, ...]:
        """For each chosen arm, the probability of its draw, given the arms above it."""
        return () if self.decision is None else self.decision.propensities

    def why(self, place: int) -> Why:
        """Return why an item is in the list.

        Args:
            place: Its place, from 0.

        Raises:
            siamrec.errors.InvalidParameterError: If the list is not that long.
        """
        if not self.items:
            raise InvalidParameterError("place", place, "left out: the list is empty")
        if check.count("place", place, least=0) >= len(self):
            raise InvalidParameterError("place", place, f"from 0 to {len(self) - 1}")
        item, source = self.items[place], self.sources[place]
        arm = None if source in NOBODYS else source
        split = None if arm is None else self.splits
        return Why(
            item=item,
            arm=arm,
            version=None if arm is None else self.versions.get(arm),
            rules=tuple(name for name, moved in self.rules.items() if item in moved),
            fallback=self.fallback if source == FALLBACK else None,
            anchors=() if split is None else split.of(source, item),
        )

    def next(self, k: int | None = None) -> Recommendation:
        """Return the next page: new items, by what made this page; see `LivePlacement.next`.

        Args:
            k: Its length; that of this page when absent.

        Raises:
            siamrec.errors.MissingInputError: If the list has left the process that made it.
            siamrec.errors.InvalidParameterError: If it is not in the log.
        """
        if not self.logged:
            raise InvalidParameterError("the list", self.id, "one that is in the log")
        if self.pager is None:
            call = f"ws.placement({self.placement!r}).next({self.id!r})"
            raise MissingInputError("the placement of a list from elsewhere", call)
        return self.pager.next(self, k)

    @property
    def confidences(self) -> tuple[float, ...]:
        """For each chosen arm, the probability that it is the best."""
        return () if self.decision is None else self.decision.confidences

    @property
    def context(self) -> Mapping[str, str]:
        """Level of each factor of the context."""
        return {} if self.decision is None else self.decision.context

    def __len__(self) -> int:
        return len(self.items)

    @override
    def title(self) -> str:
        whom = "nobody" if self.user is None else self.user
        if self.query is not None:
            whom = f"{self.query!r:.60} by {whom}"
        return f"{counted(len(self), 'item')} for {whom} at {self.placement}, {self.id[:12]}"

    @override
    def table(self) -> Table:
        """Return one row for each item."""
        rows = zip(range(1, len(self) + 1), self.items, self.sources, self.scores, strict=True)
        notes = [f"{arm} gave nothing: {why}" for arm, why in self.failed.items()]
        if self.fallback is not None:
            notes.insert(0, f"fallback: {self.fallback}")
        told = (self.too_few, self.limit, self.changed)
        notes += [note for note in told if note is not None]
        if self.filtered:
            kept = (f"{n:,} {reason}" for reason, n in self.filtered.items())
            notes.append(f"kept back: {', '.join(kept)}")
        for rule, moved in self.rules.items():
            notes.append(f"rule {rule}: {', '.join(map(str, moved)) or 'nothing to move'}")
        if not self.logged:
            notes.append("not in the log")
        head = ("position", "item", "source", "score")
        return Table(head=head, rows=tuple(rows), title=self.title(), notes=tuple(notes))

    @override
    def to_json(self) -> str:
        """Return the recommendation as JSON."""
        decision = None if self.decision is None else json.loads(self.decision.to_json())
        return canonical_json(
            {
                "id": self.id,
                "placement": self.placement,
                "user": self.user,
                "items": list(self.items),
                "scores": list(self.scores),
                "sources": list(self.sources),
                "shares": [dict(each) for each in self.shares],
                "arms": list(self.arms),
                "propensities": list(self.propensities),
                "confidences": list(self.confidences),
                "context": dict(self.context),
                "decision": decision,
                "time": self.time,
                "release": self.release,
                "versions": dict(self.versions),
                "experiment": self.experiment,
                "variant": self.variant,
                "allocation": self.allocation,
                "fallback": self.fallback,
                "failed": dict(self.failed),
                "filtered": dict(self.filtered),
                "too_few": self.too_few,
                "rules": {name: list(moved) for name, moved in self.rules.items()},
                "anchors": list(self.anchors),
                "query": self.query,
                "unit": self.unit,
                "limit": self.limit,
                "confirm": self.confirm,
                "parent": self.parent,
                "page": self.page,
                "revision": self.revision,
                "asked": dict(self.asked),
                "changed": self.changed,
                "logged": self.logged,
            }
        )

    def stored(self, *, bandit: str | None) -> StoredList:
        """Return the rows of the log.

        Args:
            bandit: Whose belief the list may change; None for none.
        """
        seen = self.time if self.confirm == "on_serve" else None
        shares = self.shares or ({},) * len(self)
        body: dict[str, Any] = {
            "versions": dict(self.versions),
            "failed": dict(self.failed),
            "confirm": self.confirm,
        }
        told = {
            "filtered": dict(self.filtered),
            "too_few": self.too_few,
            "rules": {name: list(moved) for name, moved in self.rules.items()},
            "anchors": list(self.anchors),
            "query": self.query,
            "unit": None if self.unit == "user" else self.unit,
            "limit": self.limit,
            "allocation": self.allocation,
            "page": self.page - 1,  # what is nought is left out
            "revision": self.revision,
            "asked": dict(self.asked),
            "changed": self.changed,
        }
        body |= {name: value for name, value in told.items() if value}
        return StoredList(
            id=self.id,
            placement=self.placement,
            bandit=bandit,
            unit=None if self.user is None else str(self.user),
            whole=_whole(self.user) + 2 * any(_whole(item) for item in self.items),
            time=self.time,
            opened=seen,
            settled=int(bandit is None),
            experiment=self.experiment,
            variant=self.variant,
            release=self.release,
            fallback=self.fallback,
            body=canonical_json(body),
            parent=self.parent,
            items=tuple(
                (
                    place,
                    str(item),
                    score,
                    source,
                    canonical_json(dict(part)) if part else None,
                    seen,
                )
                for place, (item, score, source, part) in enumerate(
                    zip(self.items, self.scores, self.sources, shares, strict=True), 1
                )
            ),
        )

    @classmethod
    def of(cls, row: StoredList) -> Recommendation:
        """Return the recommendation that the log holds."""
        body = json.loads(row.body)
        _, items, scores, sources, shares, _ = (
            zip(*row.items, strict=True) if row.items else ((),) * 6
        )
        parts = tuple({} if text is None else json.loads(text) for text in shares)
        return cls(
            id=row.id,
            placement=row.placement,
            user=int(row.unit) if row.unit is not None and row.whole & 1 else row.unit,
            items=tuple(int(item) if row.whole & 2 else item for item in items),
            scores=tuple(scores),
            sources=tuple(sources),
            shares=parts if any(parts) else (),
            decision=None if row.decision is None else Decision.from_json(row.decision),
            time=row.time,
            release=row.release,
            versions=body["versions"],
            experiment=row.experiment,
            variant=row.variant,
            fallback=row.fallback,
            failed=body["failed"],
            filtered=body.get("filtered", {}),
            too_few=body.get("too_few"),
            rules={name: tuple(moved) for name, moved in body.get("rules", {}).items()},
            anchors=tuple(body.get("anchors", ())),
            query=body.get("query"),
            unit=body.get("unit", "user"),
            limit=body.get("limit"),
            allocation=body.get("allocation"),
            confirm=body["confirm"],
            parent=row.parent,
            page=1 + body.get("page", 0),
            revision=body.get("revision", 0),
            asked=body.get("asked", {}),
            changed=body.get("changed"),
        )


def _whole(id_: Any) -> int:
    return int(isinstance(id_, int))
