"""Proportions of several variants at once: the chi-square test of independence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec.errors import InvalidDataError
from siamrec.statistics.tails import chi_square_tail

if TYPE_CHECKING:
    from collections.abc import Mapping


def independence(events: Mapping[str, int], units: Mapping[str, int]) -> tuple[float, float]:
    """Return the p-value, and its logarithm, against "all variants have the same proportion".

        chi² = sum over variants of (events - expected)² / (expected (1 - share)),

    where share is that of all variants together and expected = units * share; k variants have
    k - 1 degrees of freedom. With two variants it is the square of the pooled z. One answer for
    all variants says that some differ, and not which: `analyze` compares each with the control.

    Args:
        events: Events of each variant, such as conversions.
        units: Units of each variant.

    Raises:
        InvalidDataError: If the variants are not the same two or more, a variant has no units,
            or a number of events is not between 0 and the units.

    References:
        Pearson (1900), Philosophical Magazine 50.

    Examples:
        >>> p, log_p = independence({"a": 10, "b": 30}, {"a": 100, "b": 100})
        >>> round(p, 6)
        0.000407
    """
    if set(events) != set(units) or len(units) < 2:
        raise InvalidDataError(
            "events and units must be of the same two variants or more, got "
            f"{sorted(events)} and {sorted(units)}."
        )
    for name, n in units.items():
        if not n > 0 or not 0 <= events[name] <= n:
            raise InvalidDataError(
                f"events must be from 0 to the units of a variant, got {events[name]} of {n} for "
                f"{name!r}."
            )
    share = sum(events.values()) / sum(units.values())
    if share in {0.0, 1.0}:
        return 1.0, 0.0
    statistic = sum(
        (events[name] - n * share) ** 2 / (n * share * (1 - share)) for name, n in units.items()
    )
    return chi_square_tail(statistic, len(units) - 1)
