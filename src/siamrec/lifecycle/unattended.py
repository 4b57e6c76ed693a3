"""What a workspace does by itself: it trains what is due, settles, and does the jobs that wait."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import TYPE_CHECKING, final
from uuid import uuid4

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import SECOND, duration
from siamrec._core.table import Record, Table, counted
from siamrec.errors import InvalidParameterError, SiamrecError, StaleWriteError, StoppedError
from siamrec.lifecycle._facts import RETRAIN, due_now
from siamrec.lifecycle._settlement import settled
from siamrec.lifecycle.held import Held
from siamrec.lifecycle.people import People

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.lifecycle._ground import Ground
    from siamrec.lifecycle.jobs import Jobs
    from siamrec.storage import Claim
    from siamrec.typing import Instant

_SETTLE, _PORTION = "settle", 500


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Worked(Record):
    """What a worker did.

    Attributes:
        started: Trainings that were due and that it started, for whoever does them.
        done: Jobs that it did.
        again: Jobs that failed and are tried again later.
        failed: Jobs that failed for good.
        lost: Jobs that were cancelled, or whose lease ran out, while it had them.
        let_go: Jobs that it gave back because it was told to stop.
        settled: Lists that bandits learned from.
        without_handler: Kinds of jobs that wait and that this worker cannot do: of a handler
            that is not there, or of a newer release.
        errors: What could not be looked after, each in one line.
    """

    started: int = 0
    done: int = 0
    again: int = 0
    failed: int = 0
    lost: int = 0
    let_go: int = 0
    settled: int = 0
    without_handler: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @override
    def title(self) -> str:
        failed = f", {self.failed + self.again:,} failed" if self.failed + self.again else ""
        lists = counted(self.settled, "list")
        return f"Worked: {counted(self.done, 'job')} done{failed}, {lists} settled"

    @override
    def table(self) -> Table:
        """Return the numbers, and below them what could not be done."""
        rows = tuple((name.replace("_", " "), getattr(self, name)) for name in _NUMBERS)
        nobody = tuple(f"Jobs of {kind} wait for a handler" for kind in self.without_handler)
        notes = (*nobody, *self.errors)
        return Table(head=("what", "n"), rows=rows, title=self.title(), notes=notes)


_NUMBERS = ("started", "done", "again", "failed", "lost", "let_go", "settled")


class Unattended(People):
    """What a `Workspace` does by itself; every workspace can do it."""

    _ground: Ground
    jobs: Jobs

    def work(
        self,
        until: Instant | str | timedelta | None = None,
        *,
        kinds: Sequence[str] | None = None,
        threads: int = 1,
        pause: str | timedelta | float = "10s",
        lease: str | timedelta | float = "60s",
        stop: Event | None = None,
    ) -> Worked:
        """Train what is due, let bandits learn, and do the jobs that wait; return what was done.

        Any number of threads, processes and machines may work at a time: what is due is started
        once, a job is held by one of them, and what a worker that ended was doing is taken over
        when its lease runs out, with the result that an undisturbed run has.

        Args:
            until: Instant, or time from now, up to which it looks for work; until nothing is left
                to do when absent.
            kinds: Kinds of jobs that it does; all that have a handler when absent. Without
                `"settle"` no list is settled, and without `"retrain"` no training is started.
            threads: Jobs that it does at once.
            pause: How long it rests when there is nothing to do, by the machine's clock.
            lease: How long a job stays its own without a sign of life, by the workspace's clock.
            stop: Set by the host to end it: at the next step of a job, which goes back to those
                that wait.

        Raises:
            siamrec.errors.UnknownNameError: If a kind has no handler.
            siamrec.errors.InvalidParameterError: If a number is out of range, or several threads
                are to share a database in memory.
        """
        names = list(self.jobs.kinds) if kinds is None else check.many("kinds", kinds)
        for name in names:
            check.one_of("kind of job", name, self.jobs.kinds)
        end: Instant | None = None
        if isinstance(until, str | timedelta):
            end = self._ground.now() + duration("until", until)
        elif until is not None:
            end = check.instant("until", until)
        alone = self._ground.store.alone
        if check.count("threads", threads) > 1 and alone:
            expected = "1: a database in memory is of one thread"
            raise InvalidParameterError("threads", threads, expected)
        resting = duration("pause", pause) / SECOND
        duration("lease", lease)
        ended = Event() if stop is None else check.kind("stop", stop, Event)

        def one(_: int) -> Counter[str]:
            worker = _Worker(self._ground, self.jobs, names, lease, ended, alone=alone)
            return worker.run(end, resting)

        if threads == 1:
            told = one(0)
        else:
            with ThreadPoolExecutor(threads) as pool:
                told = sum(pool.map(one, range(threads)), Counter())
        waiting = {job.kind for job in self.jobs.list(status="waiting", n=1_000)}
        nobody = sorted(waiting - set(self.jobs.kinds))
        errors = sorted(name for name in told if name not in _NUMBERS)
        numbers = {name: told[name] for name in _NUMBERS}
        return Worked(**numbers, without_handler=tuple(nobody), errors=tuple(errors))


@final
class _Worker:
    """One thread that works; counts what it does, and errors by their line."""

    def __init__(
        self,
        ground: Ground,
        jobs: Jobs,
        kinds: Sequence[str],
        lease: str | timedelta | float,
        stop: Event,
        *,
        alone: bool,
    ) -> None:
        self._ground = ground
        self._jobs = jobs
        self._kinds = {name: jobs.kinds[name].at_once for name in kinds}
        self._lease = lease
        self._stop = stop
        self._alone = alone
        self._owner = f"{os.getpid()}-{uuid4().hex[:8]}"
        self._told: Counter[str] = Counter()

    def run(self, end: Instant | None, pause: float) -> Counter[str]:
        """Work until nothing is left to do, or until an instant, or until told to stop."""
        while not self._stop.is_set():
            busy = self._pass()
            if end is not None and self._ground.now() >= end:
                break
            if busy:
                continue
            if end is None:
                break
            self._stop.wait(pause)
        return self._told

    def _pass(self) -> bool:
        """Look after every placement, and do one job; return whether there was anything to do."""
        busy = False
        for name in self._ground.placements():
            try:
                busy |= self._placement(name)
            except SiamrecError as error:  # of a plugin that is gone: others go on
                self._told[f"{name}: {error}"] = 1
        claim = self._ground.store.jobs.claim(self._owner, self._kinds, lease=self._lease)
        if claim is not None:
            self._told[self._done(claim)] += 1
        return busy or claim is not None

    def _placement(self, name: str) -> bool:
        """Start a training that is due and settle a portion; return whether there was any."""
        config = self._ground.config(name)
        n = started = 0
        if RETRAIN in self._kinds and config.retraining is not None:
            due, facts = due_now(self._ground, config, self._ground.now())
            if due.yes:
                # Whoever sees the same trainings and failures starts the same job.
                key = f"due:{name}:{facts.trainings}:{facts.failures}"
                job = self._ground.store.jobs.start(RETRAIN, key=key, placement=name)
                started = int(job.status == "waiting" and job.attempts == 0)
                self._told["started"] += started
        if _SETTLE in self._kinds:
            n = settled(self._ground, config, n=_PORTION)
            self._told["settled"] += n
        return bool(n or started)

    def _done(self, claim: Claim) -> str:
        """Do a job; return what became of it."""
        held, over = Held(claim, self._stop), Event()
        alive = Thread(target=held.alive, args=(over,), daemon=True)
        if not self._alone:
            alive.start()
        try:
            return self._handled(claim, held)
        except StaleWriteError:
            return "lost"
        finally:
            over.set()
            if not self._alone:
                alive.join()

    def _handled(self, claim: Claim, held: Held) -> str:
        try:
            claim.finish(self._jobs.kinds[claim.job.kind].handler(held) or {})
        except StoppedError:
            claim.let_go()
            return "let_go"
        except (KeyboardInterrupt, SystemExit):
            claim.let_go()
            raise
        except Exception as error:  # noqa: BLE001 - of a handler of the host
            return "again" if claim.fail(f"{type(error).__name__}: {error}") else "failed"
        return "done"
