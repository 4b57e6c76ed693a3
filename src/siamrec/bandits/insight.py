"""Watching a bandit, as functions of its log: shares, earnings, exploration, delays, draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check, special
from siamrec._core.table import Record, counted, number, span
from siamrec.bandits._choice import Chooser
from siamrec.bandits.log.delay import DelayCurve
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.statistics.means import UNBOUNDED, Range, mean_interval, skewness_of_mean
from siamrec.statistics.tails import log_beta_tail, positive_p

if TYPE_CHECKING:
    from siamrec.bandits.memory import Memory
    from siamrec.bandits.policies.base import Outcomes
    from siamrec.data.decisions import Decisions
    from siamrec.typing import Instant, IntArray

_ROUNDING = 1e-6
_STAKES = 0.9 * 4.0 ** -np.arange(6)
"""Shares of what one owns that are betted on inverse propensities."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class ArmShare(Record):
    """How often an arm is chosen, and whether that is more than allowed.

    Attributes:
        arm: Name of the arm.
        n: How often it was chosen.
        share: Its share of all choices.
        log_p: Logarithm of a p-value, valid at every look, against "its share is at most the
            limit".
        alarmed: Whether the p-value is below the alarm level.
    """

    arm: str
    n: int
    share: float
    log_p: float
    alarmed: bool

    @override
    def title(self) -> str:
        return f"{self.arm}: {number(self.share)} of choices{', alarmed' if self.alarmed else ''}"


def imbalance(
    arms: tuple[str, ...], counts: IntArray, *, limit: float = 0.7, alpha: float = 0.01
) -> tuple[ArmShare, ...]:
    """Return the share of every arm, with an alarm for those certainly above a limit.

    An alarm on the raw share goes on and off around the limit. This one is an e-process: the
    likelihood ratio of shares above the limit (uniformly mixed) against the limit itself,

        E = ∫_limit^1 p^S (1 - p)^(n - S) dp / ((1 - limit) limit^S (1 - limit)^(n - S)),

    whose inverse is a p-value however often one looks.

    Args:
        arms: Names of the arms.
        counts: How often each was chosen.
        limit: Greatest share that is fine, in (0, 1).
        alpha: Level of the alarm, in (0, 1).

    Raises:
        InvalidDataError: If there is not one count of at least 0 per arm.
        InvalidParameterError: If limit or alpha are outside (0, 1).

    Examples:
        >>> [share.alarmed for share in imbalance(("a", "b"), np.array([80, 20]))]
        [False, False]
        >>> [share.alarmed for share in imbalance(("a", "b"), np.array([800, 200]))]
        [True, False]
    """
    check.share("limit", limit, open_ends=True)
    check.share("alpha", alpha, open_ends=True)
    chosen = np.asarray(counts, dtype=np.float64)
    if chosen.shape != (len(arms),) or (chosen < 0).any():
        raise InvalidDataError(f"counts must hold {len(arms)} numbers of at least 0.")
    n = float(chosen.sum())
    rest = n - chosen
    tail = [
        log_beta_tail(no + 1, yes + 1, 1 - limit) for yes, no in zip(chosen, rest, strict=True)
    ]
    log_mass = special.betaln(chosen + 1, rest + 1) + np.array(tail)
    log_e = log_mass - np.log1p(-limit) - chosen * np.log(limit) - rest * np.log1p(-limit)
    log_p = np.minimum(-log_e, 0.0)
    alarm = float(np.log(alpha))
    return tuple(
        ArmShare(name, int(count), count / n if n else 0.0, float(value), value < alarm)
        for name, count, value in zip(arms, chosen.tolist(), log_p.tolist(), strict=True)
    )


@final
@dataclass(frozen=True, slots=True, repr=False)
class ArmPerformance(Record):
    """What an arm has earned at one level of a context factor.

    Attributes:
        n: Rewarded picks.
        mean: Mean reward, picks weighed by their inverse propensities.
        interval: 95 % interval of the mean, inside the range of the rewards; the whole range for
            fewer than two picks.
    """

    n: int
    mean: float
    interval: tuple[float, float]

    @override
    def title(self) -> str:
        picks = counted(self.n, "pick")
        return f"Performance {number(self.mean)} {span(*self.interval)} over {picks}"


def earned(
    level: IntArray, outcomes: Outcomes, *, within: Range = UNBOUNDED
) -> dict[tuple[int, int], ArmPerformance]:
    """Return the performance of every arm at every level that has rewards.

    The weighed mean is `sum(w r / p) / sum(w / p)`, its error that of the delta method, and its
    interval reaches further to the side of rare rewards (see `mean_interval`); where
    picks weigh differently they count as many as `(sum w / p)² / sum (w / p)²` equal ones.

    Args:
        level: Code of the level of each outcome.
        outcomes: Rewarded choices.
        within: The least and the greatest reward that there can be.
    """
    found = {}
    keys = np.stack([level, outcomes.arm], axis=1)
    for code, arm in np.unique(keys, axis=0).tolist():  # levels and arms, not outcomes
        rows = (level == code) & (outcomes.arm == arm)
        weight = outcomes.weight[rows] / outcomes.propensity[rows]
        reward, n = outcomes.reward[rows], int(rows.sum())
        total = float(weight.sum())
        mean = float((weight * reward).sum() / total) if total > 0 else 0.0
        error, alike, skewness = math.inf, 0.0, 0.0
        if n > 1 and total > 0:
            residual = weight * (reward - mean) / (total / n)
            error = float(residual.std(ddof=1)) / math.sqrt(n)
            alike = total * total / float(weight @ weight)
            skewness = skewness_of_mean(residual)
        interval = mean_interval(
            *(mean, error, alike),
            confidence=0.95,
            within=within,
            freedom=n - 1,
            skewness=skewness,
        )
        found[code, arm] = ArmPerformance(n, mean, interval)
    return found


