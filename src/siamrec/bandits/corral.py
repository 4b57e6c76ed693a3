"""Corral: a bandit over bandits, which finds out which policy suits."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import clock_or_system
from siamrec._core.hashing import uniform
from siamrec._core.table import Arrays, Shown, Table, counted
from siamrec.bandits.bandit import ContextualBandit
from siamrec.data.decisions import Decision, Decisions
from siamrec.data.rewards import Rewards
from siamrec.errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec._core.book import Named
    from siamrec.bandits.context import Context
    from siamrec.bandits.policies.base import Policy
    from siamrec.protocols import Clock
    from siamrec.typing import FloatArray, Instant


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MasterState(Arrays):
    """What the master has learned.

    Attributes:
        share: Probability of each policy before mixing, shape `(n_policies,)`.
        rate: Learning rate of each policy, shape `(n_policies,)`.
        threshold: Inverse share beyond which a policy's rate rises, shape `(n_policies,)`.
    """

    share: FloatArray
    rate: FloatArray
    threshold: FloatArray


@final
class Corral(Shown):
    """Chooses a policy by log-barrier mirror descent, and lets it choose the arm.

    The master draws policy `i` with probability `p̄_i = (1 − γ) p_i + γ / M`, `γ = 1 / horizon`.
    A loss `l = 1 − reward` of the drawn policy becomes `l / p̄_i`, and the shares move to the
    `p'` with

        1 / p'_i = 1 / p_i + η_i (l̂_i − λ),   λ such that Σ p' = 1.

    A policy whose `1 / p̄_i` passes its threshold gets a rate `e^{1 / ln horizon}` times higher, so
    that one that was bad at first can come back. The propensity of an arm is the sum over policies
    of the master's share times the policy's own probability: exact.

    Each policy learns from the choices that it made itself. Unlike every other bandit here the
    shares depend on the order in which rewards come, so two of them cannot be merged; a repeated
    reward is still taken in once.

    Args:
        policies: Policies by a name of yours, two or more; as objects or by their own names.
        arms: Distinct names of the arms.
        horizon: About how many decisions will be made, at least 2.
        rate: First learning rate `η`, above 0.
        context: Factors whose combinations are the cells; one cell when absent.
        seed: Salt of every draw.
        name: Name of the bandit.
        clock: Source of instants; the system's when absent.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of range.

    References:
        Agarwal, Luo, Neyshabur, Schapire (2017), Corralling a band of bandit algorithms, COLT,
        algorithms 1 and 2; Pacchiano et al. (2020), Model selection in contextual stochastic
        bandit problems, NeurIPS, for policies that learn from plain rewards.

    Examples:
        >>> from siamrec.bandits import BetaThompson, Uniform
        >>> corral = Corral(
        ...     {"thompson": BetaThompson(), "uniform": Uniform()}, ("a", "b"), horizon=1000
        ... )
        >>> decision = corral.select()
        >>> decision.propensity
        0.5
        >>> corral.learn_one(decision, 1.0)
        True
    """

    def __init__(
        self,
        policies: Mapping[str, Policy[Any] | Named],
        arms: Sequence[str],
        *,
        horizon: int,
        rate: float = 0.1,
        context: Context | None = None,
        seed: int | str = 0,
        name: str = "corral",
        clock: Clock | None = None,
    ) -> None:
        if len(policies) < 2:
            raise InvalidParameterError("policies", list(policies), "two or more policies by name")
        check.count("horizon", horizon, least=2)
        self.name, self.seed, self._horizon = name, seed, horizon
        self._clock: Clock = clock_or_system(clock)
        self._bandits = {
            key: ContextualBandit(
                policy, arms, context=context, seed=seed, name=f"{name}/{key}", clock=self._clock
            )
            for key, policy in policies.items()
        }
        n = len(policies)
        self._state = MasterState(
            share=np.full(n, 1 / n),
            rate=np.full(n, check.positive("rate", rate)),
            threshold=np.full(n, 2.0 * n),
        )
        self._made: dict[str, tuple[int, str, float]] = {}
        self._settled: set[str] = set()
        self._counter = 0

    @override
    def title(self) -> str:
        policies, arms = (
            counted(len(self._bandits), "policy", "policies"),
            counted(len(self.arms), "arm"),
        )
        return f"Corral {self.name!r} of {policies} over {arms}"

    @override
    def table(self) -> Table:
        """Return how likely each policy is to be drawn now."""
        rows = tuple(self.shares.items())
        return Table(head=("policy", "share"), rows=rows, title=self.title())

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms; an arm's code is its place here."""
        return next(iter(self._bandits.values())).arms

    @property
    def shares(self) -> dict[str, float]:
        """Probability with which each policy is drawn now."""
        return dict(zip(self._bandits, self._mixed().tolist(), strict=True))

    def select(
        self,
        context: Mapping[str, Any] | None = None,
        *,
        n: int = 1,
        unit: str | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Draw a policy, let it choose an arm, and log the decision with its exact probability.

        Raises:
            siamrec.errors.InvalidParameterError: If `n` is not 1: a list has no single policy.
        """
        if n != 1:
            raise InvalidParameterError("n", n, "1 for a corral")
        now = self._clock.now() if time is None else check.instant("time", time)
        share = self._mixed()
        id_ = f"{now:016x}-{self._counter:08x}"
        draw = uniform(id_, f"{self.seed}|{self.name}")
        chosen = min(int(np.searchsorted(share.cumsum(), draw, side="right")), share.size - 1)
        bandits = list(self._bandits.values())
        inner = bandits[chosen].select(context, unit=unit, time=now)
        chances = [bandit.probabilities(context, time=now)[inner.arm] for bandit in bandits]
        self._made[id_] = (chosen, inner.id, float(share[chosen]))
        self._counter += 1
        return replace(
            inner,
            id=id_,
            bandit=self.name,
            propensities=(float(min(1.0, (share * chances).sum())),),
            policy=f"corral/{list(self._bandits)[chosen]}",
            state_version=len(self._settled),
        )

    def select_many(
        self, contexts: Sequence[Mapping[str, Any]], *, time: Instant | None = None
    ) -> Decisions:
        """Choose one arm for each context, one after the other from one state."""
        made = [self.select(context, time=time) for context in contexts]
        any_bandit = next(iter(self._bandits.values()))
        return Decisions(
            id=np.array([decision.id for decision in made], dtype=np.str_),
            arm=np.array([self.arms.index(decision.arm) for decision in made], dtype=np.int32),
            propensity=np.array([decision.propensity for decision in made]),
            cell=any_bandit.context.cells(list(contexts)).astype(np.int32),
            time=np.array([decision.time for decision in made], dtype=np.int64),
            state_version=len(self._settled),
            arms=self.arms,
            bandit=self.name,
            policy="corral",
        )

    def learn(self, rewards: Rewards) -> int:
        """Take in rewards in [0, 1] and return how many were new.

        Raises:
            siamrec.errors.InvalidDataError: If a reward is outside [0, 1]; nothing is learned.
        """
        check.kind("rewards", rewards, Rewards)
        if len(rewards) and not (rewards.reward.min() >= 0 and rewards.reward.max() <= 1):
            raise InvalidDataError("Every reward must be in [0, 1].")
        ids, values = map(str, rewards.decision.tolist()), rewards.reward.tolist()
        return sum(map(self.learn_one, ids, values))

    def learn_one(self, decision: Decision | str, reward: float) -> bool:
        """Take in one reward of a decision or its id; return False for a repeat or a stranger."""
        if not isinstance(decision, str):
            decision = check.kind("decision", decision, Decision).id
        if decision not in self._made or decision in self._settled:
            return False
        if not 0 <= reward <= 1:
            raise InvalidDataError("Every reward must be in [0, 1].")
        chosen, inner, share = self._made[decision]
        list(self._bandits.values())[chosen].learn(inner, reward)
        loss = np.zeros(len(self._bandits))
        loss[chosen] = (1.0 - reward) / share
        self._state = _stepped(self._state, loss, self._horizon)
        self._settled.add(decision)
        return True

    def snapshot(self) -> dict[str, Any]:
        """Return the master's state and a snapshot of every policy."""
        inner = {key: bandit.snapshot() for key, bandit in self._bandits.items()}
        return {"master": self._state, "policies": inner}

    def _mixed(self) -> FloatArray:
        gamma = 1.0 / self._horizon
        mixed: FloatArray = (1 - gamma) * self._state.share + gamma / len(self._bandits)
        return mixed


def _stepped(state: MasterState, loss: FloatArray, horizon: int) -> MasterState:
    """Return the state after one loss vector: mirror descent, then rates and thresholds."""
    share = log_barrier_step(state.share, state.rate, loss)
    mixed = (1 - 1 / horizon) * share + 1 / (horizon * share.size)
    passed = 1.0 / mixed > state.threshold
    growth = math.exp(1.0 / math.log(horizon)) if horizon > 2 else math.e
    return MasterState(
        share=share,
        rate=np.where(passed, growth * state.rate, state.rate),
        threshold=np.where(passed, 2.0 / mixed, state.threshold),
    )


def log_barrier_step(share: FloatArray, rate: FloatArray, loss: FloatArray) -> FloatArray:
    """Return the shares with `1/p'_i = 1/p_i + η_i (l_i − λ)` that sum to 1.

    The sum rises with λ, from at most 1 at the least loss to at least 1 at the greatest; λ is
    found by bisection.

    Args:
        share: Shares that sum to 1, each above 0.
        rate: Learning rates, above 0.
        loss: Losses, at least 0.
    """
    low, high = float(loss.min()), float(loss.max())
    for _ in range(100):
        middle = (low + high) / 2
        inverse = 1.0 / share + rate * (loss - middle)
        # Beyond the pole the sum is infinite, not negative: λ is too great there.
        too_great = bool((inverse <= 0).any()) or float((1.0 / inverse).sum()) > 1.0
        low, high = (low, middle) if too_great else (middle, high)
    stepped = 1.0 / (1.0 / share + rate * (loss - low))
    shares: FloatArray = stepped / stepped.sum()
    return shares
