"""Turn user feedback into a better recommender, with proof.

Every public name below is loaded on first use, so that `import siamrec` costs a few
milliseconds and imports neither NumPy nor torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from siamrec._core.installed import find_plugins_at

if TYPE_CHECKING:
    from siamrec._core.table import Record as Record
    from siamrec._core.table import Shown as Shown
    from siamrec._core.table import Table as Table
    from siamrec.bandits import BetaThompson as BetaThompson
    from siamrec.bandits import Context as Context
    from siamrec.bandits import ContextualBandit as ContextualBandit
    from siamrec.bandits import HierarchicalBeta as HierarchicalBeta
    from siamrec.data import Assignment as Assignment
    from siamrec.data import Assignments as Assignments
    from siamrec.data import Catalog as Catalog
    from siamrec.data import Decision as Decision
    from siamrec.data import Decisions as Decisions
    from siamrec.data import Feedback as Feedback
    from siamrec.data import Moments as Moments
    from siamrec.data import Pairs as Pairs
    from siamrec.data import Rankings as Rankings
    from siamrec.data import Rewards as Rewards
    from siamrec.data import Truth as Truth
    from siamrec.data import Vocabulary as Vocabulary
    from siamrec.experiments import Experiment as Experiment
    from siamrec.experiments import HashAssigner as HashAssigner
    from siamrec.experiments import Plan as Plan
    from siamrec.experiments import analyze as analyze
    from siamrec.feedback import QualityWeights as QualityWeights
    from siamrec.lifecycle import CycleReport as CycleReport
    from siamrec.lifecycle import ImprovementLoop as ImprovementLoop
    from siamrec.lifecycle import Placement as Placement
    from siamrec.lifecycle import Workspace as Workspace
    from siamrec.lifecycle import load as load
    from siamrec.metrics import Suite as Suite
    from siamrec.models import AdapterEncoder as AdapterEncoder
    from siamrec.models import CachedEncoder as CachedEncoder
    from siamrec.models import SentenceEncoder as SentenceEncoder
    from siamrec.models.recommenders import EASE as EASE
    from siamrec.models.recommenders import Popularity as Popularity
    from siamrec.models.training import FineTuneConfig as FineTuneConfig
    from siamrec.models.training import FineTuner as FineTuner
    from siamrec.models.training import Retention as Retention
    from siamrec.pairs import HardNegatives as HardNegatives
    from siamrec.pairs import RatingPairs as RatingPairs
    from siamrec.plugins import Registry as Registry
    from siamrec.plugins import default_registry as default_registry
    from siamrec.plugins import hookimpl as hookimpl
    from siamrec.protocols import Bandit as Bandit
    from siamrec.protocols import BlobStore as BlobStore
    from siamrec.protocols import Clock as Clock
    from siamrec.protocols import DocumentStore as DocumentStore
    from siamrec.protocols import Executor as Executor
    from siamrec.protocols import ExperimentAssigner as ExperimentAssigner
    from siamrec.protocols import FeedbackSink as FeedbackSink
    from siamrec.protocols import FeedbackSource as FeedbackSource
    from siamrec.protocols import Loss as Loss
    from siamrec.protocols import MetricSuite as MetricSuite
    from siamrec.protocols import PairGenerator as PairGenerator
    from siamrec.protocols import Recommender as Recommender
    from siamrec.protocols import SiameseEncoder as SiameseEncoder
    from siamrec.storage import Store as Store

_HOMES = {
    "AdapterEncoder": "siamrec.models",
    "Assignment": "siamrec.data",
    "Assignments": "siamrec.data",
    "Bandit": "siamrec.protocols",
    "BetaThompson": "siamrec.bandits",
    "BlobStore": "siamrec.protocols",
    "CachedEncoder": "siamrec.models",
    "Catalog": "siamrec.data",
    "Clock": "siamrec.protocols",
    "Context": "siamrec.bandits",
    "ContextualBandit": "siamrec.bandits",
    "CycleReport": "siamrec.lifecycle",
    "Decision": "siamrec.data",
    "Decisions": "siamrec.data",
    "DocumentStore": "siamrec.protocols",
    "EASE": "siamrec.models.recommenders",
    "Executor": "siamrec.protocols",
    "Experiment": "siamrec.experiments",
    "ExperimentAssigner": "siamrec.protocols",
    "Feedback": "siamrec.data",
    "FeedbackSink": "siamrec.protocols",
    "FeedbackSource": "siamrec.protocols",
    "FineTuneConfig": "siamrec.models.training",
    "FineTuner": "siamrec.models.training",
    "HardNegatives": "siamrec.pairs",
    "HashAssigner": "siamrec.experiments",
    "HierarchicalBeta": "siamrec.bandits",
    "ImprovementLoop": "siamrec.lifecycle",
    "Loss": "siamrec.protocols",
    "MetricSuite": "siamrec.protocols",
    "Moments": "siamrec.data",
    "PairGenerator": "siamrec.protocols",
    "Pairs": "siamrec.data",
    "Placement": "siamrec.lifecycle",
    "Plan": "siamrec.experiments",
    "Popularity": "siamrec.models.recommenders",
    "QualityWeights": "siamrec.feedback",
    "Rankings": "siamrec.data",
    "RatingPairs": "siamrec.pairs",
    "Recommender": "siamrec.protocols",
    "Record": "siamrec._core.table",
    "Registry": "siamrec.plugins",
    "Retention": "siamrec.models.training",
    "Rewards": "siamrec.data",
    "SentenceEncoder": "siamrec.models",
    "Shown": "siamrec._core.table",
    "SiameseEncoder": "siamrec.protocols",
    "Store": "siamrec.storage",
    "Suite": "siamrec.metrics",
    "Table": "siamrec._core.table",
    "Truth": "siamrec.data",
    "Vocabulary": "siamrec.data",
    "Workspace": "siamrec.lifecycle",
    "analyze": "siamrec.experiments",
    "default_registry": "siamrec.plugins",
    "hookimpl": "siamrec.plugins",
    "load": "siamrec.lifecycle",
}

__all__ = [
    "EASE",
    "AdapterEncoder",
    "Assignment",
    "Assignments",
    "Bandit",
    "BetaThompson",
    "BlobStore",
    "CachedEncoder",
    "Catalog",
    "Clock",
    "Context",
    "ContextualBandit",
    "CycleReport",
    "Decision",
    "Decisions",
    "DocumentStore",
    "Executor",
    "Experiment",
    "ExperimentAssigner",
    "Feedback",
    "FeedbackSink",
    "FeedbackSource",
    "FineTuneConfig",
    "FineTuner",
    "HardNegatives",
    "HashAssigner",
    "HierarchicalBeta",
    "ImprovementLoop",
    "Loss",
    "MetricSuite",
    "Moments",
    "PairGenerator",
    "Pairs",
    "Placement",
    "Plan",
    "Popularity",
    "QualityWeights",
    "Rankings",
    "RatingPairs",
    "Recommender",
    "Record",
    "Registry",
    "Retention",
    "Rewards",
    "SentenceEncoder",
    "Shown",
    "SiameseEncoder",
    "Store",
    "Suite",
    "Table",
    "Truth",
    "Vocabulary",
    "Workspace",
    "analyze",
    "default_registry",
    "hookimpl",
    "load",
]


find_plugins_at("siamrec.plugins.registry:found_and_published")

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'siamrec' has no attribute {name!r}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
