"""Whether the numbers can be believed: the sample ratio."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError, shown
from siamrec.experiments.analysis.report import SampleRatio
from siamrec.statistics.tails import chi_square_tail, positive_p

if TYPE_CHECKING:
    from collections.abc import Mapping


def sample_ratio(
    observed: Mapping[str, int], shares: Mapping[str, float] | None = None
) -> SampleRatio:
    """Test whether the numbers of units fit the planned shares.

        chi² = sum (observed - expected)² / expected,   variants of share above 0 less 1 d.o.f.

    A small p-value says that assignment, logging or filtering treats variants differently; the
    effects are then not to be believed, whatever they are. Units in a variant whose share is 0
    make p the least positive number.

    Args:
        observed: Units of each variant.
        shares: Planned shares; even when absent.

    Raises:
        InvalidDataError: If there is no unit, a count is negative or not finite, or the shares
            sum to 0.
        InvalidParameterError: If a share is negative or not finite.
        UnknownNameError: If a variant has no planned share.

    References:
        Fabijan et al. (2019), KDD: diagnosing sample ratio mismatch.

    Examples:
        >>> round(sample_ratio({"control": 5000, "new": 5200}).p, 4)
        0.0477
    """
    wanted = dict.fromkeys(observed, 1.0) if shares is None else dict(shares)
    for name in observed:
        if name not in wanted:
            raise UnknownNameError("variant in the planned shares", name, wanted)
    check_counts("observed", observed)
    if shares is not None and any(
        not (math.isfinite(share) and share >= 0) for share in wanted.values()
    ):
        raise InvalidParameterError("shares", wanted, "finite shares of 0 or more")
    total = sum(observed.values())
    scale = sum(wanted.values())
    if total <= 0 or scale <= 0:
        raise InvalidDataError("A sample ratio must have at least one unit and one share above 0.")
    expected = {name: total * share / scale for name, share in wanted.items()}
    known = [name for name, share in wanted.items() if share > 0]
    stray = sum(observed.get(name, 0) for name, share in wanted.items() if share == 0)
    if stray:
        p, log_p = positive_p(-np.inf)
        return SampleRatio(observed=dict(observed), expected=expected, p=p, log_p=log_p)
    distance = sum(
        (observed.get(name, 0) - expected[name]) ** 2 / expected[name] for name in known
    )
    p, log_p = chi_square_tail(distance, len(known) - 1)
    return SampleRatio(observed=dict(observed), expected=expected, p=p, log_p=log_p)


def sample_ratio_within(
    observed: Mapping[str, Mapping[str, int]],
    shares: Mapping[str, float] | None = None,
    stratum_shares: Mapping[str, Mapping[str, float]] | None = None,
) -> SampleRatio:
    """Test the sample ratio within strata: chi² and degrees of freedom add.

    Args:
        observed: Units of each variant in each stratum.
        shares: Planned shares in every stratum; even when absent.
        stratum_shares: Planned shares of strata that have their own.

    Raises:
        InvalidDataError: If a stratum has no unit, or a count is negative or not finite.
        InvalidParameterError: If a share is negative or not finite.
        UnknownNameError: If a variant has no planned share.
    """
    if len(observed) == 1:
        ((stratum, counts),) = observed.items()
        return sample_ratio(counts, (stratum_shares or {}).get(stratum, shares))
    names = sorted({name for counts in observed.values() for name in counts})
    parts = []
    for stratum, counts in observed.items():
        own = (stratum_shares or {}).get(stratum, shares)
        whole = {name: counts.get(name, 0) for name in names} if own is None else dict(counts)
        parts.append((sample_ratio(whole, own), own))
    statistic, freedom, stray = 0.0, 0, False
    for part, _ in parts:
        live = [name for name, size in part.expected.items() if size > 0]
        stray |= any(n for name, n in part.observed.items() if name not in live)
        statistic += sum(
            (part.observed.get(name, 0) - part.expected[name]) ** 2 / part.expected[name]
            for name in live
        )
        freedom += len(live) - 1
    p, log_p = positive_p(-np.inf) if stray else chi_square_tail(statistic, freedom)
    return SampleRatio(
        observed={n: sum(part.observed.get(n, 0) for part, _ in parts) for n in names},
        expected={n: sum(part.expected.get(n, 0.0) for part, _ in parts) for n in names},
        p=p,
        log_p=log_p,
    )


def check_counts(name: str, counts: Mapping[str, float]) -> None:
    """Refuse counts that are none.

    Raises:
        InvalidDataError: If one is negative or not finite.
    """
    for key, value in counts.items():
        if not (math.isfinite(value) and value >= 0):
            raise InvalidDataError(
                f"{name} must hold finite counts of 0 or more, got {shown(value)} for "
                f"{shown(key)}."
            )
