"""Estimators that reweigh the logged rewards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.bandits.ope.base import Estimator
from siamrec.bandits.ope.estimate import Parts
from siamrec.errors import InvalidDataError, MissingInputError

if TYPE_CHECKING:
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IPS(Estimator):
    """Inverse propensity scoring: `mean(w r)`; with `clip` L, `mean(min(w, L) r)`.

    Unbiased without a clip, when the log supports the target.

    Args:
        clip: Greatest weight; none when absent.

    Raises:
        InvalidParameterError: If the clip is not above 0.

    References:
        Horvitz and Thompson (1952), JASA 47.

    Examples:
        >>> from siamrec.bandits.ope import Log
        >>> log = Log(action=np.arange(100) % 2, reward=np.arange(100) % 2,
        ...           propensity=np.full(100, 0.5))
        >>> round(IPS().estimate(log, np.where(log.action == 1, 0.9, 0.1)).value, 3)
        0.9
    """

    clip: float | None = None

    def __post_init__(self) -> None:
        if self.clip is not None:
            check.positive("clip", self.clip)

    @property
    @override
    def name(self) -> str:
        return "ips" if self.clip is None else f"ips (clip {self.clip:g})"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        weights = log.weights(target)
        if self.clip is None:
            return _mean_of(weights * log.reward)
        return _mean_of(np.minimum(weights, self.clip) * log.reward, weights * log.reward)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SNIPS(Estimator):
    """Self-normalised IPS: `sum(w r) / sum(w)`.

    A little bias for much less variance; adding a constant to every reward adds it to the
    estimate, and a constant reward is estimated exactly.

    References:
        Swaminathan and Joachims (2015), NeurIPS.
    """

    @property
    @override
    def name(self) -> str:
        return "snips"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        weights = log.weights(target)
        return Parts(base=np.zeros(len(log)), top=weights * log.reward, below=weights)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SubGaussian(Estimator):
    """IPS with weights `w / (1 - s + s w)`, which bounds them by `1 / s`.

    Args:
        shrinkage: s in [0, 1]: 0 is IPS, 1 ignores the weights.

    Raises:
        InvalidParameterError: If it is outside [0, 1].

    References:
        Metelli, Russo, Restelli (2021), NeurIPS.
    """

    shrinkage: float = 0.1

    def __post_init__(self) -> None:
        check.share("shrinkage", self.shrinkage)

    @property
    @override
    def name(self) -> str:
        return "sub-gaussian"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        weights = log.weights(target)
        shrunk = weights / (1 - self.shrinkage + self.shrinkage * weights)
        return _mean_of(shrunk * log.reward, weights * log.reward)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Estimator):
    """Mean reward of the rows in which a deterministic target agrees with a uniform log.

    Raises in `parts` if the target is not deterministic or the log not uniform.

    References:
        Li, Chu, Langford, Wang (2011), WSDM.
    """

    @property
    @override
    def name(self) -> str:
        return "replay"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        chosen = log.chosen(target)
        if not np.isin(chosen, (0.0, 1.0)).all():
            raise InvalidDataError("replay must have a target of probabilities 0 and 1.")
        if np.ptp(log.propensity) > 1e-9:
            raise InvalidDataError("replay must have a log of equal propensities.")
        return Parts(base=np.zeros(len(log)), top=chosen * log.reward, below=chosen)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class MIPS(Estimator):
    """IPS over groups of actions: `mean(w_e r)`, `w_e = P_target(group) / P_log(group)`.

    Far less variance with many actions; unbiased if actions matter only through their group,
    which neither the estimate nor its interval can tell.

    Args:
        groups: Group of each action, whole numbers from 0.

    References:
        Saito and Joachims (2022), ICML.
    """

    groups: tuple[int, ...]

    def __post_init__(self) -> None:
        for group in check.many("groups", self.groups, what="groups"):
            check.count("groups", group, least=0)

    @property
    @override
    def name(self) -> str:
        return "marginalised ips"

    @override
    def parts(self, log: Log, target: FloatArray) -> Parts:
        return _mean_of(self.weights(log, target) * log.reward)

    @override
    def weights(self, log: Log, target: FloatArray) -> FloatArray:
        if log.logging is None:
            raise MissingInputError("the whole logging distribution", "Log(..., logging=...)")
        groups: IntArray = np.asarray(self.groups, dtype=np.int64)
        if groups.size != log.n_actions:
            raise InvalidDataError(f"groups must hold {log.n_actions} entries, got {groups.size}.")
        member = (groups[:, None] == np.arange(groups.max() + 1)).astype(float)
        rows, group = np.arange(len(log)), groups[log.action]
        top = (log.distribution(target) @ member)[rows, group]
        below = (log.logging @ member)[rows, group]
        shares: FloatArray = top / below
        return shares


def _mean_of(values: FloatArray, whole: FloatArray | None = None) -> Parts:
    """Return the parts of a mean of weighted rewards, which ought to be the mean of others."""
    rest = None if whole is None else whole - values
    return Parts(base=np.zeros(values.size), top=values, below=np.ones(values.size), rest=rest)
