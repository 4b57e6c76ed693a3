"""Training pairs as columns, their files, and their splits."""

from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.pairs.counts import PairStatistics
from siamrec.data.pairs.pairs import Pairs

__all__ = ["PairOrigin", "PairStatistics", "Pairs"]
