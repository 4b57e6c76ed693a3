"""Boundaries of confidence sequences: how far to reach so that one may look at any time."""

from __future__ import annotations

import numpy as np


def mixture_reach(information: float, alpha: float) -> float:
    """Return how many standard errors an interval reaches that holds at every look.

    For a Gaussian mixture over the effect, with s the information (units times the precision of
    the mixture),

        reach = sqrt( 2 (s + 1) / s · ln( sqrt(s + 1) / alpha ) ).

    Args:
        information: s, above 0.
        alpha: One less the coverage, in (0, 1).

    References:
        Robbins (1970), Annals of Mathematical Statistics 41; Waudby-Smith, Arbour, Sinha,
        Kennedy, Ramdas (2024), Annals of Statistics 52, arXiv:2103.06476, theorem 2.2.

    Examples:
        >>> round(mixture_reach(1.0, 0.05), 3)
        3.656
    """
    s = information
    return float(np.sqrt(2 * (s + 1) / s * (0.5 * np.log1p(s) - np.log(alpha))))


def mixture_log_e(z: float, information: float) -> float:
    """Return the logarithm of the e-value of z standard errors: `mixture_reach` turned round.

        e = (1 + s)^(-1/2) exp( z² s / (2 (1 + s)) )

    Examples:
        >>> round(mixture_log_e(mixture_reach(1.0, 0.05), 1.0), 4), round(float(np.log(20)), 4)
        (2.9957, 2.9957)
    """
    s = information
    return float(0.5 * z * z * s / (s + 1) - 0.5 * np.log1p(s))


def tightest_at(planned: float, alpha: float) -> float:
    """Return the precision of the mixture, per unit, whose interval is tightest at `planned`.

        rho² = (-2 ln alpha + ln(1 - 2 ln alpha)) / planned

    References:
        Waudby-Smith et al. (2024), Annals of Statistics 52, appendix B.
    """
    return float((-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / planned)
