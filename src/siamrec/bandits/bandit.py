"""The bandit: a policy, its arms, its memory and the log of its decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, final, overload

import numpy as np

from siamrec._core import check
from siamrec._core.clock import SystemClock, duration
from siamrec._core.hashing import uniform, uniforms
from siamrec.bandits import _state
from siamrec.bandits._choice import Chooser, Weights, draw_many, temperatures
from siamrec.bandits._ledger import Early, Ledger
from siamrec.bandits._memory import Memory
from siamrec.bandits.base import ArmSet, ModelT, Policy, Rounds, Space
from siamrec.bandits.context import Context
from siamrec.bandits.limits import Limits
from siamrec.data.decisions import Decision, Decisions, Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from typing import Protocol

    from siamrec.bandits.base import Sums
    from siamrec.bandits.context import ContextLike
    from siamrec.bandits.snapshot import Snapshot
    from siamrec.typing import BoolArray, FloatArray, Instant, IntArray

    class Clock(Protocol):
        """Tells the present instant in nanoseconds."""

        def now(self) -> Instant: ...


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of rewards that were handed in.

    Attributes:
        applied: Rewards that changed what is believed (corrections included).
        unchanged: Repeated rewards, and rewards older than one already taken in.
        early: Rewards whose decision is not known yet; they wait for it.
        late: Rewards after the attribution window; they are left out.
    """

    applied: int = 0
    unchanged: int = 0
    early: int = 0
    late: int = 0


class ArmView(NamedTuple):
    """What a bandit believes about one arm in one context."""

    probability: float
    confidence: float
    mean: float
    low: float
    high: float


