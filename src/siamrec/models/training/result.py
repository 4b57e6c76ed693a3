"""What a fine-tuning gives back: the encoder, the evidence, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record
from siamrec.statistics.means import UNBOUNDED, Range, paired_difference

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import FloatArray

EventKind: TypeAlias = Literal["start", "step", "evaluation", "mining", "choice", "warning", "end"]


@final
@dataclass(frozen=True, slots=True, repr=False)
class TrainingEvent(Record):
    """Something that happened while training; for progress bars and logs.

    Args:
        kind: `"start"`, `"step"`, `"evaluation"`, `"mining"`, `"choice"`, `"warning"` or
            `"end"`.
        step: Steps done.
        total: Steps planned.
        loss: Mean loss since the last event, where there is one.
        metrics: Measured values, where there are any.
        message: What happened, in words.
    """

    kind: EventKind
    step: int
    total: int
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    message: str = ""

    @override
    def title(self) -> str:
        return f"{self.kind} {self.step} of {self.total}: {self.message}"


@final
@dataclass(frozen=True, slots=True, repr=False)
class EncoderComparison(Record):
    """A paired difference of one metric over the same users, with its 95 % interval.

    Args:
        metric: Name of the metric.
        base: Mean before.
        tuned: Mean after.
        difference: Mean of the differences.
        low: Lower end of the interval; that of the range below two users.
        high: Upper end of the interval; that of the range below two users.
        n: Users compared.
    """

    metric: str
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    n: int

    @classmethod
    def of(
        cls,
        metric: str,
        base: FloatArray,
        tuned: FloatArray,
        *,
        within: Range = UNBOUNDED,
    ) -> EncoderComparison:
        """Return the comparison of two columns; users without a value in one are left out.

        Args:
            metric: Name of the metric.
            base: Value of each user before.
            tuned: Value of each user after.
            within: The least and the greatest difference: see
                `siamrec.statistics.paired_difference`, which makes the interval.
        """
        both = np.isfinite(base) & np.isfinite(tuned)
        before, after = base[both], tuned[both]
        n = int(both.sum())
        if not n:
            nan = float("nan")
            return cls(metric, nan, nan, nan, *within, 0)
        found = paired_difference(after, before, within=within)
        means = float(before.mean()), float(after.mean())
        return cls(metric, *means, found.mean, found.low, found.high, n)

    @override
    def title(self) -> str:
        return (
            f"{self.metric}: {self.base:.4f} -> {self.tuned:.4f}, difference "
            f"{self.difference:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {self.n} users"
        )


@final
@dataclass(frozen=True, slots=True, repr=False)
class Verdict(Record):
    """Whether the tuned encoder should replace the base, and why.

    Args:
        ship: Whether it should.
        reasons: One sentence for each thing that counted.
    """

    ship: bool
    reasons: tuple[str, ...]

    @override
    def title(self) -> str:
        return "; ".join(("ship" if self.ship else "do not ship", *self.reasons))


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FineTuneResult(Record):
    """A tuned encoder with its evidence.

    Args:
        encoder: The tuned encoder.
        verdict: Ship or do not ship, with reasons.
        metrics: Means on validation by name, of the encoder that is returned: `ndcg@10`,
            `base_ndcg@10`, `popularity_ndcg@10`; general skill as `retention_base`,
            `retention_tuned` and, where one is asked for, `retention_floor`; and with hidden
            texts `cold_ndcg@10`, `base_cold_ndcg@10`. Where an adapter was trained once more with
            the hidden texts, `cold_ndcg@10` is that of the head before; the verdict and the card
            (`measured_before_refit`) say so.
        comparisons: Paired differences to the base on validation, by metric.
        beside: Paired differences to other rankings: to `"popularity"` on texts with feedback, and
            to the version in use, by metric, as `"previous_ndcg@10"`.
        history: One entry for each evaluation: step, loss and metrics.
        card: Lineage and settings as JSON values.
        path: Folder where it was saved, if it was.
    """

    encoder: SiameseEncoder
    verdict: Verdict
    metrics: Mapping[str, float]
    comparisons: Mapping[str, EncoderComparison]
    beside: Mapping[str, EncoderComparison]
    history: tuple[Mapping[str, float], ...]
    card: Mapping[str, Any]
    path: Path | None = None

    @override
    def title(self) -> str:
        return f"Fine-tuning of {self.card.get('parent', 'an encoder')}: {self.verdict.title()}"
