"""What feedback means: the table by which the reward of an item that was shown is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec._core.hashing import config_hash
from siamrec.bandits import RewardRule, SuccessRule
from siamrec.data import NO_TIME
from siamrec.errors import InvalidParameterError
from siamrec.lifecycle._words import Word

if TYPE_CHECKING:
    from siamrec.data import Feedback
    from siamrec.typing import FloatArray, Id, Instant


@final
@dataclass(frozen=True, slots=True)
class Block:
    """An event that says "not interested": reward 0, and no further list shows the item."""


@final
@dataclass(frozen=True, slots=True)
class Meaning(RewardRule):
    """The reward of each kind of event, and how those of one item come together.

    The first entry that fits an event speaks. An event that none fits says nothing; an item that
    was seen and of which nothing is said has earned 0 when the window of its list is over.

    Args:
        table: Rewards in [0, 1], or `Block()`, by kind of event: `"click"`, `"rating>=4"`,
            `"thumb_down"`, `"dwell<3"`, `"convert"`, and so on.
        combine: How several events on one item come together: the greatest reward (`"max"`),
            their sum up to 1 (`"sum"`), the earliest (`"first"`) or the latest (`"last"`).
        window: How long after a list was opened its events count.
        learn: When a bandit learns what came of a list; see `siamrec.bandits.SuccessRule`.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such kind of event.
        siamrec.errors.InvalidParameterError: If a reward is out of range, the table is empty, an
            entry can never speak after an earlier one, or the window is no duration.

    Examples:
        >>> from siamrec.data import Feedback
        >>> meaning = Meaning({"dwell<3": 0.0, "click": 0.3, "convert": 1.0})
        >>> events = Feedback.of(user=["a"] * 3, item=["x"] * 3, value=[2.0, 1.0, 9.0],
        ...                      kind=[4, 1, 5])
        >>> meaning.score(events).tolist()
        [0.0, 0.3, 1.0]
    """

    table: Mapping[str, float | Block]
    combine: Literal["max", "sum", "first", "last"] = "max"
    window: str = "1d"
    learn: Literal["at_window", "at_once"] = "at_window"
    _words: tuple[tuple[Word, float, bool], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        words: list[tuple[Word, float, bool]] = []
        for name, reward in check.kind("table", self.table, Mapping).items():
            blocks = isinstance(reward, Block)
            value = 0.0 if isinstance(reward, Block) else check.share(f"reward of {name}", reward)
            word = Word.of("table", name)
            for before, (each, _, _) in zip(self.table, words, strict=False):
                if each.covers(word):
                    said = f"{name!r} after {before!r}, which speaks first"
                    raise InvalidParameterError("table", said, "entries that can all speak")
            words.append((word, float(value), blocks))
        if not words:
            raise InvalidParameterError("table", self.table, "one or more kinds of events")
        object.__setattr__(self, "table", dict(self.table))
        object.__setattr__(self, "_words", tuple(words))
        check.one_of("combine", self.combine, tuple(_COMBINES))
        duration("window", self.window)
        check.one_of("learn", self.learn, ("at_window", "at_once"))

    @property
    def version(self) -> str:
        """Hash of the table and of all that settles by it."""
        return config_hash(self.to_config())

    @override
    def score(self, feedback: Feedback) -> FloatArray:
        scores = np.full(len(feedback), np.nan)
        for word, reward, _ in reversed(self._words):  # the first that fits is written last
            scores[word.meant(feedback)] = reward
        return scores

    def blocked(self, past: Feedback | None) -> list[Id]:
        """Return the items that somebody wants to see no more.

        Args:
            past: What the person did.
        """
        if past is None:
            return []
        blocks = np.zeros(len(past), dtype=np.bool_)
        for word, _, is_block in reversed(self._words):
            blocks[word.meant(past)] = is_block
        return past.items.decode(np.unique(past.item[blocks & (past.weight > 0)]))

    def to_config(self) -> dict[str, Any]:
        """Return the table as JSON values, entries in their order."""
        return {
            "table": [
                [name, "block" if isinstance(reward, Block) else float(reward)]
                for name, reward in self.table.items()
            ],
            "combine": self.combine,
            "window": self.window,
            "learn": self.learn,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Meaning:
        """Return the meaning that `to_config` wrote."""
        given = dict(check.kind("meaning", config, Mapping))
        for name in given:
            check.one_of("setting of the meaning", name, ("table", *_SETTINGS))
        entries = given.pop("table", ())
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        table = {name: Block() if reward == "block" else reward for name, reward in pairs}
        return cls(table, **given)


_SETTINGS = ("combine", "window", "learn")
_COMBINES: Mapping[str, Any] = {
    "max": np.max,
    "sum": lambda scores: min(float(np.sum(scores)), 1.0),
    "first": lambda scores: scores[0],
    "last": lambda scores: scores[-1],
}

Settles: TypeAlias = Meaning | SuccessRule
"""What settles rewards; a `SuccessRule` is a meaning with a name, of which the greatest counts."""


def earned_by(rule: Settles, events: Feedback, until: Instant) -> dict[str, float]:
    """Return what each item has earned by its events up to an instant, by its id as text.

    Args:
        rule: What the events mean.
        events: Events of one list, those of one instant in order of arrival.
        until: The instant.
    """
    score = rule.score(events)
    inside = (events.time <= until) & (events.time != NO_TIME) & np.isfinite(score)
    said: dict[str, list[float]] = {}
    rows = np.flatnonzero(inside)
    for row in rows[np.argsort(events.time[rows], kind="stable")].tolist():
        said.setdefault(str(events.items[int(events.item[row])]), []).append(float(score[row]))
    combine = _COMBINES["max" if isinstance(rule, SuccessRule) else rule.combine]
    return {item: float(combine(scores)) for item, scores in said.items()}
