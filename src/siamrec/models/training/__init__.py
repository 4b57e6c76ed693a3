"""Fine-tuning: recipes, the tuner, and what it gives back."""

from siamrec.models.training.active import suggest_queries
from siamrec.models.training.adapt import adapt
from siamrec.models.training.config import FineTuneConfig
from siamrec.models.training.distil import distil, teach_translations
from siamrec.models.training.result import (
    EncoderComparison,
    FineTuneResult,
    TrainingEvent,
    Verdict,
)
from siamrec.models.training.strategies.recipes import (
    STRATEGIES,
    Adapter,
    EncoderStrategy,
    Full,
    LoRA,
    Strategy,
    TopLayers,
)
from siamrec.models.training.tuner import FineTuner
from siamrec.models.training.validation.retention import Retention

__all__ = [
    "STRATEGIES",
    "Adapter",
    "EncoderComparison",
    "EncoderStrategy",
    "FineTuneConfig",
    "FineTuneResult",
    "FineTuner",
    "Full",
    "LoRA",
    "Retention",
    "Strategy",
    "TopLayers",
    "TrainingEvent",
    "Verdict",
    "adapt",
    "distil",
    "suggest_queries",
    "teach_translations",
]
