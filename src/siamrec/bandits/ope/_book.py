"""The names of off-policy estimators."""

from __future__ import annotations

from siamrec._core.book import Book
from siamrec.bandits.ope.base import Estimator

_HERE = "siamrec.bandits.ope"

ESTIMATORS: Book[Estimator] = Book(
    "estimator",
    {
        "dm": f"{_HERE}.robust:DirectMethod",
        "dr": f"{_HERE}.robust:DoublyRobust",
        "dros": f"{_HERE}.robust:DRos",
        "ips": f"{_HERE}.weighting:IPS",
        "mips": f"{_HERE}.weighting:MIPS",
        "mrdr": f"{_HERE}.robust:MRDR",
        "replay": f"{_HERE}.weighting:Replay",
        "slope": f"{_HERE}.evaluation:Slope",
        "snips": f"{_HERE}.weighting:SNIPS",
        "sub-gaussian": f"{_HERE}.weighting:SubGaussian",
        "switch-dr": f"{_HERE}.robust:SwitchDR",
    },
    contract=Estimator,
    recipes=Estimator,
)
"""Every estimator by name."""
