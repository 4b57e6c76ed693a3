"""What a training holds fixed, so that whoever goes on with it comes to the same result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.placement import Placement


def silent(progress: int, line: str) -> None:
    """Tell nobody how far a training is."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a training began with.

    Attributes:
        mark: Number of the newest event that it reads.
        serving: The release that served; what takes its place is compared with it.
        job: Name of what began it; None where it is nobody's job.
        step: Told how far it is, from 0 to 100, and what was done; may end it by raising.
    """

    mark: int
    serving: str | None
    job: str | None = None
    step: Callable[[int, str], None] = silent


def begun_now(ground: Ground, placement: Placement) -> Run:
    """Return a run that begins with the log and the release of now."""
    return Run(mark=ground.store.snapshots.mark(), serving=ground.registry.active(placement.alias))
