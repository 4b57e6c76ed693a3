"""Arms: recipes that learn from feedback and rank items."""

from siamrec.models.recommenders._linear import FittedItemWeights
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.ease import EASE, FittedEASE
from siamrec.models.recommenders.edlae import EDLAE
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.ials import IALS, FittedIALS
from siamrec.models.recommenders.item_knn import ItemKNN
from siamrec.models.recommenders.long_tail import FittedLongTail, LongTail
from siamrec.models.recommenders.popularity import FittedPopularity, Popularity
from siamrec.models.recommenders.rp3beta import RP3beta
from siamrec.models.recommenders.search import Choice, Float, Integer, Range
from siamrec.models.recommenders.text_profile import FittedTextProfile, TextProfile

__all__ = [
    "EASE",
    "EDLAE",
    "IALS",
    "Capability",
    "Choice",
    "FittedEASE",
    "FittedIALS",
    "FittedItemWeights",
    "FittedLongTail",
    "FittedPopularity",
    "FittedRecommender",
    "FittedTextProfile",
    "Float",
    "Histories",
    "Integer",
    "ItemKNN",
    "LongTail",
    "Popularity",
    "RP3beta",
    "Range",
    "RecommenderRecipe",
    "TextProfile",
]
