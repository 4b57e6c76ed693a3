"""Logged choices with their rewards and probabilities: what off-policy evaluation reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, counted
from siamrec.errors import InvalidDataError, MissingInputError
from siamrec.statistics.means import UNBOUNDED, Range

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.data.decisions import Decisions
    from siamrec.data.rewards import Rewards
    from siamrec.typing import FloatArray, IntArray

_EXACT = 1e-6


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Log(Record):
    """Choices of one logging policy, one row each.

    Attributes:
        action: Code of the chosen action, shape `(n,)`.
        reward: Observed reward, shape `(n,)`, finite.
        propensity: Probability with which the action was chosen, in `(0, 1]`, shape `(n,)`.
        position: Place in a list, shape `(n,)`, where there is one.
        features: What was known about each round, shape `(n, d)`; used by reward models.
        logging: The whole logging distribution of each round, shape `(n, n_actions)`, where it
            is known; some estimators need it.
        n_actions: Number of actions; as many as occur when absent.
        reward_range: Least and greatest reward that there can be, where they are known. Intervals
            stay inside it; without it, rewards that are all the same have no interval.

    Raises:
        InvalidDataError: If lengths differ, a propensity is not in `(0, 1]`, a reward is outside
            `reward_range`, or `logging` does not agree with `propensity`.

    Examples:
        >>> log = Log(action=np.array([0, 1]), reward=np.array([1.0, 0.0]),
        ...           propensity=np.array([0.5, 0.5]))
        >>> len(log), log.n_actions
        (2, 2)
    """

    action: npt.NDArray[Any]
    reward: npt.NDArray[Any]
    propensity: FloatArray
    position: IntArray | None = None
    features: FloatArray | None = None
    logging: FloatArray | None = None
    n_actions: int | None = None
    reward_range: Range = UNBOUNDED

    def __post_init__(self) -> None:
        object.__setattr__(self, "action", check.frozen(self.action, np.int32))
        for name in ("reward", "propensity"):
            values = check.finite(name, getattr(self, name))
            object.__setattr__(self, name, check.frozen(values, np.float64))
        n = check.same_length(
            action=self.action,
            reward=self.reward,
            propensity=self.propensity,
            position=self.position,
        )
        if n == 0:
            raise InvalidDataError("A log must hold at least one row.")
        if not (self.propensity.min() > 0 and self.propensity.max() <= 1 + _EXACT):
            raise InvalidDataError(
                f"propensity must be in (0, 1], got {self.propensity.min()} to "
                f"{self.propensity.max()}."
            )
        most = int(self.action.max()) + 1
        known = most if self.n_actions is None else check.count("n_actions", self.n_actions)
        if self.action.min() < 0 or most > known:
            raise InvalidDataError(f"action must hold codes 0 to {known - 1}.")
        object.__setattr__(self, "n_actions", known)
        low, high = self.reward_range
        if not (self.reward.min() >= low and self.reward.max() <= high):
            raise InvalidDataError(
                f"reward must be in [{low:g}, {high:g}], got {self.reward.min()} to "
                f"{self.reward.max()}."
            )
        self._check_tables(n)

    @override
    def title(self) -> str:
        known = "" if self.logging is None else ", whole distributions known"
        return f"Log of {counted(len(self), 'decision')}{known}"

    def _check_tables(self, n: int) -> None:
        if self.features is not None:
            features = check.finite("features", self.features)
            if features.ndim != 2 or len(features) != n:
                raise InvalidDataError(f"features must have shape ({n}, d), got {features.shape}.")
            object.__setattr__(self, "features", check.frozen(features, np.float64))
        if self.logging is not None:
            table = distribution("logging", self.logging, n, self.n_actions or 0)
            if np.abs(table[np.arange(n), self.action] - self.propensity).max() > _EXACT:
                raise InvalidDataError("logging must agree with propensity at the chosen actions.")
            object.__setattr__(self, "logging", table)

    @classmethod
    def of(
        cls,
        decisions: Decisions,
        rewards: Rewards,
        *,
        default: float | None = None,
        reward_range: Range = UNBOUNDED,
    ) -> Log:
        """Return the log of a bandit's decisions, joined with their rewards by decision id.

        Args:
            decisions: The decisions.
            rewards: Their rewards; where a decision has several, the latest counts. Rows of weight
                0 do not count, nor those of arms that were ranked after the first.
            default: Reward of a decision without one, such as 0 for "no click"; without it
                such decisions are left out.
            reward_range: Least and greatest reward that there can be.

        Raises:
            InvalidDataError: If no decision has a reward, or some rewards weigh more than others.
        """
        found = _of_first(decisions, rewards).by_decision()
        values = [found.get(str(id_), default) for id_ in decisions.id.tolist()]
        kept = np.array([value is not None for value in values], dtype=np.bool_)
        if not kept.any():
            raise InvalidDataError("At least one decision must have a reward.")
        return cls(
            action=decisions.arm[kept],
            reward=np.array([value for value in values if value is not None], dtype=float),
            propensity=decisions.propensity[kept],
            n_actions=len(decisions.arms),
            reward_range=reward_range,
        )

    def __len__(self) -> int:
        return int(self.action.size)

    def rows(self, chosen: IntArray) -> Log:
        """Return some of the rows."""
        return Log(
            action=self.action[chosen],
            reward=self.reward[chosen],
            propensity=self.propensity[chosen],
            position=None if self.position is None else self.position[chosen],
            features=None if self.features is None else self.features[chosen],
            logging=None if self.logging is None else self.logging[chosen],
            n_actions=self.n_actions,
            reward_range=self.reward_range,
        )

    def weights(self, target: FloatArray) -> FloatArray:
        """Return `target / propensity` of the chosen action in each row.

        Args:
            target: Probability with which the target policy would have chosen the logged
                action, shape `(n,)`, or its whole distribution, shape `(n, n_actions)`.

        Raises:
            InvalidDataError: If the shape does not fit or a number is not a probability.
        """
        weights: FloatArray = self.chosen(target) / self.propensity
        return weights

    def chosen(self, target: FloatArray) -> FloatArray:
        """Return the target's probability of each logged action; raises as `weights` does."""
        values: FloatArray = check.finite("target", np.asarray(target))
        if values.ndim == 2:
            return np.asarray(
                self.distribution(values)[np.arange(len(self)), self.action], np.float64
            )
        if values.shape != (len(self),):
            raise InvalidDataError(
                f"target must have shape ({len(self)},) or ({len(self)}, {self.n_actions}), got "
                f"{values.shape}."
            )
        if values.min() < 0 or values.max() > 1 + _EXACT:
            raise InvalidDataError(
                f"target must be in [0, 1], got {values.min()} to {values.max()}."
            )
        return values

    def distribution(self, target: FloatArray) -> FloatArray:
        """Return the target's whole distribution.

        Raises:
            MissingInputError: If only the probabilities of the logged actions were given.
        """
        values = np.asarray(target, dtype=np.float64)
        if values.ndim != 2:
            raise MissingInputError(
                "the target's whole distribution", f"target=array of ({len(self)}, n_actions)"
            )
        return distribution("target", values, len(self), self.n_actions or 0)