@final
class ContextualBandit(Generic[ModelT]):
    """Chooses among named arms by context, learns from rewards, logs every probability.

    The one mutable part of this room. A decision's randomness is a hash of (seed, name,
    decision id), so a log can be replayed; everything learned is a fold over the log of
    decisions and rewards, so workers can be merged in any order.

    Args:
        policy: How to weigh the arms.
        arms: Distinct names of the arms.
        context: Factors whose combinations are the cells; one cell when absent.
        limits: Least and greatest probability of an arm.
        half_life: Time after which an observation counts half, such as `"30d"`.
        window: Only rewards of decisions this recent count; not together with `half_life`.
        attribution: Rewards later than this after their decision are left out.
        holdout: Share of decisions made evenly, for later audits; mixed into every propensity.
        tempering: For factors, the temperature of some of their levels, such as
            `{"session_position": {"early": 0.7, "late": 1.5}}`; several multiply.
        seed: Salt of every draw.
        name: Name of the bandit, part of the salt.
        worker: Name of this process among several that serve one bandit; part of every id.
        refresh_every: Rewards to take in before what is believed is worked out anew.
        n_features: Length of the feature vectors, for policies that use them.
        clock: Source of instants; the system's when absent.

    Raises:
        InvalidParameterError: If arms repeat, the floor leaves no room, or a setting is out of
            range.
        UnknownNameError: If tempering names an unknown factor or level.

    Examples:
        >>> from siamrec.bandits import BetaThompson, Context
        >>> bandit = ContextualBandit(
        ...     BetaThompson(), arms=("svd", "graph"), context=Context.default(), seed=7
        ... )
        >>> decision = bandit.select({"time_of_day": "evening", "segment": "cold"})
        >>> bandit.learn(decision.id, reward=1.0).applied
        1
    """

    def __init__(
        self,
        policy: Policy[ModelT],
        arms: Sequence[str],
        *,
        context: Context | None = None,
        limits: Limits | None = None,
        half_life: str | timedelta | float | None = None,
        window: str | timedelta | float | None = None,
        attribution: str | timedelta | float | None = None,
        holdout: float = 0.0,
        tempering: Mapping[str, Mapping[str, float]] | None = None,
        seed: int | str = 0,
        name: str = "bandit",
        worker: str = "",
        refresh_every: int = 1,
        n_features: int = 0,
        clock: Clock | None = None,
    ) -> None:
        if half_life is not None and window is not None:
            raise InvalidParameterError("window", window, "left out where half_life is given")
        self.policy = policy
        self.context = Context.none() if context is None else context
        self.limits = Limits() if limits is None else limits
        self.name, self.worker, self.seed = name, worker, seed
        self._arms = ArmSet(tuple(check.distinct("arms", tuple(arms))))
        self.limits.fit(len(self._arms.names))
        self._disabled: frozenset[int] = frozenset()
        self._attribution = None if attribution is None else duration("attribution", attribution)
        self._n_features = check.count("n_features", n_features, least=0)
        self._clock: Clock = SystemClock() if clock is None else clock
        self._chooser = Chooser(
            policy,
            limits=self.limits,
            holdout=check.share("holdout", holdout),
            temperature=temperatures(self.context, tempering or {}),
            refresh_every=check.count("refresh_every", refresh_every),
        )
        self._ledger = Ledger(n_features)
        self._memory = Memory(
            policy,
            self._space(),
            None if half_life is None else duration("half_life", half_life),
            None if window is None else duration("window", window),
        )
        self._settled: dict[str, _state.Settled] = {}
        self._origins = [worker]
        self._counter = 0
        self._version = 0

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that may be chosen."""
        return self._arms.active

    @property
    def state_version(self) -> int:
        """Number of changes to what has been learned."""
        return self._version

    @property
    def n_pending(self) -> int:
        """Number of picks without a reward yet."""
        return int(self._ledger.pending().size)

    @property
    def n_early(self) -> int:
        """Number of decisions that rewards came for but that are not known yet."""
        return len(self._ledger.early)

    def sums(self, *, time: Instant | None = None) -> Sums:
        """Return what has been learned as it counts now, or at `time`."""
        return self._memory.look(self._now(time))

    def model(self, *, time: Instant | None = None) -> ModelT:
        """Return what the policy believes now, or at `time`."""
        return self._believe(self._now(time))

    # ---------------------------------------------------------------- choosing

    def select(
        self,
        context: ContextLike | None = None,
        *,
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Choose `n` different arms, best rank first, and log the decision.

        Each rank is drawn from the policy's exact probabilities among the arms not drawn yet,
        within the limits.

        Args:
            context: Level, or raw value, of each factor; missing ones are unknown.
            n: Number of arms.
            unit: Whom the decision is for; logged.
            arms: The arms that are eligible this time; all when absent.
            features: Feature vector, for policies that use one.
            time: Instant of the decision; the clock's when absent.

        Raises:
            InvalidParameterError: If fewer than `n` arms are eligible.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        now = self._now(time)
        cell = self.context.cell(context)
        eligible = self._eligible(arms, check.count("n", n))
        vector = self._vector(features)
        model = self._believe(now)
        id_ = self._new_id(now, self._counter)
        first = self._chooser.weights(model, cell, eligible, vector)
        chosen, chances = self._draw_ranks(id_, n, first, model, cell, eligible, vector)
        in_top: tuple[float, ...] = ()
        if n > 1:
            rounds = self._chooser.rounds(np.array([cell]), eligible, _row(vector))
            among = self.policy.top(model, rounds, n)[0]
            in_top = tuple(float(among[arm]) for arm in chosen)
        decision = Decision(
            id=id_,
            bandit=self.name,
            context=self.context.levels(cell),
            arms=tuple(self._arms.names[arm] for arm in chosen),
            propensities=tuple(chances),
            confidences=tuple(first.best[arm] for arm in chosen),
            means=tuple(first.mean[arm] for arm in chosen),
            intervals=tuple((first.low[arm], first.high[arm]) for arm in chosen),
            in_top=in_top,
            policy=self.policy.name,
            state_version=self._chooser.version,
            time=now,
            unit=unit,
        )
        self._counter += 1
        self._ledger.append_one(id_, chosen, chances, cell, now, vector)
        return decision

    def select_arms(
        self, context: ContextLike | None = None, n_arms: int = 3
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Choose arms and return them with their confidences; the decision is logged.

        Confidences are the probabilities of being the best arm. Use `select` to keep the
        decision id that rewards need.
        """
        decision = self.select(context, n=n_arms)
        return decision.arms, decision.confidences

    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:
        """Choose one arm for each context from one state, and log the decisions.

        Args:
            contexts: One mapping per round, or columns by factor name.
            arms: The arms that are eligible; all when absent.
            features: Feature vectors, shape `(n, n_features)`.
            time: One instant, or one for each round; the clock's when absent.

        Raises:
            InvalidParameterError: If no arm is eligible.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        cells = self.context.cells(contexts)
        n = cells.size
        times = np.broadcast_to(
            np.asarray(self._clock.now() if time is None else time, dtype=np.int64), (n,)
        )
        eligible = self._eligible(arms, 1)
        vectors = self._vectors(features, n)
        model = self._believe(int(times.max()) if n else self._now(None))
        chance, which = self._chooser.chances(model, cells, eligible, vectors)
        ids = [
            self._new_id(instant, self._counter + row) for row, instant in enumerate(times.tolist())
        ]
        draws = uniforms(ids, f"{self.seed}|{self.name}")
        arm = draw_many(chance, which, draws)
        propensity = chance[which, arm]
        decisions = Decisions(
            id=np.array(ids, dtype=np.str_),
            arm=arm,
            propensity=propensity,
            cell=cells,
            time=times,
            state_version=self._chooser.version,
            arms=self._arms.names,
            bandit=self.name,
            policy=self.policy.name,
        )
        self._counter += n
        self._append(ids, arm, propensity, cells, times, vectors)
        return decisions

    def probabilities(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, float]:
        """Return the probability with which each eligible arm would be chosen first."""
        return {
            name: view.probability
            for name, view in self.describe(
                context, arms=arms, features=features, time=time
            ).items()
        }

    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        """Return probability, confidence, mean and 95 % interval of each eligible arm."""
        eligible = self._eligible(arms, 1)
        vector = None if features is None and not self._n_features else self._vector(features)
        weights = self._chooser.weights(
            self._believe(self._now(time)), self.context.cell(context), eligible, vector
        )
        columns = (weights.chance, weights.best, weights.mean, weights.low, weights.high)
        return {
            self._arms.names[arm]: ArmView(*(column[arm] for column in columns))
            for arm in np.flatnonzero(eligible).tolist()
        }

    # ---------------------------------------------------------------- learning

    @overload
    def learn(
        self,
        rewards: str,
        reward: float,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> Receipt: ...

    @overload
    def learn(self, rewards: Rewards) -> Receipt: ...

    def learn(
        self,
        rewards: Rewards | str,
        reward: float | None = None,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> Receipt:
        """Take in one reward by decision id, or a batch.

        Rewards may come late, twice or out of order: of all rewards of one pick the latest
        counts (by its time, then by its size), so a correction is just a later reward. A reward
        for a decision that is not known waits until the decision is recorded or merged.

        Args:
            rewards: A decision id, or a batch.
            reward: The reward, with an id.
            arm: The arm it belongs to, where the decision blended several; the first rank
                when absent.
            time: When it was observed; the clock's instant when absent.
            weight: How much it counts, at least 0.

        Raises:
            InvalidDataError: If a reward is outside the range of the policy, or not finite; the
                state is then unchanged.
            UnknownNameError: If an arm is not known.
        """
        if isinstance(rewards, str):
            if reward is None:
                raise MissingInputError("reward", "learn(decision_id, reward=...)")
            rewards = Rewards(
                decision=np.array([rewards]),
                reward=np.array([reward], dtype=float),
                time=None if time is None else np.array([time]),
                weight=np.array([weight], dtype=float),
                arm=None if arm is None else (arm,),
            )
        return self._post(rewards)

    def record(self, decisions: Decision | Decisions) -> None:
        """Take in decisions that were made elsewhere: a replayed log, or another system's.

        Rewards that came before their decisions take effect now. Decisions already known are
        skipped.

        Raises:
            UnknownNameError: If an arm, factor or level is not known.
        """
        batch = _state.columns_of(decisions, self.context, self._arms)
        fresh = [row for row, id_ in enumerate(batch.ids) if id_ not in self._ledger.first]
        _state.record(self._ledger, batch, fresh)
        self._counter += len(fresh)
        self._post_early([batch.ids[row] for row in fresh])

    def expire(self, *, time: Instant | None = None) -> Receipt:
        """Count as 0 every pick whose attribution window has passed without a reward.

        The zero carries the instant at which the window closed, so that a reward observed
        later, but delivered from within the window, still replaces it when it is newer.

        Raises:
            MissingInputError: If the bandit has no attribution window.
        """
        if self._attribution is None:
            raise MissingInputError("attribution", "ContextualBandit(..., attribution='7d')")
        rows = self._ledger.pending()
        rows = rows[self._ledger.column("time")[rows] + self._attribution <= self._now(time)]
        zeros = np.zeros(rows.size)
        closed = self._ledger.column("time")[rows] + self._attribution
        return Receipt(applied=self._apply(rows, zeros, closed, np.ones(rows.size)))

    def settle(self, before: Instant) -> int:
        """Drop this worker's decisions older than `before`; their sums stay.

        Later rewards for them are kept waiting like those of unknown decisions. Returns the
        number of picks that were dropped.
        """
        return _state.settle(self._ledger, self._memory, self._settled, self.worker, before)
