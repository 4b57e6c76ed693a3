"""The store: one event log, decisions with their propensities, and versions, in one database."""

from __future__ import annotations

import json
from threading import Event
from typing import TYPE_CHECKING, Any, final

from sqlalchemy import Engine, func, select

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec.bandits._roster import LONGEST_NAME
from siamrec.errors import InvalidParameterError
from siamrec.storage import _engine, _epoch, schema
from siamrec.storage._events import id_of
from siamrec.storage._on_database import OnDatabase
from siamrec.storage._shared import Recipe, believed
from siamrec.storage.archive import Archive
from siamrec.storage.audit import Past, Verification, verified
from siamrec.storage.bandit import StoredBandit
from siamrec.storage.blocks import BlockLog
from siamrec.storage.catalog import CatalogLog
from siamrec.storage.copies import Copies
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.diary import Diary
from siamrec.storage.erasure import erase
from siamrec.storage.experiments import StoredExperiments, StoredSticky
from siamrec.storage.feedback import FeedbackLog
from siamrec.storage.identity import IdentityLog
from siamrec.storage.jobs import JobLog
from siamrec.storage.persons import PersonLog
from siamrec.storage.recommendations import RecommendationLog
from siamrec.storage.snapshots import Snapshots
from siamrec.storage.tail import Tail
from siamrec.storage.values import StoredValues
from siamrec.storage.versions import VersionTable
from siamrec.storage.writer import FeedbackWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from siamrec._core.book import Named
    from siamrec.bandits import Context, ContextualBandit, Learning, Limits, Policy
    from siamrec.bandits.policies.base import ModelT
    from siamrec.experiments import Experiment, ExperimentManager, HashAssigner
    from siamrec.protocols import Clock
    from siamrec.storage._sqlite import Durability
    from siamrec.storage.archive import ArchiveBlobs, Sealed
    from siamrec.storage.erasure import Erasure, OfDecisions
    from siamrec.storage.writer import WhenFull
    from siamrec.typing import Instant


