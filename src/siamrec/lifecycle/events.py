"""What a running loop tells those who watch it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

from typing_extensions import override

from siamrec._core.table import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Observer: TypeAlias = Callable[["LoopEvent"], object]

_log = logging.getLogger("siamrec.lifecycle")


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoopEvent(Record):
    """One thing that happened.

    Attributes:
        kind: `"started"`, `"progress"`, `"finished"` (with a line of result), `"skipped"` (the
            step was done in an earlier run) or `"activated"` (an alias points at another version).
        step: Name of the step.
        message: In words; empty for plain progress.
        done: Share of the step that is done, in [0, 1].
        result: What a finished step found, or the change of an alias, as JSON values.
    """

    kind: Literal["started", "progress", "finished", "skipped", "activated"]
    step: str
    message: str = ""
    done: float = 0.0
    result: Mapping[str, Any] = field(default_factory=dict)

    @override
    def title(self) -> str:
        return f"{self.step} {self.kind}: {self.message}"


@final
class Observers:
    """Calls every observer; one that raises is logged once and never stops the loop."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)
        self._broken: set[int] = set()

    def tell(self, event: LoopEvent) -> None:
        """Hand the event to every observer."""
        for place, observer in enumerate(self._observers):
            try:
                observer(event)
            except Exception:  # noqa: BLE001  whatever a host's observer raises
                if place not in self._broken:
                    self._broken.add(place)
                    _log.exception("An observer failed and goes on being called.")
