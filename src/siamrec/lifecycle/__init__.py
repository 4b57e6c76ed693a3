"""The lifecycle: workspaces with what they serve, and the loop that ties every room together."""

from siamrec.lifecycle.catalog import WorkspaceCatalog
from siamrec.lifecycle.comments import Comments, CommentSummary
from siamrec.lifecycle.context import context_of
from siamrec.lifecycle.events import LoopEvent
from siamrec.lifecycle.feedback import WorkspaceFeedback
from siamrec.lifecycle.held import Held
from siamrec.lifecycle.holdout import HeldOut, hold_out
from siamrec.lifecycle.jobs import Jobs
from siamrec.lifecycle.judging import Host, Judging
from siamrec.lifecycle.live import LivePlacement
from siamrec.lifecycle.loop import ImprovementLoop
from siamrec.lifecycle.meaning import Block, Meaning
from siamrec.lifecycle.measuring import Measured
from siamrec.lifecycle.people import People
from siamrec.lifecycle.placement import Placement
from siamrec.lifecycle.promotion import Guardrail, Promotion
from siamrec.lifecycle.recommendation import Recommendation
from siamrec.lifecycle.registry import Lineage, ModelRegistry
from siamrec.lifecycle.release import Release
from siamrec.lifecycle.report import ArmResult, CycleReport, MeanWithInterval
from siamrec.lifecycle.retraining import Below, Drop, Due, Retraining
from siamrec.lifecycle.rules import Boost, Bury, Include, Never, Pin, Quota, Rule
from siamrec.lifecycle.seen import Seen
from siamrec.lifecycle.shipped import Shipped, load
from siamrec.lifecycle.tracking import Tracked, Tracker
from siamrec.lifecycle.training import Trained
from siamrec.lifecycle.unattended import Unattended, Worked
from siamrec.lifecycle.why import Why
from siamrec.lifecycle.wishes import Wishes
from siamrec.lifecycle.withheld import Withheld
from siamrec.lifecycle.workspace import Workspace

__all__ = [
    "ArmResult",
    "Below",
    "Block",
    "Boost",
    "Bury",
    "CommentSummary",
    "Comments",
    "CycleReport",
    "Drop",
    "Due",
    "Guardrail",
    "Held",
    "HeldOut",
    "Host",
    "ImprovementLoop",
    "Include",
    "Jobs",
    "Judging",
    "Lineage",
    "LivePlacement",
    "LoopEvent",
    "MeanWithInterval",
    "Meaning",
    "Measured",
    "ModelRegistry",
    "Never",
    "People",
    "Pin",
    "Placement",
    "Promotion",
    "Quota",
    "Recommendation",
    "Release",
    "Retraining",
    "Rule",
    "Seen",
    "Shipped",
    "Tracked",
    "Tracker",
    "Trained",
    "Unattended",
    "Why",
    "Wishes",
    "Withheld",
    "Worked",
    "Workspace",
    "WorkspaceCatalog",
    "WorkspaceFeedback",
    "context_of",
    "hold_out",
    "load",
]