@final
class Store(OnDatabase):
    """A database that many workers feed and read; it brings its own tables up to date.

    Args:
        url: A SQLAlchemy URL such as `"sqlite:///siamrec.db"` or
            `"postgresql+psycopg://user@host/name"`, or an engine that the host has already.
        durability: What an acknowledged write survives on SQLite: `"process"` (kill -9) or
            `"power"` (a power cut as well, at a tenth of the speed for single writes).
        clock: Tells when a row was received.
        archive: Folder (or blobs that can forget) of the sealed files; beside a SQLite file
            when absent. All workers must reach the same one.
        schema: Schema of PostgreSQL for the tables, made where it is not there, so that they
            stand apart from a host's own; the server's default when absent.

    Threads may share a store; each opens bandits of its own. Under asyncio every call is handed
    to a thread: `await asyncio.to_thread(store.feedback.write, feedback)`.

    Raises:
        siamrec.errors.InvalidParameterError: If the URL cannot be read.
        siamrec.errors.StorageError: If the database cannot be opened or is of a newer version.

    Examples:
        >>> from siamrec.data import Feedback
        >>> store = Store("sqlite://")
        >>> feedback = Feedback.of(user=["ann"], item=["x"], value=[5.0], time=[10])
        >>> store.feedback.write(feedback).accepted, store.feedback.write(feedback).duplicates
        (1, 1)
        >>> [len(batch) for batch in store.feedback.read()]
        [1]
    """

    def __init__(
        self,
        url: str | Engine,
        *,
        durability: Durability = "process",
        clock: Clock | None = None,
        archive: ArchiveBlobs | str | Path | None = None,
        schema: str | None = None,
    ) -> None:
        check.one_of("durability", durability, ("process", "power"))
        engine = url if isinstance(url, Engine) else _engine.connect(url, durability)
        self._engine = _engine.in_schema(engine, schema)
        self._own = not isinstance(url, Engine)
        self._closed = Event()
        self._engine = self._engine.execution_options(siamrec_closed=self._closed)
        _engine.migrate(self._engine)
        _epoch.entered(self._engine)
        clock = clock_or_system(clock)
        self._archive = Archive(self._engine, archive)
        self.feedback = FeedbackLog(self._engine, clock, self._archive)
        self.snapshots = Snapshots(self._engine, clock, self._archive)
        self.decisions = DecisionLog(self._engine, clock)
        self.versions = VersionTable(self._engine, clock)
        self.experiment_records = StoredExperiments(self._engine)
        self.catalog = CatalogLog(self._engine, clock)
        self.blocks = BlockLog(self._engine, clock)
        self.identities = IdentityLog(self._engine, clock)
        self.persons = PersonLog(self._engine)
        self.recommendations = RecommendationLog(
            self._engine, self.feedback, self._archive, self.blocks, self.persons
        )
        self.values = StoredValues(self._engine, clock)
        self.diary = Diary(self._engine, clock)
        self.jobs = JobLog(self._engine, clock)
        self.copies = Copies(self._engine, clock, self._archive, self.feedback, self.catalog)
        self._clock = clock
        self._bandits: dict[str, StoredBandit[Any]] = {}

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return _engine.place_of(self._engine)

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database; None for one in memory, and for a server."""
        return _engine.file_of(self._engine.url)

    @property
    def alone(self) -> bool:
        """Whether it is a SQLite database in memory, which no other thread can share."""
        return self._engine.dialect.name == "sqlite" and self.file is None

    def bandit(
        self,
        name: str,
        policy: Policy[ModelT] | Named,
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        learning: Learning | None = None,
        tempering: Mapping[str, Mapping[str, float]] | None = None,
        seed: int | str = 0,
        worker: str | None = None,
        n_features: int = 0,
    ) -> StoredBandit[ModelT]:
        """Return a bandit whose decisions, rewards and state all workers of this store share.

        Args:
            name: Name of the bandit; opening it again joins it.
            policy: How to weigh the arms: a policy or its name.
            arms: Distinct names of the arms, in one order for all workers.
            context: Factors whose combinations are the cells; one cell when absent.
            limits: Least and greatest probability of an arm, a trusted arm, a share for audits.
            learning: What is forgotten and left out; a stored bandit neither waits by `delay` nor
                notices by `reset`, and is refreshed at once.
            tempering: For factors, the temperature of some of their levels.
            seed: Salt of every draw.
            worker: Name of this process, part of decision ids; a new one when absent.
            n_features: Length of the feature vectors, for policies that use them.

        Raises:
            siamrec.errors.InvalidParameterError: If the store has a bandit of that name with
                other arms, policy, context or memory; or a setting is out of range.
            siamrec.errors.UnknownNameError: If tempering names an unknown factor or level.
        """
        recipe = Recipe.of(
            self._clock, name, policy, arms, context=context, limits=limits, learning=learning,
            tempering=tempering, seed=seed, worker=worker, n_features=n_features,
        )  # fmt: skip
        bandit = StoredBandit(self._engine, self._clock, recipe)
        self._bandits[name] = bandit
        return bandit

    def believed(
        self,
        name: str,
        policy: Policy[ModelT] | Named,
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        seed: int | str = 0,
    ) -> ContextualBandit[ModelT]:
        """Return a bandit in memory that believes what the stored one does; nothing is written.

        One that is not stored yet has learned nothing. Arguments as in `bandit`.

        Raises:
            siamrec.errors.InvalidParameterError: As for `bandit`.
        """
        recipe = Recipe.of(
            self._clock, name, policy, arms, context=context, limits=limits, seed=seed
        )
        return believed(self._engine, self._clock, recipe)

    def roster(self, name: str) -> tuple[str, ...] | None:
        """Return the arms that a stored bandit was first opened with; None for no such bandit.

        Arms that were added later are no part of it: they join again when it is opened.
        """
        check.text("name", name, longest=LONGEST_NAME)
        query = select(schema.projection.c.settings).where(
            schema.projection.c.name == f"bandit:{name}"
        )
        with _engine.reading(self._engine) as connection:
            settings = connection.execute(query).scalar()
        return None if settings is None else tuple(json.loads(settings)["arms"])

    def experiments(self) -> ExperimentManager:
        """Return a manager of the experiments in this store."""
        from siamrec.experiments import ExperimentManager  # takes its time

        return ExperimentManager(self.experiment_records, clock=self._clock)

    def assigner(
        self,
        experiments: Sequence[Experiment],
        *,
        overrides: Mapping[str, str]
        | Mapping[int, str]
        | Mapping[str, Mapping[str, str]]
        | Mapping[str, Mapping[int, str]]
        | None = None,
        sticky: bool = True,
    ) -> HashAssigner:
        """Return an assigner of units to the variants of experiments.

        Args:
            experiments: The experiments, with distinct keys.
            overrides: Variant of some units, for testing; by unit, which then holds in every
                experiment that has the variant, or by experiment and unit.
            sticky: Whether the first variant of a unit is kept in this store, so that changed
                shares move nobody. It costs a read for each assignment, and a write for each new
                unit; the hash alone is stable as long as shares do not change.

        Raises:
            siamrec.errors.InvalidParameterError: If keys repeat, or two experiments own
                overlapping parts of a layer.
            siamrec.errors.UnknownNameError: If an override names an unknown experiment or
                variant.
        """
        from siamrec.experiments import HashAssigner  # takes its time

        kept = StoredSticky(self._engine) if sticky else None
        return HashAssigner(experiments, overrides=overrides, sticky=kept, clock=self._clock)

    def tail(self, consumer: str) -> Tail:
        """Return a consumer's place in the event log, from where it committed last.

        Args:
            consumer: Name of the consumer; one process at a time should use it.
        """
        return Tail(self._engine, check.text("consumer", consumer, longest=64), self._archive)

    def writer(
        self,
        *,
        max_rows: int = 1_000,
        max_wait: str | timedelta | float = 0.2,
        capacity: int = 100_000,
        when_full: WhenFull = "block",
        spill: str | Path | None = None,
    ) -> FeedbackWriter:
        """Return a writer that stores feedback in small batches, by a thread of its own.

        Args:
            max_rows: Events after which a batch is written.
            max_wait: Longest time an event waits for its batch; seconds, or such as `"2s"`.
            capacity: Most events in the queue.
            when_full: What happens to an event that finds it full: the caller waits (`"block"`),
                it is left out and counted (`"drop"`), or it goes to a file (`"spill"`) that
                `flush` reads back.
            spill: The file; it also takes what `close` cannot store.

        Raises:
            siamrec.errors.InvalidParameterError: If a number is out of range, or the database is
                in memory, where every thread has its own.
            siamrec.errors.MissingInputError: If spilling has no file.
        """
        if self.alone:
            raise InvalidParameterError("url", self.url, "a database that threads can share")
        return FeedbackWriter(
            self.feedback,
            max_rows=max_rows,
            max_wait=max_wait,
            capacity=capacity,
            when_full=when_full,
            spill=spill,
        )

    def verify(self) -> Verification:
        """Check that every projection is the fold of the log, and nothing in it was changed.

        Every event, and the manifest of every version, is compared with its digest. Bandits that
        this store object has opened are replayed from their decisions and rewards and compared
        with their stored sums. A projection whose policy is not at hand is named as unchecked:
        open it with `bandit` first. Sealed files are compared with their hashes.

        Raises:
            siamrec.errors.StorageError: If a projection differs from the log: `rebuild` it; or
                something was changed: it is in a backup.
        """
        return verified(self._engine, self._bandits, self._archive, self._clock)

    def rebuild(self, projection: str) -> int:
        """Work out a projection anew from the log, in one transaction.

        Args:
            projection: Such as `"bandit:home"`, for a bandit that was opened here.

        Returns:
            Number of rewarded picks it is made of.

        Raises:
            siamrec.errors.UnknownNameError: If no such projection was opened here.
        """
        known = {f"bandit:{name}": bandit for name, bandit in self._bandits.items()}
        return known[check.one_of("projection", projection, known)].rebuild()

    def archive(self, before: Instant, *, segment_rows: int = 100_000) -> Sealed:
        """Move the events from before an instant into sealed Parquet files.

        They stay part of the log: `read`, `summary` and new tails go through the table and the
        archive alike, and an archived event that is written again is still a duplicate. What a
        consumer has not read yet, and events without a time, stay in the table.

        Where placements serve from this store, so do the newest events of each user, as many as
        a placement looks at, and those of lists that are not settled. What a person did before
        them is no longer known when a list is made.

        Args:
            before: Instant in nanoseconds; events with an earlier time are sealed.
            segment_rows: Most events in one file. Writers wait while one is taken over.

        Raises:
            siamrec.errors.MissingInputError: If the store does not know where its archive is.
        """
        before = check.instant("before", before)
        placements = (self.values.get("placement", n) for n in self.values.names("placement"))
        looked_at = (int(each.body["history"]) for each in placements if each is not None)
        return self._archive.seal(
            before, segment_rows=segment_rows, newest=max(looked_at, default=0)
        )

    def erase(self, user: str | int, *, decisions: OfDecisions = "detach") -> Erasure:
        """Erase a user: from the table, the archive, decisions and sticky variants.

        Segments with events of the user are written anew under new hashes, and snapshots that
        had any are marked as redacted. A hash of each erased key stays, so that an event that
        is delivered once more does not bring the user back.

        Decisions are what the bandits' sums are the fold of. `"detach"` keeps them as decisions
        for nobody: what was learned stays, and so do the context levels and features that they
        were made with. `"delete"` takes them and their rewards out, and works out the sums
        anew, as if the user had never been there. `verify` agrees after either.

        What is identified as the user (see `identities`) is erased with it; a person that the
        user is identified as stays, and `remains` says so.

        What cannot be reached from here is told: `remains` of what is returned names a log that
        a reader keeps from being emptied, a user of the other kind who is written alike, and
        versions that may have been trained with the user. Events that wait in a writer of
        another process, or in its spill file, come in after it.

        Args:
            user: Id, as it was written; `1` and `"1"` are two users.
            decisions: What becomes of decisions whose unit is the user.

        Raises:
            siamrec.errors.InvalidParameterError: If the user is no id that a store can keep, or
                decisions are to be deleted of a bandit that was not opened on this store:
                its sums could not be worked out.
        """
        return erase(
            self._engine,
            self._archive,
            self._bandits,
            user=id_of("user", user),
            decisions=decisions,
            now=self._clock.now(),
        )

    def as_of(self, time: Instant) -> Past:
        """Return the store as it was known at `time`, in nanoseconds."""
        return Past(self._bandits, check.instant("time", time))

    def counts(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        with _engine.reading(self._engine) as connection:
            return {
                table.name: int(
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
                )
                for table in schema.metadata.sorted_tables
            }

    @property
    def closed(self) -> bool:
        """Whether it was closed: what is asked of it then is refused."""
        return self._closed.is_set()

    def close(self) -> None:
        """Close the connections that this store opened; a host's engine is left alone.

        Nothing can be read or written through this store, and what it made, from then on.
        """
        self._closed.set()
        if self._own:
            self._engine.dispose()
