"""Arms: recipes that learn from feedback and rank items."""

from siamrec.models.recommenders._linear import FittedItemWeights
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.bias import BiasModel, FittedBias
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.ease import EASE, FittedEASE
from siamrec.models.recommenders.edlae import EDLAE
from siamrec.models.recommenders.explicit_mf import ExplicitMF, FittedExplicitMF
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.ials import IALS, FittedIALS
from siamrec.models.recommenders.item_knn import ItemKNN
from siamrec.models.recommenders.long_tail import FittedLongTail, LongTail
from siamrec.models.recommenders.neighbour_ratings import (
    FittedItemKNNBaseline,
    FittedUserKNN,
    ItemKNNBaseline,
    UserKNN,
)
from siamrec.models.recommenders.neural import EpochEnd, NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.popularity import FittedPopularity, Popularity
from siamrec.models.recommenders.rp3beta import RP3beta
from siamrec.models.recommenders.search import Choice, Float, Integer, Range
from siamrec.models.recommenders.svdpp import FittedSVDpp, SVDpp
from siamrec.models.recommenders.text_profile import FittedTextProfile, TextProfile
from siamrec.models.recommenders.time_svdpp import FittedTimeSVDpp, TimeSVDpp

__all__ = [
    "EASE",
    "EDLAE",
    "IALS",
    "BiasModel",
    "Capability",
    "Choice",
    "EpochEnd",
    "ExplicitMF",
    "FittedBias",
    "FittedEASE",
    "FittedExplicitMF",
    "FittedIALS",
    "FittedItemKNNBaseline",
    "FittedItemWeights",
    "FittedLongTail",
    "FittedPopularity",
    "FittedRecommender",
    "FittedSVDpp",
    "FittedTextProfile",
    "FittedTimeSVDpp",
    "FittedUserKNN",
    "Float",
    "Histories",
    "Integer",
    "ItemKNN",
    "ItemKNNBaseline",
    "LongTail",
    "NeuralRecipe",
    "Popularity",
    "RP3beta",
    "Range",
    "RecommenderRecipe",
    "SVDpp",
    "TextProfile",
    "TimeSVDpp",
    "TrainingRecord",
    "UserKNN",
]
