"""Jobs of a workspace: what kinds of work there are, how it is begun, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.errors import InvalidParameterError
from siamrec.lifecycle._handlers import archive, require_age, require_nothing, retrain, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.held import Held
    from siamrec.storage import Job
    from siamrec.storage.jobs import Status
    from siamrec.typing import Instant


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of work.

    Attributes:
        handler: Does it and returns the result as JSON values.
        at_once: Most jobs of the kind that run at once, of all workers.
        require: Checks what such a job is told when it is started.
    """

    handler: Callable[[Held], Mapping[str, Any]]
    at_once: int = 1
    require: Callable[[str | None, Mapping[str, Any]], None] | None = None


@final
class Jobs(Shown):
    """Work of a workspace that outlives its process; made by `Workspace`.

    Kinds: `"retrain"` trains a placement, `"settle"` lets bandits learn from lists whose windows
    are over, `"archive"` moves events that are older than `arguments={"older": "400d"}` to
    sealed files; and what `handle` adds.

    Args:
        ground: The workspace.
    """

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._log = ground.store.jobs
        self.kinds: dict[str, Kind] = {
            "retrain": Kind(
                handler=lambda held: retrain(ground, held), require=require_nothing(needed=True)
            ),
            "settle": Kind(
                handler=lambda held: settle(ground, held), require=require_nothing(needed=False)
            ),
            "archive": Kind(handler=lambda held: archive(ground, held), require=require_age),
        }

    @override
    def title(self) -> str:
        return f"Jobs at {self._ground.store.url}"

    @override
    def table(self) -> Table:
        """Return one row for each of the newest jobs."""
        return jobs_table(self.list(), self.title())

    def handle(
        self, kind: str, handler: Callable[[Held], Mapping[str, Any]], *, at_once: int = 1
    ) -> None:
        """Add a kind of work to those that workers of this workspace object do.

        It may be begun again by another worker after a crash, so it must be safe to repeat.

        Args:
            kind: Its name.
            handler: Does it: is given the job as held, and returns the result as JSON values.
            at_once: Most jobs of the kind that run at once, of all workers.

        Raises:
            siamrec.errors.InvalidParameterError: If the kind is there already, or cannot be
                called.
        """
        if check.text("kind", kind, longest=32) in self.kinds:
            raise InvalidParameterError("kind", kind, "a new one: it has a handler")
        if not callable(handler):
            raise InvalidParameterError("handler", handler, "a function of a job that is held")
        self.kinds[kind] = Kind(handler=handler, at_once=check.count("at_once", at_once))

    def start(
        self,
        kind: str,
        *,
        placement: str | None = None,
        key: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        priority: int = 0,
        not_before: Instant | None = None,
    ) -> Job:
        """Start a job, and return it as it is; with one key there is one job, whoever starts it.

        Args:
            kind: What is to be done.
            placement: What it is about.
            key: What it is started once for, such as `"nightly-2026-11-30"`; a new one when
                absent.
            arguments: What else it is told, as JSON values.
            priority: Of jobs that wait, those with the greatest go first.
            not_before: When it may run, at the earliest.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such kind or placement.
            siamrec.errors.MissingInputError: If the kind needs a placement, or an argument.
            siamrec.errors.InvalidParameterError: If the key was used for something else.
        """
        known = self.kinds[check.one_of("kind of job", kind, self.kinds)]
        if placement is not None:
            check.one_of("placement", placement, self._ground.placements())
        if known.require is not None:
            known.require(placement, arguments or {})
        return self._log.start(
            kind, key=key, placement=placement, arguments=arguments, priority=priority,
            not_before=not_before,
        )  # fmt: skip

    def get(self, id_: str) -> Job:
        """Return a job as it is now.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that id.
        """
        return self._log.get(id_)

    def list(
        self,
        *,
        status: Status | None = None,
        kind: str | None = None,
        placement: str | None = None,
        n: int = 100,
    ) -> list[Job]:
        """Return the newest jobs first, at most `n`.

        Raises:
            siamrec.errors.UnknownNameError: If there is no such status.
        """
        return self._log.list(status=status, kind=kind, placement=placement, n=n)

    def cancel(self, id_: str) -> Job:
        """Let a job be done by nobody: a worker that has begun it stops at its next step.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that id.
        """
        return self._log.cancel(id_)

    def retry(self, id_: str) -> Job:
        """Let a job that failed or was cancelled wait anew.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that id.
        """
        return self._log.retry(id_)


def jobs_table(jobs: Sequence[Job], title: str) -> Table:
    """Return one row for each job."""
    rows = tuple(
        (job.id[:12], job.kind, job.placement, job.status, job.progress, job.error or job.line)
        for job in jobs
    )
    head = ("job", "kind", "placement", "status", "progress", "line")
    return Table(head=head, rows=rows, title=title)
