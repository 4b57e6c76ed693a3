"""Several estimators side by side, tuning without state, logs of a policy that learned."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Shown, Table
from siamrec.bandits.ope._book import ESTIMATORS
from siamrec.bandits.ope.base import Estimator
from siamrec.bandits.ope.estimate import (
    Parts,
    ValueEstimate,
    diagnose,
    effective_size,
    error_of,
    held,
)
from siamrec.bandits.ope.robust import DirectMethod, DoublyRobust
from siamrec.bandits.ope.weighting import IPS, SNIPS
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.statistics.means import mean_interval, skewness_of_mean
from siamrec.statistics.tails import normal_reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec._core.book import Named
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(Shown):
    """Estimates of one target by several estimators.

    Attributes:
        estimates: The estimate of each, by the estimator's name.
        asked: The estimator's name of each name that was asked for, such as `"dr"`.
    """

    estimates: Mapping[str, ValueEstimate]
    asked: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ValueEstimate:
        """Return the estimate of one estimator, by its name or by that which was asked for.

        Raises:
            UnknownNameError: If there is none of that name.
        """
        own = self.asked.get(name, name)
        if own not in self.estimates:
            raise UnknownNameError("estimator", name, (*self.estimates, *self.asked))
        return self.estimates[own]

    @property
    def supported(self) -> bool:
        """Whether the log supports the target."""
        return all(each.diagnostics.supported for each in self.estimates.values())

    @override
    def title(self) -> str:
        told = "" if self.supported else ", withheld: the log does not support the target"
        return f"Evaluation by {', '.join(self.estimates)}{told}"

    @override
    def table(self) -> Table:
        """Return one row for each estimator; values that the log cannot support are withheld."""
        rows = (
            (name, found.raw, found.interval) if self.supported else (name, "withheld", None)
            for name, found in self.estimates.items()
        )
        one = next(iter(self.estimates.values())).diagnostics
        notes = (f"{one.title()}.", *one.warnings)
        head = ("estimator", "value", "interval")
        return Table(head=head, rows=tuple(rows), title=self.title(), notes=notes)


def evaluate(
    log: Log,
    target: FloatArray,
    *,
    estimators: Sequence[Estimator | Named] | None = None,
    confidence: float = 0.95,
) -> Evaluation:
    """Estimate a target's expected reward in several ways.

    Args:
        log: The log.
        target: As for `Estimator.estimate`.
        estimators: Which, as objects or by name, such as `["ips", "switch-dr:tau=5"]`; IPS and
            SNIPS, and with a whole distribution also the direct method and doubly robust,
            when absent.
        confidence: Level of the intervals, in (0, 1).

    Examples:
        >>> from siamrec.bandits.ope import Log
        >>> log = Log(action=np.arange(200) % 2, reward=np.arange(200) % 2,
        ...           propensity=np.full(200, 0.5))
        >>> round(evaluate(log, np.full((200, 2), 0.5))["snips"].value, 3)
        0.5
    """
    if estimators is None:
        whole = np.asarray(target).ndim == 2
        models: tuple[Estimator, ...] = (DirectMethod(), DoublyRobust()) if whole else ()
        estimators = (IPS(), SNIPS(), *models)
    if isinstance(estimators, str):
        raise InvalidParameterError("estimators", estimators, "a list of estimators")
    chosen = [ESTIMATORS.make(each) for each in estimators]
    return Evaluation(
        {each.name: each.estimate(log, target, confidence=confidence) for each in chosen},
        {
            asked: made.name
            for asked, made in zip(estimators, chosen, strict=True)
            if isinstance(asked, str)
        },
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Slope(Estimator):
    """The estimator among candidates that Lepski's principle picks, without any state.

    Candidates are sorted by the width of their intervals, widest (least biased) first; going on
    is safe while every interval, widened, meets all earlier ones:
    `|v_i - v_j| <= c_i + (sqrt 6 - 1) c_j`. The last safe one is taken.

    Args:
        candidates: Estimators of one family, such as `IPS` with several clips.

    References:
        Su, Srinath, Krishnamurthy (2020), ICML: adaptive estimator selection.
    """

    candidates: tuple[Estimator | Named, ...]

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InvalidDataError("candidates must hold at least one estimator.")
        object.__setattr__(self, "candidates", self._made())

    @property
    @override
    def name(self) -> str:
        return "slope"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        return self.pick(log, target).parts(log, target)

    def _made(self) -> tuple[Estimator, ...]:
        return tuple(ESTIMATORS.make(each) for each in self.candidates)

    def pick(self, log: Log, target: FloatArray, *, confidence: float = 0.95) -> Estimator:
        """Return the candidate that would be used."""
        found = []
        for candidate in self._made():
            parts = candidate.parts(log, target)
            reach = normal_reach((1 - confidence) / len(self.candidates)) * error_of(parts)
            found.append((reach, parts.value(), candidate))
        found.sort(key=lambda each: -each[0])
        slack = np.sqrt(6.0) - 1.0
        safe = 0
        for place, (reach, value, _) in enumerate(found):
            if any(abs(value - other) > reach + slack * wide for wide, other, _ in found[:place]):
                break
            safe = place
        return found[safe][2]


def adaptive_value(log: Log, target: FloatArray, *, confidence: float = 0.95) -> ValueEstimate:
    """Return the value of a policy from a log whose policy learned as it went.

    Plain averages of a bandit's arms are biased (an arm that starts badly is not tried again),
    and their t intervals do not cover. Here every row gets a doubly robust score with a model
    of the rows before it, and rows are weighted by the inverse square root of their variance
    proxy, which makes the studentised mean normal:

        psi_t = sum_a pi(a) q_t(a) + w_t (r_t - q_t(a_t)),   h_t = (sum_a pi(a)² / p_t(a))^(-1/2)
        value = sum h psi / sum h.

    Args:
        log: The log in time order, with `logging`, the whole distribution of each round.
        target: The target's distribution, shape `(n, n_actions)`.
        confidence: Level of the interval, in (0, 1).

    Raises:
        MissingInputError: If the log has no `logging`.

    References:
        Hadad, Hirshberg, Zhan, Wager, Athey (2021), PNAS 118; Zhan, Hadad, Hirshberg, Athey
        (2021), KDD.
    """
    wanted = log.distribution(target)
    if log.logging is None:
        raise MissingInputError("the whole logging distribution", "Log(..., logging=...)")
    rows = np.arange(len(log))
    past = _past_means(log)
    weights = log.weights(wanted)
    score = (wanted * past).sum(axis=1) + weights * (log.reward - past[rows, log.action])
    ratio = np.divide(wanted**2, log.logging, out=np.zeros_like(wanted), where=wanted > 0)
    share = 1.0 / np.sqrt(ratio.sum(axis=1))
    parts = Parts(base=np.zeros(len(log)), top=share * score, below=share)
    value = held(parts.value(), log.reward_range)
    away = share * (score - parts.value())
    error = float(np.sqrt(away @ away) / share.sum())
    interval = mean_interval(
        value,
        error,
        effective_size(weights),
        confidence=check.share("confidence", confidence, open_ends=True),
        within=log.reward_range,
        freedom=math.inf,
        skewness=skewness_of_mean(away),
    )
    return ValueEstimate(
        estimator="adaptively weighted doubly robust",
        raw=value,
        interval=interval,
        error=error,
        diagnostics=diagnose(weights, log.reward),
    )


def _past_means(log: Log) -> FloatArray:
    """Return, for each row, the mean reward of each action in the rows before."""
    n, n_actions = len(log), log.n_actions or 0
    seen = np.zeros((n + 1, n_actions))
    total = np.zeros((n + 1, n_actions))
    seen[np.arange(1, n + 1), log.action] = 1.0
    total[np.arange(1, n + 1), log.action] = log.reward
    counts = np.cumsum(seen, axis=0)[:-1]
    sums = np.cumsum(total, axis=0)[:-1]
    before = np.arange(n)
    overall = np.divide(sums.sum(axis=1), before, out=np.zeros(n), where=before > 0)
    means: FloatArray = (sums + overall[:, None]) / (counts + 1.0)
    return means
