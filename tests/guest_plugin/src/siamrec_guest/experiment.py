"""A hasher of units and a looking rule."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import final

from scipy import special
from typing_extensions import override

from siamrec._core import check
from siamrec.experiments.assignment import HashRecipe
from siamrec.experiments.sequential import Sequence as LookingRule


@final
@dataclass(frozen=True, slots=True)
class Sha256(HashRecipe):
    """The first 53 bits of the SHA-256 of salt and unit."""

    @override
    def __call__(self, unit: str, salt: str) -> float:
        digest = hashlib.sha256(f"{salt}/{unit}".encode()).digest()
        return (int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ManyLooks(LookingRule):
    """Share the error rate evenly among a number of looks.

    Args:
        planned: Units of both variants at the last look.
        looks: Number of looks.
    """

    planned: float
    looks: int = 5

    def __post_init__(self) -> None:
        check.positive("planned", self.planned)
        check.count("looks", self.looks)

    @property
    @override
    def name(self) -> str:
        return "many looks"

    @property
    @override
    def planned_units(self) -> float | None:
        return self.planned

    @override
    def multiplier(self, n: float, alpha: float) -> float:
        return float(-special.ndtri(alpha / self.looks / 2))

    @override
    def log_p(self, z: float, n: float, alpha: float) -> float:
        log_p = math.log(2 * self.looks) + float(special.log_ndtr(-abs(z)))
        return min(log_p, 0.0)
