"""Jobs in the store: started once per key, held by one worker at a time, found after a crash."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final
from uuid import uuid4

from sqlalchemy import func, select, update
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import HOUR, SECOND, duration
from siamrec._core.hashing import content_hash
from siamrec._core.table import Record, Shown, Table
from siamrec.errors import InvalidParameterError, StaleWriteError, UnknownNameError
from siamrec.storage import _engine
from siamrec.storage._events import json_of
from siamrec.storage._on_database import OnDatabase
from siamrec.storage.schema import job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from sqlalchemy import Connection, Engine

    from siamrec.protocols import Clock
    from siamrec.typing import Instant

Status = Literal["waiting", "running", "done", "failed", "cancelled"]
"""What has become of a job."""
STATUSES: tuple[Status, ...] = ("waiting", "running", "done", "failed", "cancelled")
_LONGEST_LINE = 500
_FIRST_PAUSE, _LONGEST_PAUSE = 30 * SECOND, HOUR


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Job(Record):
    """Work that is done once.

    Attributes:
        id: Its id, made of kind and key.
        kind: What kind of work it is, such as `"retrain"`.
        key: What it is started once for.
        placement: The placement that it is about; None for none.
        arguments: What else it was told, as JSON values.
        status: `"waiting"`, `"running"`, `"done"`, `"failed"` or `"cancelled"`.
        priority: Of jobs that wait, those with the greatest go first.
        created: When it was started.
        changed: When it changed last.
        not_before: When it may run.
        attempts: How many times it was begun.
        most: How many times it is begun at most.
        progress: How far it is, from 0 to 100.
        line: What it was doing last.
        checkpoint: What a worker that takes over has to know, as JSON values.
        result: What came of it; None until it is done.
        error: Why the last attempt failed; None where none did.
        owner: The worker that holds it; None for none.
        fence: Number of its holder: each has a greater one than the holder before.
        until: When the holder loses it, unless it says that it is alive.
    """

    id: str
    kind: str
    key: str
    placement: str | None
    arguments: Mapping[str, Any]
    status: Status
    priority: int
    created: Instant
    changed: Instant
    not_before: Instant
    attempts: int
    most: int
    progress: int
    line: str
    checkpoint: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    owner: str | None
    fence: int
    until: Instant

    @override
    def title(self) -> str:
        where = f" of {self.placement}" if self.placement else ""
        how = f" {self.progress}%" if self.status == "running" else ""
        return f"Job {self.id[:12]} {self.kind}{where}: {self.status}{how}"


@final
class JobLog(OnDatabase):
    """Jobs by id; a job is held by a lease, and what its former holder writes is refused."""

    keeps = (job,)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def start(
        self,
        kind: str,
        *,
        key: str | None = None,
        placement: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        priority: int = 0,
        not_before: Instant | None = None,
        attempts: int = 3,
    ) -> Job:
        """Start a job and return it; of racing workers one does, and all get the same job.

        Args:
            kind: What kind of work it is.
            key: What it is started once for; a new one when absent.
            placement: The placement that it is about.
            arguments: What else it has to know, as JSON values.
            priority: Of jobs that wait, those with the greatest go first.
            not_before: When it may run, at the earliest; at once when absent.
            attempts: How many times it is begun at most.

        Raises:
            siamrec.errors.InvalidParameterError: If the key was used for something else.
        """
        now = self._clock.now()
        key = uuid4().hex if key is None else check.text("key", key, longest=1_000)
        row = {
            "id": content_hash("job", check.text("kind", kind, longest=32), key)[:32],
            "kind": kind,
            "key": key,
            "placement": placement,
            "arguments": json_of("arguments", arguments or {}),
            "status": "waiting",
            "priority": check.count("priority", priority, least=-1_000, most=1_000),
            "created": now,
            "changed": now,
            "not_before": now if not_before is None else check.instant("not_before", not_before),
            "attempts": 0,
            "most": check.count("attempts", attempts, most=100),
            "progress": 0,
            "line": "",
            "checkpoint": "{}",
            "fence": 0,
            "until": now,
        }
        new = _engine.inserting(self._engine.dialect.name)(job).values(row)
        new = new.on_conflict_do_nothing()
        _engine.transact(self._engine, lambda connection: connection.execute(new))
        found = self.get(str(row["id"]))
        same = json_of("arguments", found.arguments) == row["arguments"]
        if not same or found.placement != placement:
            raise InvalidParameterError(
                "key", key, f"another: a {kind} of {found.placement} was started with this one"
            )
        return found

    def get(self, id_: str) -> Job:
        """Return a job.

        Raises:
            siamrec.errors.UnknownNameError: If there is none of that id.
        """
        check.text("id", id_)
        with _engine.reading(self._engine) as connection:
            row = connection.execute(select(job).where(job.c.id == id_)).first()
            if row is None:
                raise UnknownNameError("job", id_, connection.execute(select(job.c.id)).scalars())
        return _job(row)

    def list(
        self,
        *,
        status: Status | None = None,
        kind: str | None = None,
        placement: str | None = None,
        n: int = 100,
    ) -> list[Job]:
        """Return the newest jobs first, at most `n`; those that are of what is told."""
        query = select(job).order_by(job.c.created.desc(), job.c.id).limit(check.count("n", n))
        if status is not None:
            query = query.where(job.c.status == check.one_of("status", status, STATUSES))
        if kind is not None:
            query = query.where(job.c.kind == kind)
        if placement is not None:
            query = query.where(job.c.placement == placement)
        with _engine.reading(self._engine) as connection:
            return [_job(row) for row in connection.execute(query)]

    def cancel(self, id_: str) -> Job:
        """Let a job be done by nobody; its holder is refused from its next step on.

        One that is done, failed or cancelled stays as it is.
        """
        c = job.c
        mine = (c.id == self.get(id_).id) & c.status.in_(("waiting", "running"))
        self._change(mine, status="cancelled", owner=None, fence=c.fence + 1)
        return self.get(id_)

    def retry(self, id_: str) -> Job:
        """Let a job that failed or was cancelled wait anew, as if it had not been tried."""
        mine = (job.c.id == self.get(id_).id) & job.c.status.in_(("failed", "cancelled"))
        self._change(mine, status="waiting", attempts=0, error=None, not_before=self._clock.now())
        return self.get(id_)

    def claim(
        self,
        owner: str,
        kinds: Mapping[str, int],
        *,
        lease: str | timedelta | float = "60s",
    ) -> Claim | None:
        """Hold the next job that may run; None where there is none.

        The job with the greatest priority, and of those the one that may run the longest. A job
        whose holder has lost it may run again; one that was begun as often as it may has failed.

        Args:
            owner: Name of the worker.
            kinds: Kinds of work that it can do, each with the most jobs of that kind that may
                run at once, of all workers.
            lease: How long the worker holds the job without a word.
        """
        length = duration("lease", lease)
        for kind, most in kinds.items():
            check.count(f"jobs of {kind} at once", most)
        with _engine.reading(self._engine) as connection:  # nobody waits where nothing is to do
            if _next(connection, self._clock.now(), kinds) is None:
                return None

        def work(connection: Connection) -> Claim | None:
            _engine.lock(connection, "job")
            now = self._clock.now()
            while (row := _next(connection, now, kinds)) is not None:
                mine = update(job).where(job.c.id == row.id)
                if row.attempts >= row.most:
                    told = f"{row.attempts} workers ended while they held it."
                    dead = mine.values(status="failed", error=told, changed=now, owner=None)
                    connection.execute(dead)
                    continue
                held = {"status": "running", "owner": owner, "changed": now, "progress": 0}
                held |= {"fence": row.fence + 1, "until": now + length}
                connection.execute(mine.values(attempts=row.attempts + 1, **held))
                found = connection.execute(select(job).where(job.c.id == row.id)).one()
                return Claim(self._engine, self._clock, _job(found), length)
            return None

        return _engine.transact(self._engine, work)

    def _change(self, mine: Any, **values: Any) -> None:
        change = update(job).where(mine).values(changed=self._clock.now(), **values)
        _engine.transact(self._engine, lambda connection: connection.execute(change))


@final
class Claim(Shown):
    """A job that a worker holds; made by `JobLog.claim`. Every method refuses a former holder.

    Attributes:
        job: The job as it was when it was claimed, with the checkpoint of the holder before.
    """

    def __init__(self, engine: Engine, clock: Clock, held: Job, length: int) -> None:
        self._engine = engine
        self._clock = clock
        self._length = length
        self.job = held

    @override
    def title(self) -> str:
        return f"{self.job.title()}, held by {self.job.owner}"

    @override
    def table(self) -> Table:
        """Return the job as it was when it was claimed."""
        return self.job.table()

    @property
    def seconds(self) -> float:
        """How long the holder may be silent, in seconds."""
        return self._length / SECOND

    def beat(self, progress: int | None = None, line: str | None = None) -> None:
        """Say that the holder is alive, and how far it is.

        Args:
            progress: From 0 to 100.
            line: What it is doing.

        Raises:
            siamrec.errors.StaleWriteError: If the job is no longer its.
        """
        told: dict[str, Any] = {}
        if progress is not None:
            told["progress"] = check.count("progress", progress, least=0, most=100)
        if line is not None:
            told["line"] = line[:_LONGEST_LINE]
        self._write(**told)

    def note(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep what a worker that takes over has to know.

        Raises:
            siamrec.errors.StaleWriteError: As for `beat`.
        """
        self._write(checkpoint=json_of("checkpoint", checkpoint))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write what came of it.

        Raises:
            siamrec.errors.StaleWriteError: As for `beat`.
        """
        told = json_of("result", result)
        self._write(status="done", progress=100, result=told, error=None, owner=None)

    def fail(self, error: str) -> bool:
        """Write why it failed; return whether it is tried again, after a pause that doubles.

        Raises:
            siamrec.errors.StaleWriteError: As for `beat`.
        """
        again = self.job.attempts < self.job.most
        self._write(
            status="waiting" if again else "failed",
            not_before=self._clock.now() + paused(self.job.attempts),
            error=error[:_LONGEST_LINE],
            owner=None,
        )
        return again

    def let_go(self) -> None:
        """Give the job back untried, so that another worker may take it at once.

        Raises:
            siamrec.errors.StaleWriteError: As for `beat`.
        """
        self._write(status="waiting", owner=None, attempts=job.c.attempts - 1)

    def _write(self, **values: Any) -> None:
        c, now = job.c, self._clock.now()
        mine = (c.id == self.job.id) & (c.fence == self.job.fence) & (c.status == "running")
        change = update(job).where(mine, c.until > now)
        change = change.values(**{"changed": now, "until": now + self._length, **values})
        if not _engine.transact(self._engine, lambda x: x.execute(change).rowcount):
            raise StaleWriteError(
                f"Job {self.job.id[:12]} is no longer held by {self.job.owner}: its lease ran "
                "out, or it was cancelled."
            )


def paused(failures: int, first: int = _FIRST_PAUSE, most: int = _LONGEST_PAUSE) -> int:
    """Return how long to wait after so many failures, in nanoseconds: it doubles up to a bound.

    Examples:
        >>> [paused(n) // 10**9 for n in (0, 1, 2, 3, 99)]
        [0, 30, 60, 120, 3600]
    """
    return 0 if failures < 1 else min(first * 2 ** min(failures - 1, 40), max(first, most))


def forget_in_jobs(connection: Connection, user: str | int) -> None:
    """Empty the jobs that name a person; one that is not over is cancelled."""
    c = job.c
    for row in connection.execute(select(c.id, c.arguments, c.checkpoint, c.result, c.status)):
        texts = (row.arguments, row.checkpoint, row.result or "{}")
        if any(_names(json.loads(text), user) for text in texts):
            emptied: dict[str, Any] = dict.fromkeys(("result", "error", "owner"))
            emptied |= {"arguments": "{}", "checkpoint": "{}", "line": "", "fence": c.fence + 1}
            if row.status in {"waiting", "running"}:
                emptied["status"] = "cancelled"
            connection.execute(update(job).where(c.id == row.id).values(emptied))


def _names(value: Any, user: str | int) -> bool:
    """Whether a person is one of the values, or keys, of a JSON value."""
    if isinstance(value, dict):
        return str(user) in value or any(_names(each, user) for each in value.values())
    if isinstance(value, list):
        return any(_names(each, user) for each in value)
    return type(value) is type(user) and bool(value == user)


def _next(connection: Connection, now: Instant, kinds: Mapping[str, int]) -> Any:
    """Return the job that is to run next, of kinds of which not too many run."""
    c = job.c
    alive = (c.status == "running") & (c.until > now)
    counts = select(c.kind, func.count()).where(alive).group_by(c.kind)
    running = {str(row[0]): int(row[1]) for row in connection.execute(counts)}
    free = [kind for kind, most in kinds.items() if running.get(kind, 0) < most]
    waits = (c.status == "waiting") & (c.not_before <= now)
    lost = (c.status == "running") & (c.until <= now)
    query = select(c.id, c.attempts, c.most, c.fence).where(c.kind.in_(free), waits | lost)
    order = (c.priority.desc(), c.not_before, c.created, c.id)
    return connection.execute(query.order_by(*order).limit(1)).first()


def _job(row: Any) -> Job:
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's name of it
    for name in ("arguments", "checkpoint", "result"):
        told[name] = None if told[name] is None else json.loads(told[name])
    return Job(**told)
