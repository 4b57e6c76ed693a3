"""Whether a list has the categories that a user's past has, in the same proportions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.metrics.base import UNIT, Metric
from siamrec.metrics.families.topics import distribution

if TYPE_CHECKING:
    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Miscalibration(Metric):
    """Divergence of the categories of a list from those of the user's history; 0 is calibrated.

    With `p` the distribution of the history and `q` that of the list, `"kl"` is
    `sum p log(p / q~)` in nats with `q~ = (1 - alpha) q + alpha p`; `"jsd"` is the Jensen-Shannon
    divergence in bits, `"hellinger"` the Hellinger distance, both without smoothing and in [0, 1].
    NaN for a user without a list or without a history.

    Args:
        k: Cut-off; without it, whole lists.
        divergence: Which one.
        alpha: Smoothing of `"kl"`, in (0, 1).

    References:
        Steck (2018), "Calibrated recommendations", RecSys.
    """

    stem: ClassVar[str] = "miscalibration"
    needs: ClassVar[frozenset[str]] = frozenset({"categories", "history"})

    k: int | None = None
    divergence: Literal["kl", "jsd", "hellinger"] = "kl"
    alpha: float = 0.01

    @override
    def _check(self) -> None:
        check.one_of("divergence", self.divergence, ("kl", "jsd", "hellinger"))
        check.share("alpha", self.alpha, open_ends=True)

    @property
    @override
    def range(self) -> Range:
        return (0.0, -float(np.log(self.alpha))) if self.divergence == "kl" else UNIT

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        member = view.of_item.categories[1]
        past = distribution(view.sum_rows(view.history, member))
        shown = distribution(view.sum_rows(view.listed(self.k), member))
        # without any category nothing is known either
        undefined = np.isnan(past).all(axis=1) | np.isnan(shown).all(axis=1)
        past, shown = np.nan_to_num(past), np.nan_to_num(shown)
        if self.divergence == "kl":
            value = _relative(past, (1 - self.alpha) * shown + self.alpha * past)
        elif self.divergence == "jsd":
            middle = (past + shown) / 2
            value = (_relative(past, middle) + _relative(shown, middle)) / (2 * np.log(2))
        else:
            value = np.sqrt(((np.sqrt(past) - np.sqrt(shown)) ** 2).sum(axis=1) / 2)
        return np.where(undefined, np.nan, np.maximum(value, 0.0))


def _relative(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return `sum first log(first / second)` of each row; terms of `first = 0` are 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total: FloatArray = np.where(first > 0, first * np.log(first / second), 0.0).sum(axis=1)
    return total