def performance(
    memory: Memory[Any], factor: str | None = None
) -> dict[tuple[str, str], ArmPerformance]:
    """Return what each arm has earned in a bandit's log, for each level of a context factor.

    Choices are weighed by their inverse propensities, so that a mean is what the arm would
    have earned on all of the level's traffic.

    Args:
        memory: The bandit's `memory`.
        factor: Name of a factor; the whole traffic, as level "", when absent.

    Raises:
        UnknownNameError: If there is no such factor.

    Examples:
        >>> from siamrec.bandits import ContextualBandit
        >>> bandit = ContextualBandit("beta-thompson", ("a", "b"), seed=1)
        >>> decision = bandit.select()
        >>> receipt = bandit.learn(decision.id, reward=1.0)
        >>> performance(bandit.memory)["", decision.arm].mean
        1.0
    """
    ledger, context = memory.ledger, memory.context
    outcomes = ledger.outcomes(ledger.rewarded())
    labels: tuple[str, ...] = ("",)
    level = np.zeros(outcomes.arm.size, dtype=np.int64)
    if factor is not None:
        level = context.level_of(factor, outcomes.cell)
        labels = context.factors[context.names.index(factor)].labels
    found = earned(level, outcomes, within=memory.policy.reward_range)
    return {(labels[code], memory.names[arm]): value for (code, arm), value in found.items()}


def exploration(memory: Memory[Any], now: Instant) -> float:
    """Return the share of choices that would not go to the arm of greatest expected reward.

    Averaged over the contexts of a bandit's log, in its state at `now`; 0 before any decision,
    and not for policies that need features.

    Args:
        memory: The bandit's `memory`.
        now: Instant from which the log is looked at.
    """
    cells, counts = np.unique(memory.ledger.column("cell"), return_counts=True)
    if not cells.size or memory.settings.n_features:
        return 0.0
    chooser, eligible = Chooser(memory), memory.roster.eligible(None, 1)
    model = chooser.model(now)
    chance, which = chooser.chances(model, cells.astype(np.int64), eligible, None)
    mean = memory.policy.estimate(model, chooser.rounds(cells, eligible, None)).mean
    lead = np.where(eligible, mean, -np.inf).argmax(axis=1)
    return float(1.0 - np.average(chance[which, lead], weights=counts))


def delay_curve(memory: Memory[Any], now: Instant) -> DelayCurve:
    """Return how long successes take to be seen, estimated from a bandit's log.

    Picks that still wait count as long as they have waited, failures as never. To use it,
    make a bandit with `Learning(delay=curve)` and merge this one's snapshot into it.

    Args:
        memory: The bandit's `memory`.
        now: Instant up to which picks have been watched.

    Raises:
        InvalidDataError: If no success has been seen.
    """
    ledger = memory.ledger
    done = ledger.rewarded()
    success = np.zeros(ledger.n_rows, dtype=np.bool_)
    success[done] = ledger.column("reward")[done] > 0
    waited = now - ledger.column("time")
    waited[done] = np.iinfo(np.int64).max
    waited[success] = (ledger.column("reward_time") - ledger.column("time"))[success]
    return DelayCurve.estimate(np.maximum(waited, 0), success)


def calibration(decisions: Decisions, *, floor: float = 0.0) -> float:
    """Return a p-value for "choices were drawn with the logged propensities".

    Under right propensities the inverse propensity of the chosen arm has the number K of arms as
    its expectation, but it may be as rare as it is great: an arm of 1e-6 is never seen, and no
    honest log has a mean near K. So it is betted on, and what is won is the evidence,

        E = mean over stakes s of prod (1 + s (1 / (K p) - 1)),   p-value = min(1, 1 / E),

    which is right for every number of rows, whatever the propensities are and the policy learns.
    Stakes below 0 are possible only if `1 / p` has a bound: without a floor, propensities are
    found wrong that are too low for what was chosen, with one also those that are too high.

    Args:
        decisions: Decisions whose eligible arms are all arms of the batch.
        floor: Least propensity that an eligible arm can have, as in `Limits`; at most 1 / K.

    Raises:
        InvalidDataError: If there are fewer than 2 rows, or a propensity is below the floor.
        InvalidParameterError: If the floor is not in [0, 1 / K].

    References:
        Waudby-Smith and Ramdas (2024), JRSS B 86(1): betting on the mean of bounded variables.
    """
    if len(decisions) < 2:
        raise InvalidDataError("decisions must hold 2 rows or more.")
    n_arms = len(decisions.arms)
    if not 0 <= floor <= 1 / n_arms + _ROUNDING:
        raise InvalidParameterError("floor", floor, f"in [0, {1 / n_arms:.4g}], 1 / arms")
    least = float(decisions.propensity.min())
    if least < floor * (1 - _ROUNDING):
        raise InvalidDataError(f"propensity must be at least the floor {floor:g}, got {least:g}.")
    gain = 1 / (n_arms * decisions.propensity) - 1
    stakes = _STAKES
    if floor > 0:
        most = 1 / (n_arms * floor) - 1
        stakes = np.concatenate([stakes, -stakes / max(most, 1.0)])
    log_e = np.log1p(np.outer(stakes, gain)).sum(axis=1)
    log_mean = float(special.logsumexp(log_e)) - math.log(stakes.size)
    return positive_p(min(-log_mean, 0.0))[0]
