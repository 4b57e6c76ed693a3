"""A job in the hands of a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.errors import SiamrecError, StaleWriteError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event

    from siamrec.storage import Claim, Job

_BEATS = 4
"""Signs of life in one lease."""


@final
class Held(Shown):
    """A job in the hands of a worker, as its handler sees it.

    Args:
        claim: The hold on it.
        stop: Set when the worker is told to stop.

    Attributes:
        job: The job, with the checkpoint of a worker that began it before.
    """

    def __init__(self, claim: Claim, stop: Event) -> None:
        self._claim = claim
        self._stop = stop
        self.job: Job = claim.job

    @override
    def title(self) -> str:
        return self._claim.title()

    @override
    def table(self) -> Table:
        """Return the job as it was when it was claimed."""
        return self._claim.table()

    def step(self, progress: int, line: str) -> None:
        """Say how far the work is; a handler calls it between its steps.

        Args:
            progress: From 0 to 100.
            line: What was done, or is being done.

        Raises:
            siamrec.errors.StaleWriteError: If the job is another worker's by now, or cancelled.
            siamrec.errors.StoppedError: If the worker was told to stop.
        """
        self._claim.beat(progress, line)
        if self._stop.is_set():
            raise StoppedError("The worker was told to stop.")

    def note(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep what a worker that takes over has to know, as JSON values.

        Raises:
            siamrec.errors.StaleWriteError: As for `step`.
        """
        self._claim.note(checkpoint)

    def alive(self, over: Event) -> None:
        """Say that the worker is alive until it is over; for a thread beside the handler's."""
        while not over.wait(self._claim.seconds / _BEATS):
            try:
                self._claim.beat()
            except StaleWriteError:
                return  # the handler is told at its next step
            except SiamrecError:
                continue  # a database that is busy now may not be the next time
