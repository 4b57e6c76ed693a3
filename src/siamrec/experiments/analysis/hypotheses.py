"""Hypotheses other than "no difference": one-sided, non-inferior, equivalent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from siamrec._core import check
from siamrec.errors import InvalidDataError, shown
from siamrec.statistics.tails import deviate_of_t, one_sided_z

if TYPE_CHECKING:
    from siamrec.statistics.effect import Effect


def one_sided(
    effect: Effect, *, better: Literal["higher", "lower"] = "higher", margin: float = 0.0
) -> tuple[float, float]:
    """Return the p-value, and its logarithm, against "not better than `-margin`".

    With margin 0 it is the one-sided test of superiority; with a margin above 0 the test of
    non-inferiority: a small p-value says that the treatment is worse by less than the margin.
    `Comparison.safe` asks for a p-value below alpha / 2: it goes by the interval at alpha.

    Args:
        effect: A fixed-horizon effect, such as `Comparison.fixed`; Student's distribution has
            its degrees of freedom. One without an error says nothing, and p is 1.
        better: Which direction is an improvement.
        margin: In the unit of the effect, at least 0.

    Raises:
        InvalidDataError: If the effect is that of a looking rule: this test is read once.
        InvalidParameterError: If the margin is below 0.
        UnknownNameError: If the direction is not known.

    Examples:
        >>> from siamrec.statistics import Effect
        >>> effect = Effect(estimate=-0.5, interval=(-1.5, 0.5), p=0.3, log_p=-1.2, error=0.5,
        ...                 rule="")
        >>> round(one_sided(effect, margin=1.5)[0], 4)
        0.0228
    """
    check.one_of("better", better, ("higher", "lower"))
    check.not_negative("margin", margin)
    if effect.anytime:
        raise InvalidDataError(
            "The effect must be one of a fixed horizon (Comparison.fixed), got "
            f"{shown(effect.rule)}."
        )
    lead = (effect.estimate if better == "higher" else -effect.estimate) + margin
    if effect.error == 0:
        return 1.0, 0.0
    deviate = deviate_of_t(lead / effect.error, effect.freedom)
    return one_sided_z(deviate)


def equivalence(effect: Effect, *, margin: float) -> tuple[float, float]:
    """Return the p-value, and its logarithm, against "they differ by the margin or more".

    Two one-sided tests: a small p-value says that the difference lies within the margin on both
    sides.

    Args:
        effect: A fixed-horizon effect, such as `Comparison.fixed`.
        margin: In the unit of the effect, above 0.

    Raises:
        InvalidDataError: If the effect is that of a looking rule: this test is read once.
        InvalidParameterError: If the margin is not above 0.

    References:
        Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15.
    """
    check.positive("margin", margin)
    sides = (
        one_sided(effect, better="higher", margin=margin),
        one_sided(effect, better="lower", margin=margin),
    )
    return max(sides, key=lambda side: side[1])
