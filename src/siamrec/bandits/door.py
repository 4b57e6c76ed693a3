"""What every bandit with named arms does, in memory or on a store: one abstract door."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Generic, overload

from siamrec._core import check
from siamrec._core.table import Shown
from siamrec.bandits.insight import ArmShare, delay_curve, imbalance
from siamrec.bandits.policies.base import ModelT
from siamrec.data.decisions import Decision
from siamrec.data.rewards import LARGEST_REWARD, LARGEST_WEIGHT, LONGEST_DECISION, Rewards
from siamrec.errors import MissingInputError
from siamrec.figures import intervals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.bandits._choice import ArmView
    from siamrec.bandits.context import Context, ContextLike
    from siamrec.bandits.log.delay import DelayCurve
    from siamrec.bandits.log.journal import RewardReceipt
    from siamrec.bandits.log.snapshot import Snapshot
    from siamrec.bandits.memory import Memory
    from siamrec.bandits.policies.base import Policy, Sums
    from siamrec.data.decisions import Decisions
    from siamrec.typing import FloatArray, Instant, IntArray


class BanditDoor(Shown, Generic[ModelT]):
    """Chooses among named arms by context, learns from rewards, logs every probability.

    Wherever a bandit stands on a store, a `StorageError` says that the database failed; nothing
    has been chosen or learned then.
    """

    @property
    @abstractmethod
    def policy(self) -> Policy[ModelT]:
        """How arms are weighed."""

    @property
    @abstractmethod
    def context(self) -> Context:
        """Factors whose combinations are the cells."""

    @property
    @abstractmethod
    def memory(self) -> Memory[ModelT]:
        """The log with what it adds up to; of a stored bandit, read anew from the store."""

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that may be chosen."""

    @property
    @abstractmethod
    def state_version(self) -> int:
        """Number of changes to what has been learned, by all workers."""

    @property
    @abstractmethod
    def n_pending(self) -> int:
        """Number of picks without a reward yet."""

    @property
    @abstractmethod
    def n_early(self) -> int:
        """Number of decisions that rewards came for but that are not known yet."""

    @abstractmethod
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

    @abstractmethod
    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:
        """Choose one arm for each context from one state, and log the decisions together.

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

    def select_arms(
        self, context: ContextLike | None = None, n_arms: int = 3
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Choose arms and return them with their confidences; the decision is logged.

        Confidences are the probabilities of being the best arm. Use `select` to keep the
        decision id that rewards need.
        """
        decision = self.select(context, n=n_arms)
        return decision.arms, decision.confidences

    @abstractmethod
    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        """Return probability, confidence, mean and 95 % interval of each eligible arm."""

    def probabilities(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, float]:
        """Return the probability with which each eligible arm would be chosen first."""
        view = self.describe(context, arms=arms, features=features, time=time)
        return {name: arm.probability for name, arm in view.items()}

    @abstractmethod
    def sums(self, *, time: Instant | None = None) -> Sums:
        """Return what has been learned as it counts now, or at `time`."""

    @abstractmethod
    def model(self, *, time: Instant | None = None) -> ModelT:
        """Return what the policy believes now, or at `time`."""

    @overload
    def learn(
        self,
        rewards: Decision | str | int,
        reward: float,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> RewardReceipt: ...

    @overload
    def learn(self, rewards: Rewards) -> RewardReceipt: ...

    def learn(
        self,
        rewards: Rewards | Decision | str | int,
        reward: float | None = None,
        *,
        arm: str | None = None,
        time: Instant | None = None,
        weight: float = 1.0,
    ) -> RewardReceipt:
        """Take in one reward by decision id, or a batch.

        Rewards may come late, twice, out of order and through any worker: of all rewards of one
        pick the latest counts (by its time, then by its size), so a correction is just a later
        reward. A reward for a decision that is not known waits until the decision is recorded
        or merged.

        Args:
            rewards: A decision, its id, or a batch.
            reward: The reward, where one decision is given.
            arm: The arm it belongs to, where the decision blended several; the first rank
                when absent.
            time: When it was observed; the clock's instant when absent.
            weight: How much it counts, at least 0.

        Raises:
            InvalidDataError: If a reward is outside the range of the policy, not finite, or names
                an arm that was not chosen; the state is then unchanged.
            UnknownNameError: If an arm is not known.
        """
        id_ = rewards.id if isinstance(rewards, Decision) else rewards
        if not isinstance(id_, str | int):
            return self._take(check.kind("rewards", id_, Rewards, Decision))
        if reward is None:
            raise MissingInputError("reward", "learn(decision, reward=...)")
        seen = None if time is None else check.instant("time", time)
        name = check.text("decision", str(id_), longest=LONGEST_DECISION)
        if arm is not None:
            check.text("arm", arm)
        gain, much = float(check.real("reward", reward)), float(check.real("weight", weight))
        if not (abs(gain) <= LARGEST_REWARD and 0.0 <= much <= LARGEST_WEIGHT):
            Rewards.of_one(name, gain, weight=much)  # which tells what is wrong
        return self._take_one(name, gain, arm, seen, much)

    @abstractmethod
    def _take(self, rewards: Rewards) -> RewardReceipt:
        """Take in a batch."""

    @abstractmethod
    def _take_one(
        self, id_: str, reward: float, arm: str | None, time: Instant | None, weight: float
    ) -> RewardReceipt:
        """Take in one reward."""

    @abstractmethod
    def record(
        self, decisions: Decision | Decisions, *, features: FloatArray | None = None
    ) -> int:
        """Take in decisions that were made elsewhere: a replayed log, or another system's.

        Rewards that came before their decisions take effect now; decisions already known are
        skipped. Returns the number of new decisions.

        Args:
            decisions: One decision, or a batch.
            features: Feature vectors, one per decision, for policies that use them.

        Raises:
            InvalidDataError: If a cell is out of range, or a store has a decision of another
                bandit.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """

    @abstractmethod
    def expire(self, *, time: Instant | None = None) -> RewardReceipt:
        """Count as 0 every pick whose attribution window has passed without a reward.

        The zero carries the instant at which the window closed; a reward from before that,
        delivered late, does not replace it unless it is newer.

        Raises:
            MissingInputError: If the bandit has no attribution window.
        """

    @abstractmethod
    def add_arm(self, arm: str) -> None:
        """Add an arm that has seen nothing, or bring a removed one back, for all workers.

        Raises:
            InvalidParameterError: If the arm is there already, or the floor leaves no room.
        """

    def snapshot(self) -> Snapshot:
        """Return everything this bandit knows, as JSON and arrays."""
        return self.memory.snapshot()

    def imbalance(self, *, limit: float = 0.7, alpha: float = 0.01) -> tuple[ArmShare, ...]:
        """Return every arm's share of the logged picks, with an alarm above `limit`.

        See `siamrec.bandits.imbalance` for the test behind the alarm.
        """
        memory = self.memory
        return imbalance(memory.names, memory.n_picks(), limit=limit, alpha=alpha)

    def delay_curve(self, *, time: Instant | None = None) -> DelayCurve:
        """Return how long successes take to be seen; see `siamrec.bandits.delay_curve`.

        Args:
            time: Instant up to which picks have been watched; the clock's when absent.
        """
        memory = self.memory
        return delay_curve(memory, memory.now(time))

    def plot(
        self, context: ContextLike | None = None, *, features: FloatArray | None = None
    ) -> Any:
        """Return a plotly figure of every arm in a context; needs the extra `plots`.

        Raises:
            MissingExtraError: If plotly is not installed.
        """
        view = self.describe(context, features=features)
        rows = [
            (f"{name} (chosen {arm.probability:.0%})", arm.mean, arm.low, arm.high)
            for name, arm in view.items()
        ]
        title = f"{self.policy.name}: {dict(context or {})}"
        return intervals({"arms": rows}, axis="expected reward with 95 % interval", title=title)
