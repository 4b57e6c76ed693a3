"""What the workers of one bandit share: its settings, its version and its sums."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, final
from uuid import uuid4

from sqlalchemy import bindparam, select, update

from siamrec._core import check
from siamrec._core.hashing import canonical_json
from siamrec.bandits import POLICIES, Context, ContextualBandit, Learning
from siamrec.bandits._roster import LONGEST_NAME
from siamrec.bandits.policies.base import ModelT, widen
from siamrec.errors import InvalidParameterError
from siamrec.storage import _engine
from siamrec.storage._fold import Fold
from siamrec.storage.schema import decision as decision_table
from siamrec.storage.schema import projection as projection_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Engine

    from siamrec._core.book import Named
    from siamrec.bandits import Limits, Policy
    from siamrec.bandits.policies import Outcomes, Sums
    from siamrec.protocols import Clock
    from siamrec.typing import IntArray

_CHOICES = 4_096
"""Choices after which a worker's copy is made anew: it need not hold the log."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(Generic[ModelT]):
    """What a stored bandit is made with; durations in nanoseconds."""

    name: str
    policy: Policy[ModelT]
    arms: tuple[str, ...]
    context: Context
    half_life: int | None
    window: int | None
    attribution: int | None
    n_features: int
    make: Callable[[Sequence[str], Clock], ContextualBandit[ModelT]]

    @classmethod
    def of(
        cls,
        clock: Clock,
        name: str,
        policy: Policy[ModelT] | Named,
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        seed: int | str = 0,
        learning: Learning | None = None,
        tempering: Mapping[str, Mapping[str, float]] | None = None,
        worker: str | None = None,
        n_features: int = 0,
    ) -> Recipe[ModelT]:
        """Return the recipe of a bandit; arguments as in `Store.bandit`.

        Raises:
            siamrec.errors.InvalidParameterError: If a setting is out of range.
        """
        weighs: Policy[ModelT] = POLICIES.make(policy)
        learns = Learning() if learning is None else learning
        for setting in ("delay", "reset", "refresh_every"):
            if getattr(learns, setting) != getattr(Learning(), setting):
                raise InvalidParameterError(
                    setting, getattr(learns, setting), "left out with a stored bandit"
                )
        check.text("name", name, longest=LONGEST_NAME)
        if worker is not None:
            check.text("worker", worker, longest=LONGEST_NAME)
        worker = f"{name}.{uuid4().hex[:12] if worker is None else worker}"
        process = os.getpid()

        def make(names: Sequence[str], clock: Clock) -> ContextualBandit[ModelT]:
            forked = os.getpid() != process  # a child's decisions are its own
            own = f"{worker}.{os.getpid():x}" if forked else worker
            return ContextualBandit(
                weighs, names, context=context, limits=limits, learning=learns,
                tempering=tempering, seed=seed, name=name, worker=own,
                n_features=n_features, clock=clock,
            )  # fmt: skip

        settings = make(arms, clock).memory.settings  # checks them
        return cls(
            name=name,
            policy=weighs,
            arms=tuple(arms),
            context=Context.none() if context is None else context,
            half_life=settings.half_life,
            window=settings.window,
            attribution=settings.attribution,
            n_features=n_features,
            make=make,
        )

    def blank(self, arms: Sequence[str], clock: Clock) -> ContextualBandit[ModelT]:
        """Return a bandit of this recipe that has seen nothing."""
        return self.make(arms, clock)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for all workers, as JSON values."""
        return {
            "arms": list(self.arms),
            "policy": repr(self.policy),
            "factors": [[factor.name, *factor.labels] for factor in self.context.factors],
            "half_life": self.half_life,
            "window": self.window,
            "attribution": self.attribution,
            "n_features": self.n_features,
        }


@final
class Shared(Generic[ModelT]):
    """One worker's copy of the shared state, brought up to date inside transactions; mutable.

    Raises:
        siamrec.errors.InvalidParameterError: If the store has a bandit of that name which was
            made in another way.
    """

    def __init__(
        self, recipe: Recipe[ModelT], connection: Connection, *, join: bool = True
    ) -> None:
        self._recipe = recipe
        self._key = f"bandit:{recipe.name}"
        self._make = _engine.inserting(connection.dialect.name)
        mine = projection_table.c.name == self._key
        version, settings = projection_table.c.version, projection_table.c.settings
        # Made once: to put a statement together takes longer than to run it.
        self._version_query = select(version).where(mine)
        self._head_query = select(version, settings).where(mine)
        self._lock_query = self._head_query.with_for_update()
        self._next_query = (
            update(projection_table)
            .where(mine)
            .values(version=version + bindparam("n_changes"))
            .returning(version)
        )
        self.is_new = join and self._enter(connection)
        _, stored = self._head(connection)
        for name, value in recipe.identity().items():
            if stored[name] != value:
                raise InvalidParameterError(
                    name, value, f"{stored[name]!r} as in the stored bandit {recipe.name!r}"
                )
        self.arms: tuple[str, ...] = ()
        self.codes: dict[str, int] = {}
        self.version = -1
        self._counter = 0
        self._n_choices = 0
        self._sums: dict[int, Sums] = {}
        self._local: ContextualBandit[ModelT] | None = None
        self._become((*stored["arms"], *stored["added"]))

    def lock(self, connection: Connection) -> None:
        """Make this transaction the only one that changes the state until it ends."""
        _, stored = self._head(connection, lock=True)
        self._become((*stored["arms"], *stored["added"]))

    def arms_in(self, connection: Connection) -> tuple[str, ...]:
        """Return the arms that are stored now."""
        _, stored = self._head(connection)
        return (*stored["arms"], *stored["added"])

    def refreshed(self, connection: Connection, clock: Clock) -> ContextualBandit[ModelT]:
        """Return this worker's copy, after what the others have learned."""
        version = connection.execute(self._version_query).scalar_one()
        if self._local is not None and version == self.version and self._n_choices < _CHOICES:
            return self._local
        _, stored = self._head(connection)
        self._become((*stored["arms"], *stored["added"]))
        if stored["rebuilt"] > self.version:
            self._sums, self.version = {}, -1
        self.fold.load(connection, self._sums, after=self.version, now=clock.now())
        blank = self._recipe.blank(self.arms, clock)
        self._local = self.fold.believing(
            blank,
            self._sums,
            clock=clock,
            header={"version": int(version), "counter": self._counter},
        )
        self.version, self._n_choices = int(version), 0
        return self._local

    def chose(self, n: int) -> None:
        """Note that the local copy has used up `n` decision numbers."""
        self._counter += n
        self._n_choices += n

    def add(
        self, connection: Connection, outcomes: Outcomes, times: IntArray, *, n_changes: int
    ) -> None:
        """Add outcomes to the stored sums under a new version; needs the lock."""
        version = self._next(connection, n_changes)
        self.fold.add(connection, outcomes, times, version=version)

    def forget(self, connection: Connection) -> None:
        """Make every worker read the sums anew: they were rebuilt."""
        _, stored = self._head(connection)
        stored["rebuilt"] = self._next(connection, 1)
        self._write(connection, stored)

    def add_arm(self, connection: Connection, arm: str, clock: Clock) -> None:
        """Add an arm for all workers; needs the lock."""
        self._recipe.blank(self.arms, clock).add_arm(arm)
        _, stored = self._head(connection)
        stored["added"].append(arm)
        self._write(connection, stored)
        self._next(connection, 1)

    def sweep(self, connection: Connection, ids: Sequence[str]) -> None:
        """Note that decisions have their timeouts."""
        for first in range(0, len(ids), 500):
            part = decision_table.c.id.in_(ids[first : first + 500])
            connection.execute(update(decision_table).where(part).values(swept=1))

    def _next(self, connection: Connection, n_changes: int) -> int:
        given = {"n_changes": n_changes}
        return int(connection.execute(self._next_query, given).scalar_one())

    def _enter(self, connection: Connection) -> bool:
        """Make the projection where there is none; tell whether it was made now."""
        settings = canonical_json({**self._recipe.identity(), "added": [], "rebuilt": 0})
        new = self._make(projection_table).on_conflict_do_nothing(index_elements=["name"])
        made = connection.execute(
            new.returning(projection_table.c.name),
            {"name": self._key, "version": 0, "settings": settings},
        )
        return made.first() is not None

    def _head(self, connection: Connection, *, lock: bool = False) -> tuple[int, dict[str, Any]]:
        needs_lock = lock and connection.dialect.name == "postgresql"
        query = self._lock_query if needs_lock else self._head_query
        version, settings = connection.execute(query).one()
        return int(version), json.loads(settings)

    def _write(self, connection: Connection, stored: dict[str, Any]) -> None:
        mine = projection_table.c.name == self._key
        text = canonical_json(stored)
        connection.execute(update(projection_table).where(mine).values(settings=text))

    def _become(self, arms: tuple[str, ...]) -> None:
        if arms == self.arms:
            return
        self.arms = arms
        self.codes = {name: code for code, name in enumerate(arms)}
        space = self._recipe.context.space(len(arms), self._recipe.n_features)
        self.fold = Fold(
            self._key,
            self._recipe.policy,
            space,
            half_life=self._recipe.half_life,
            window=self._recipe.window,
        )
        zeros = self._recipe.policy.init
        self._sums = {part: widen(sums, zeros(space)) for part, sums in self._sums.items()}


def believed(engine: Engine, clock: Clock, recipe: Recipe[ModelT]) -> ContextualBandit[ModelT]:
    """Return a bandit in memory that believes what the stored one does; nothing is written."""
    there = select(projection_table.c.name).where(
        projection_table.c.name == f"bandit:{recipe.name}"
    )
    with _engine.reading(engine) as connection:
        if connection.execute(there).first() is None:
            return recipe.blank(recipe.arms, clock)
        return Shared(recipe, connection, join=False).refreshed(connection, clock)
