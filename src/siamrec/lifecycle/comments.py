"""What people wrote: how many comments complain, by item, arm or version."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec._core.table import Shown, Table, counted
from siamrec.data import FeedbackKind
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

    from siamrec.lifecycle._ground import Ground

Sentiment: TypeAlias = Callable[[str], float]
"""Tells how a text sounds, from -1 (a complaint) to 1 (praise)."""

_COLUMNS = ("item", "arm", "version")
_NONE = "none"
_GOOD = frozenset(
    (
        "amazing", "awesome", "beautiful", "best", "brilliant", "delightful", "enjoy", "enjoyed",
        "excellent", "fantastic", "fine", "fun", "glad", "good", "great", "happy", "helpful",
        "interesting", "like", "liked", "love", "loved", "lovely", "nice", "perfect", "pleased",
        "recommend", "superb", "thanks", "useful", "well", "wonderful",
    )
)  # fmt: skip
_BAD = frozenset(
    (
        "annoying", "awful", "bad", "boring", "broken", "confusing", "disappointed",
        "disappointing", "dislike", "disliked", "dull", "expired", "expensive", "fails", "hate",
        "hated", "horrible", "irrelevant", "late", "misleading", "poor", "sad", "slow", "spam",
        "stupid", "terrible", "ugly", "unhelpful", "useless", "waste", "weak", "worse", "worst",
        "wrong",
    )
)  # fmt: skip
_TURNS = frozenset(
    ("can't", "didn't", "doesn't", "don't", "hardly", "isn't", "never", "no", "not", "wasn't")
)
_STRENGTHENS = frozenset(("too",))
"""A word that makes a complaint of what follows it: "too long"."""


def by_lexicon(text: str) -> float:
    """Return how a text sounds by a small lexicon of English words, from -1 to 1.

    A word after "not" and the like counts the other way round; "too" before a word without a
    sound of its own is a complaint. 0 where no word of the lexicon is met.

    Examples:
        >>> by_lexicon("A great story"), by_lexicon("not good, too long"), by_lexicon("the sea")
        (1.0, -1.0, 0.0)
    """
    words = re.findall(r"[a-z']+", text.lower().replace("’", "'"))
    found = []
    for before, word in zip(("", *words), words, strict=False):
        sound = (word in _GOOD) - (word in _BAD)
        if before in _TURNS:
            sound = -sound
        elif before in _STRENGTHENS and not sound:
            sound = -1
        found.append(sound)
    total = sum(map(abs, found))
    return sum(found) / total if total else 0.0


class CommentRow(NamedTuple):
    """How the comments of one slice sound."""

    slice: tuple[str, ...]
    complaints: float
    interval: tuple[float, float]
    n: int


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CommentSummary(Shown):
    """Comments by slice, the most complained of first.

    Attributes:
        by: Names of the columns that were sliced by.
        rows: For each slice the share of comments that complain, with Wilson's 95 % interval, and
            the number of comments.
    """

    by: tuple[str, ...]
    rows: tuple[CommentRow, ...]

    @override
    def title(self) -> str:
        comments = counted(sum(row.n for row in self.rows), "comment")
        return f"Comments by {', '.join(self.by)}: {comments}"

    @override
    def table(self) -> Table:
        """Return one row for each slice."""
        head = (*self.by, "complaints", "interval", "comments")
        rows: tuple[tuple[Any, ...], ...] = tuple((*row.slice, *row[1:]) for row in self.rows)
        return Table(head=head, rows=rows, title=self.title())


@final
class Comments(Shown):
    """The comments of a workspace; made by `Workspace`.

    Args:
        ground: The workspace.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @override
    def title(self) -> str:
        return f"Comments at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return the most complained of items of all time."""
        return self.summary().table()

    def summary(
        self,
        *,
        since: str | timedelta | float | None = None,
        by: Sequence[str] = ("item",),
        sentiment: Sentiment = by_lexicon,
    ) -> CommentSummary:
        """Return how many comments complain.

        Slices are ordered by the lower end of their interval, so that one angry comment does not
        outdo thirty.

        Args:
            since: How far back to look, such as `"30d"`; everything when absent.
            by: Columns to slice by: `"item"`, `"arm"`, `"version"`; the latter two are known of
                comments on a list.
            sentiment: Tells how a text sounds, from -1 to 1; below 0 it complains.

        Raises:
            siamrec.errors.UnknownNameError: If a column is not known.
        """
        columns = tuple(check.many("by", by, what="names of columns"))
        for name in columns:
            check.one_of("column", name, _COLUMNS)
        begin = None if since is None else self._ground.now() - duration("since", since)
        slices: dict[tuple[str, ...], list[bool]] = {}
        for told in self._told(begin):
            levels = tuple(str(told[name]) for name in columns)
            slices.setdefault(levels, []).append(sentiment(told["text"]) < 0)
        rows = [
            CommentRow(levels, sum(bad) / len(bad), wilson(sum(bad), len(bad)), len(bad))
            for levels, bad in slices.items()
        ]
        return CommentSummary(
            by=columns,
            rows=tuple(sorted(rows, key=lambda row: (-row.interval[0], row.slice))),
        )

    def _told(self, since: int | None) -> Iterator[dict[str, Any]]:
        """Yield text, item, arm and version of every comment."""
        log = self._ground.store.recommendations
        for batch in self._ground.store.feedback.read(since=since):
            rows = batch.where(batch.kind == FeedbackKind.COMMENT)
            if not len(rows) or "comment" not in rows.context:
                continue
            ids = [""] * len(rows) if rows.decision is None else list(map(str, rows.decision))
            lists = log.get_many([id_ for id_ in ids if id_])
            known = {row.id: Recommendation.of(row) for row in lists}
            texts = rows.context["comment"].tolist()
            for id_, code, text in zip(ids, rows.item.tolist(), texts, strict=True):
                if not isinstance(text, str):
                    continue
                item, shown = rows.items[code], known.get(id_)
                arm, version = _NONE, _NONE
                if shown is not None:
                    source = dict(zip(shown.items, shown.sources, strict=True))
                    arm, version = source.get(item, _NONE), shown.release or _NONE
                yield {"text": text, "item": item, "arm": arm, "version": version}
