"""What a person has seen already: when an item is left out, and when it may come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import duration, isoformat
from siamrec.data import NO_TIME, FeedbackKind
from siamrec.errors import InvalidParameterError, UnknownNameError
from siamrec.lifecycle._words import KINDS, Word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.data import Feedback
    from siamrec.typing import Id, Instant

_IMPRESSION = "impression"


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """When an item counts as seen, and is left out of the lists of a person.

    By default whatever somebody has given feedback on is left out for ever, and what was only
    shown is not.

    Args:
        kinds: For each kind of event, how long it leaves its item out, such as `"7d"`; None for
            ever. A kind that is not named leaves nothing out. `"impression"` is an item that was
            seen in a list; values may be told apart, as in `"dwell>=30"`.
        cap: Impressions, no older than that of `kinds`, from which on an item is left out.
        recover: How long an item that was shown, and is not left out, stays behind: its
            normalised score is multiplied by the part of that time which has passed. At once
            when absent.
        at: Whose impressions count: those of the placement (`"here"`) or of all of them.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such kind of event.
        siamrec.errors.InvalidParameterError: If a time is no duration, or there is a cap and no
            age of impressions.

    Examples:
        >>> Seen({"click": None, "impression": "7d"}, cap=5, recover="2h").kinds["impression"]
        '7d'
    """

    kinds: Mapping[str, str | None] = field(
        default_factory=lambda: {
            kind.name.lower(): None for kind in FeedbackKind if kind != FeedbackKind.IMPRESSION
        }
    )
    cap: int = 1
    recover: str | None = None
    at: Literal["everywhere", "here"] = "everywhere"
    _words: tuple[tuple[Word, int | None], ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        kinds = check.kind("kinds", self.kinds, Mapping)
        words = []
        for name, age in kinds.items():
            length = None if age is None else duration(f"age of {name}", check.text(name, age))
            if name != _IMPRESSION:
                try:
                    words.append((Word.of("kinds", name), length))
                except UnknownNameError as error:
                    known = [*KINDS, _IMPRESSION]
                    raise UnknownNameError("kind of event", str(name), known) from error
        object.__setattr__(self, "kinds", dict(kinds))
        object.__setattr__(self, "_words", tuple(words))
        check.count("cap", self.cap)
        if self.cap > 1 and _IMPRESSION not in kinds:
            raise InvalidParameterError("cap", self.cap, "left out without an age of impressions")
        if self.recover is not None:
            duration("recover", check.text("recover", self.recover))
        check.one_of("at", self.at, ("everywhere", "here"))

    def to_config(self) -> dict[str, Any]:
        """Return the policy as JSON values."""
        return {
            "kinds": dict(self.kinds),
            "cap": self.cap,
            "recover": self.recover,
            "at": self.at,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Seen:
        """Return the policy that `to_config` wrote."""
        for name in check.kind("seen", config, Mapping):
            check.one_of("setting of seen", name, ("kinds", "cap", "recover", "at"))
        return cls(**config)

    def since(self, now: Instant) -> Instant | None:
        """Return from when on impressions are asked for; None where none are."""
        lengths = [] if self.recover is None else [duration("recover", self.recover)]
        if _IMPRESSION in self.kinds:
            age = self.kinds[_IMPRESSION]
            if age is None:
                return -(2**62)
            lengths.append(duration(_IMPRESSION, age))
        return now - max(lengths) if lengths else None

    def left_out(
        self, past: Feedback | None, impressions: Sequence[tuple[Id, Instant]], now: Instant
    ) -> list[Id]:
        """Return the items that are left out at an instant.

        Args:
            past: Events of the person; one without a time never grows old.
            impressions: Items that the person has seen in lists, with the instants.
            now: The instant.
        """
        gone: dict[Id, None] = {}
        if past is not None:
            out = np.zeros(len(past), dtype=np.bool_)
            there = set(past.kind.tolist())
            for word, age in self._words:
                if word.kind not in there:
                    continue
                meant = word.meant(past)
                if age is not None:
                    meant &= (past.time == NO_TIME) | (past.time > now - age)
                out |= meant
            codes = np.unique(past.item[out & (past.weight > 0)])
            gone |= dict.fromkeys(past.items.decode(codes))
        if _IMPRESSION in self.kinds:
            limit = self.kinds[_IMPRESSION]
            oldest = -(2**62) if limit is None else now - duration(_IMPRESSION, limit)
            counts: dict[Id, int] = {}
            for item, when in impressions:
                counts[item] = counts.get(item, 0) + (when > oldest)
            gone |= dict.fromkeys(item for item, n in counts.items() if n >= self.cap)
        return list(gone)

    def recovered(
        self, impressions: Sequence[tuple[Id, Instant]], now: Instant
    ) -> dict[Id, float]:
        """Return how far items have recovered from their last impression, in [0, 1)."""
        if self.recover is None:
            return {}
        length = duration("recover", self.recover)
        last: dict[Id, Instant] = {}
        for item, when in impressions:
            last[item] = max(last.get(item, when), when)
        parts = {item: (now - when) / length for item, when in last.items()}
        return {item: max(part, 0.0) for item, part in parts.items() if part < 1}

    def limit(self, archived: Instant, now: Instant) -> str | None:
        """Return what the log can no longer tell, where events up to an instant are archived."""
        far = [age for _, age in self._words if age is None or now - age < archived]
        if not archived or not far:
            return None
        until = isoformat(archived)
        return f"events up to {until} are archived: what was seen before may come back"
