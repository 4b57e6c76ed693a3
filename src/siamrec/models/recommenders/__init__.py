"""Arms: recipes that learn from feedback and rank items."""

from siamrec.models.recommenders.base import (
    Capability,
    FittedRecommender,
    Histories,
    RecommenderRecipe,
)
from siamrec.models.recommenders.ease import EASE, FittedEASE
from siamrec.models.recommenders.long_tail import FittedLongTail, LongTail
from siamrec.models.recommenders.popularity import FittedPopularity, Popularity
from siamrec.models.recommenders.text_profile import FittedTextProfile, TextProfile

__all__ = [
    "EASE",
    "Capability",
    "FittedEASE",
    "FittedLongTail",
    "FittedPopularity",
    "FittedRecommender",
    "FittedTextProfile",
    "Histories",
    "LongTail",
    "Popularity",
    "RecommenderRecipe",
    "TextProfile",
]