def _of_first(decisions: Decisions, rewards: Rewards) -> Rewards:
    """Return the rewards that count, of the arm that a row of decisions names."""
    if rewards.weight is not None:
        rewards = rewards.where(rewards.weight > 0)
        heavy = np.ones(1) if rewards.weight is None else rewards.weight
        if heavy.size and heavy.min() != heavy.max():
            raise InvalidDataError(
                f"weight must be the same for all rewards, got {heavy.min():g} to "
                f"{heavy.max():g}: a row of a log has no weight; keep the rewards that you trust "
                "and leave out the others."
            )
    if rewards.arm is None:
        return rewards
    first = dict(zip(map(str, decisions.id.tolist()), decisions.names(), strict=True))
    pairs = zip(map(str, rewards.decision.tolist()), rewards.arm, strict=True)
    return rewards.where(np.array([first.get(id_) == arm for id_, arm in pairs], dtype=np.bool_))


def distribution(name: str, table: FloatArray, n: int, n_actions: int) -> FloatArray:
    """Return a read-only table of probabilities whose rows sum to 1.

    Raises:
        InvalidDataError: If it is not one.
    """
    values = check.finite(name, table)
    if values.shape != (n, n_actions):
        raise InvalidDataError(f"{name} must have shape {(n, n_actions)}, got {values.shape}.")
    if values.min() < 0 or np.abs(values.sum(axis=1) - 1).max() > _EXACT:
        raise InvalidDataError(f"Rows of {name} must be probabilities that sum to 1.")
    return np.asarray(check.frozen(values, np.float64), dtype=np.float64)
