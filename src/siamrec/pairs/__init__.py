"""Training pairs from feedback."""

from siamrec.pairs.base import Generator, MinimumCounts
from siamrec.pairs.hard_negatives import HardNegatives
from siamrec.pairs.ratings import RatingPairs

__all__ = ["Generator", "HardNegatives", "MinimumCounts", "RatingPairs"]
