"""Arms: recipes that learn from feedback and rank items."""

from siamrec.models.recommenders._book import RECOMMENDERS
from siamrec.models.recommenders._linear import FittedItemWeights
from siamrec.models.recommenders._sequence import FittedSequenceWeights
from siamrec.models.recommenders.attention_mf import AttentionMF, FittedAttentionMF
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.bias import BiasModel, FittedBias
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.discovery import Coverage, FittedBoost, HiddenGems, Niche
from siamrec.models.recommenders.ease import EASE, FittedEASE
from siamrec.models.recommenders.edlae import EDLAE
from siamrec.models.recommenders.elsa import ELSA, FittedELSA
from siamrec.models.recommenders.explicit_mf import ExplicitMF, FittedExplicitMF
from siamrec.models.recommenders.gfcf import GFCF
from siamrec.models.recommenders.histories import Histories
from siamrec.models.recommenders.ials import IALS, FittedIALS
from siamrec.models.recommenders.item_knn import ItemKNN
from siamrec.models.recommenders.light_gcn import FittedLightGCN, LightGCN
from siamrec.models.recommenders.loading import load_recommender
from siamrec.models.recommenders.long_tail import FittedLongTail, LongTail
from siamrec.models.recommenders.mult_vae import FittedMultVAE, MultVAE
from siamrec.models.recommenders.multi_task import FittedMultiTask, MultiTaskMF
from siamrec.models.recommenders.neighbour_ratings import (
    FittedItemKNNBaseline,
    FittedUserKNN,
    ItemKNNBaseline,
    UserKNN,
)
from siamrec.models.recommenders.neu_mf import FittedNeuMF, NeuMF
from siamrec.models.recommenders.neural import EpochEnd, NeuralRecipe, Progress, TrainingRecord
from siamrec.models.recommenders.popularity import FittedPopularity, Popularity
from siamrec.models.recommenders.pure_svd import FittedPureSVD, PureSVD
from siamrec.models.recommenders.queries import AnswersQueries, QueryReader, normalised
from siamrec.models.recommenders.random_order import FittedRandom, Random
from siamrec.models.recommenders.rp3beta import RP3beta
from siamrec.models.recommenders.sansa import SANSA
from siamrec.models.recommenders.sasrec import FittedSASRec, SASRec
from siamrec.models.recommenders.search import Choice, Float, Integer, Range
from siamrec.models.recommenders.sequential_rules import SequentialRules
from siamrec.models.recommenders.serendipity import FittedSerendipity, SerendipityExplorer
from siamrec.models.recommenders.slit import SLIT
from siamrec.models.recommenders.svdpp import FittedSVDpp, SVDpp
from siamrec.models.recommenders.text_profile import FittedTextProfile, TextProfile
from siamrec.models.recommenders.text_to_factor import FittedTextToFactor, TextToFactor
from siamrec.models.recommenders.time_svdpp import FittedTimeSVDpp, TimeSVDpp
from siamrec.models.recommenders.two_tower import FittedTwoTower, TwoTower

__all__ = [
    "EASE",
    "EDLAE",
    "ELSA",
    "GFCF",
    "IALS",
    "RECOMMENDERS",
    "SANSA",
    "SLIT",
    "AnswersQueries",
    "AttentionMF",
    "BiasModel",
    "Capability",
    "Choice",
    "Coverage",
    "EpochEnd",
    "ExplicitMF",
    "FittedAttentionMF",
    "FittedBias",
    "FittedBoost",
    "FittedEASE",
    "FittedELSA",
    "FittedExplicitMF",
    "FittedIALS",
    "FittedItemKNNBaseline",
    "FittedItemWeights",
    "FittedLightGCN",
    "FittedLongTail",
    "FittedMultVAE",
    "FittedMultiTask",
    "FittedNeuMF",
    "FittedPopularity",
    "FittedPureSVD",
    "FittedRandom",
    "FittedRecommender",
    "FittedSASRec",
    "FittedSVDpp",
    "FittedSequenceWeights",
    "FittedSerendipity",
    "FittedTextProfile",
    "FittedTextToFactor",
    "FittedTimeSVDpp",
    "FittedTwoTower",
    "FittedUserKNN",
    "Float",
    "HiddenGems",
    "Histories",
    "Integer",
    "ItemKNN",
    "ItemKNNBaseline",
    "LightGCN",
    "LongTail",
    "MultVAE",
    "MultiTaskMF",
    "NeuMF",
    "NeuralRecipe",
    "Niche",
    "Popularity",
    "Progress",
    "PureSVD",
    "QueryReader",
    "RP3beta",
    "Random",
    "Range",
    "RecommenderRecipe",
    "SASRec",
    "SVDpp",
    "SequentialRules",
    "SerendipityExplorer",
    "TextProfile",
    "TextToFactor",
    "TimeSVDpp",
    "TrainingRecord",
    "TwoTower",
    "UserKNN",
    "load_recommender",
    "normalised",
]
