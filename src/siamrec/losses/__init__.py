"""Training losses on embeddings; each also runs in a plain sentence-transformers trainer."""

from siamrec.losses._infonce import feedback_infonce
from siamrec.losses.base import EmbeddingLoss, Side
from siamrec.losses.infonce import FeedbackInfoNCE
from siamrec.losses.known import KnownPositives
from siamrec.losses.labelled import (
    ListwiseRating,
    WeightedContrastive,
    WeightedCoSENT,
    WeightedCosine,
)
from siamrec.losses.preference import BradleyTerry, ReferencePreference, WeightedTriplet
from siamrec.losses.queued import QueuedInfoNCE
from siamrec.losses.rates import TextRates
from siamrec.losses.registry import LOSSES, LossSpec, build_loss, loss_columns
from siamrec.losses.wrappers import Anchored, Distilled, GradCached, MultiTask

__all__ = [
    "LOSSES",
    "Anchored",
    "BradleyTerry",
    "Distilled",
    "EmbeddingLoss",
    "FeedbackInfoNCE",
    "GradCached",
    "KnownPositives",
    "ListwiseRating",
    "LossSpec",
    "MultiTask",
    "QueuedInfoNCE",
    "ReferencePreference",
    "Side",
    "TextRates",
    "WeightedCoSENT",
    "WeightedContrastive",
    "WeightedCosine",
    "WeightedTriplet",
    "build_loss",
    "feedback_infonce",
    "loss_columns",
]
