"""Training pairs from feedback."""

from siamrec.pairs._book import MINERS, PAIR_GENERATORS
from siamrec.pairs.base import Generator, Miner, MinerRecipe, MinimumCounts
from siamrec.pairs.hard_negatives import HardNegatives
from siamrec.pairs.implicit import ClickPairs, CoEngagementPairs, QueryPairs
from siamrec.pairs.miners import SentenceTransformersMiner
from siamrec.pairs.preferences import PreferencePairs, ScoredPairs
from siamrec.pairs.ratings import RatingPairs
from siamrec.pairs.replay import ReplayedPairs
from siamrec.pairs.synthetic import Synthesizer, Synthetic

__all__ = [
    "MINERS",
    "PAIR_GENERATORS",
    "ClickPairs",
    "CoEngagementPairs",
    "Generator",
    "HardNegatives",
    "Miner",
    "MinerRecipe",
    "MinimumCounts",
    "PreferencePairs",
    "QueryPairs",
    "RatingPairs",
    "ReplayedPairs",
    "ScoredPairs",
    "SentenceTransformersMiner",
    "Synthesizer",
    "Synthetic",
]
