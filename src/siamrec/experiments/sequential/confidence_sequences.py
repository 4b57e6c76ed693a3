"""Rules that may be looked at as often as one likes: intervals that hold at all times at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.recipe import Recipe
from siamrec.statistics.sequences import mixture_log_e, mixture_reach, tightest_at


class Sequence(Recipe, ABC):
    """A way to widen intervals so that continuous looking keeps the error rate.

    A rule works on the estimate in units of its standard error, z = estimate / s.e., at
    information `n` (all units of the compared variants together). Its interval is
    estimate ± `multiplier` s.e., its p-value is 1 / e-value of z or a repeated one.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    @property
    @abstractmethod
    def name(self) -> str:
        """Name for reports."""

    @property
    @abstractmethod
    def planned_units(self) -> float | None:
        """Units of both variants after which looking on is not planned; None for no end."""

    @abstractmethod
    def multiplier(self, n: float, alpha: float) -> float:
        """Return how many standard errors the interval reaches to each side."""

    @abstractmethod
    def log_p(self, z: float, n: float, alpha: float) -> float:
        """Return the logarithm of a p-value that holds at every look.

        Args:
            z: Estimate in standard errors.
            n: Units of both variants.
            alpha: The error rate of the design, which tunes the rule; fixed beforehand.
        """


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class AsymptoticCS(Sequence):
    """Asymptotic confidence sequence of a Gaussian mixture.

    With N units and mixture precision rho² the interval is

        estimate ± s.e. sqrt( 2 (N rho² + 1) / (N rho²) · ln( sqrt(N rho² + 1) / alpha ) ),

    and rho² = (-2 ln alpha + ln(1 - 2 ln alpha)) / planned makes it tightest at `planned`.

    Args:
        planned: Number of units of both variants at which the interval is tightest.

    Raises:
        InvalidParameterError: If it is not above 0.

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Annals of Statistics 52,
        arXiv:2103.06476, theorem 2.2 and appendix B.

    Examples:
        >>> round(AsymptoticCS(planned=10_000).multiplier(10_000, 0.05), 3)
        3.035
    """

    planned: float

    def __post_init__(self) -> None:
        check.positive("planned", self.planned)

    @property
    @override
    def planned_units(self) -> float | None:
        return self.planned

    @property
    @override
    def name(self) -> str:
        return "asymptotic confidence sequence"

    @override
    def multiplier(self, n: float, alpha: float) -> float:
        return mixture_reach(n * tightest_at(self.planned, alpha), alpha)

    @override
    def log_p(self, z: float, n: float, alpha: float) -> float:
        return min(-self.log_e(z, n, alpha), 0.0)

    def log_e(self, z: float, n: float, alpha: float) -> float:
        """Return the logarithm of the e-value; its arguments are those of `log_p`."""
        return mixture_log_e(z, n * tightest_at(self.planned, alpha))


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NormalMixture(Sequence):
    """Mixture sequential ratio test with a normal mixture over the effect.

    The mixture is tuned through the effect size it is best for: a normal with deviation
    `effect` (in outcome deviations of one unit) over the standardised effect,

        e = (1 + N tau²)^(-1/2) exp( z² N tau² / (2 (1 + N tau²)) ),   tau = effect / 2,

    where z / sqrt(N) estimates the effect over twice the deviation in an even split.

    Args:
        effect: Expected size of the effect, in standard deviations of the outcome.

    Raises:
        InvalidParameterError: If it is not above 0.

    References:
        Robbins (1970), Annals of Mathematical Statistics 41; Johari, Koomen, Pekelis, Walsh
        (2022), Operations Research 70.
    """

    effect: float

    def __post_init__(self) -> None:
        check.positive("effect", self.effect)

    @property
    @override
    def planned_units(self) -> float | None:
        return None

    @property
    @override
    def name(self) -> str:
        return "mixture sequential ratio test"

    @override
    def multiplier(self, n: float, alpha: float) -> float:
        return mixture_reach(n * (self.effect / 2) ** 2, alpha)

    @override
    def log_p(self, z: float, n: float, alpha: float) -> float:
        return min(-self.log_e(z, n), 0.0)

    def log_e(self, z: float, n: float) -> float:
        """Return the logarithm of the e-value of z standard errors at n units."""
        return mixture_log_e(z, n * (self.effect / 2) ** 2)
