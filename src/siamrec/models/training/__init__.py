"""Fine-tuning: recipes, the tuner, and what it gives back."""

from siamrec.models.training.active import suggest_queries
from siamrec.models.training.adapt import adapt
from siamrec.models.training.config import FineTuneConfig
from siamrec.models.training.distil import distil, teach_translations
from siamrec.models.training.result import Comparison, FineTuneResult, TrainingEvent, Verdict
from siamrec.models.training.retention import Retention
from siamrec.models.training.tuner import FineTuner

__all__ = [
    "Comparison",
    "FineTuneConfig",
    "FineTuneResult",
    "FineTuner",
    "Retention",
    "TrainingEvent",
    "Verdict",
    "adapt",
    "distil",
    "suggest_queries",
    "teach_translations",
]
