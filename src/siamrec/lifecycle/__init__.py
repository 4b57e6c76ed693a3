"""The lifecycle: one loop that ties every room together, and the registry it fills."""

from siamrec.lifecycle.events import LoopEvent
from siamrec.lifecycle.holdout import HeldOut, hold_out
from siamrec.lifecycle.judging import Host, Judging
from siamrec.lifecycle.loop import ImprovementLoop
from siamrec.lifecycle.registry import Lineage, ModelRegistry
from siamrec.lifecycle.report import ArmResult, CycleReport, MeanWithInterval

__all__ = [
    "ArmResult",
    "CycleReport",
    "HeldOut",
    "Host",
    "ImprovementLoop",
    "Judging",
    "Lineage",
    "LoopEvent",
    "MeanWithInterval",
    "ModelRegistry",
    "hold_out",
]
