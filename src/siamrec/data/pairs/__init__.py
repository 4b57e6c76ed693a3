"""Training pairs as columns, their files, and their splits."""

from siamrec.data.pairs.columns import PairOrigin, Pairs, PairStatistics

__all__ = ["PairOrigin", "PairStatistics", "Pairs"]
