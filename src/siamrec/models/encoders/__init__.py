"""Encoders: texts in, unit vectors out."""

from siamrec.models.encoders._book import ENCODERS, EncoderRecipe
from siamrec.models.encoders.adapter import AdapterEncoder
from siamrec.models.encoders.cached import CachedEncoder
from siamrec.models.encoders.hashing import HashingEncoder
from siamrec.models.encoders.sentence import SentenceEncoder
from siamrec.models.encoders.static import StaticEncoder
from siamrec.models.encoders.two_tower import Tower, TwoTowerEncoder, TwoTowerTraining

__all__ = [
    "ENCODERS",
    "AdapterEncoder",
    "CachedEncoder",
    "EncoderRecipe",
    "HashingEncoder",
    "SentenceEncoder",
    "StaticEncoder",
    "Tower",
    "TwoTowerEncoder",
    "TwoTowerTraining",
]
