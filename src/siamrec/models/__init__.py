"""Models: encoders of texts, recommenders, their training and their export."""

from siamrec.models.encoders import (
    AdapterEncoder,
    CachedEncoder,
    HashingEncoder,
    SentenceEncoder,
    StaticEncoder,
    TwoTowerEncoder,
    TwoTowerTraining,
)

__all__ = [
    "AdapterEncoder",
    "CachedEncoder",
    "HashingEncoder",
    "SentenceEncoder",
    "StaticEncoder",
    "TwoTowerEncoder",
    "TwoTowerTraining",
]
