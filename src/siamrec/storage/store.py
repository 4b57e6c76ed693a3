"""The store: one event log, decisions with their propensities, and versions, in one database."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sqlalchemy import Engine, func, select

from siamrec._core import check
from siamrec._core.clock import SystemClock
from siamrec.storage import _engine, schema
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.feedback import FeedbackLog
from siamrec.storage.versions import VersionTable

if TYPE_CHECKING:
    from siamrec.protocols import Clock
    from siamrec.storage._engine import Durability


@final
class Store:
    """A database that many workers feed and read; it brings its own tables up to date.

    Args:
        url: A SQLAlchemy URL such as `"sqlite:///siamrec.db"` or
            `"postgresql+psycopg://user@host/name"`, or an engine that the host has already.
        durability: What an acknowledged write survives on SQLite: `"process"` (kill -9) or
            `"power"` (a power cut as well, at a tenth of the speed for single writes).
        clock: Tells when a row was received.

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
    ) -> None:
        check.one_of("durability", durability, ("process", "power"))
        self._engine = url if isinstance(url, Engine) else _engine.connect(url, durability)
        self._own = not isinstance(url, Engine)
        _engine.migrate(self._engine)
        clock = clock or SystemClock()
        self.feedback = FeedbackLog(self._engine, clock)
        self.decisions = DecisionLog(self._engine, clock)
        self.versions = VersionTable(self._engine, clock)

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return self._engine.url.render_as_string(hide_password=True)

    def counts(self) -> dict[str, int]:
        """Return the number of rows of every table."""
        with _engine.reading(self._engine) as connection:
            return {
                table.name: int(
                    connection.execute(select(func.count()).select_from(table)).scalar_one()
                )
                for table in schema.metadata.sorted_tables
            }

    def close(self) -> None:
        """Close the connections that this store opened; a host's engine is left alone."""
        if self._own:
            self._engine.dispose()
