"""The names of encoders."""

from __future__ import annotations

from abc import ABC
from typing import TypeAlias

from siamrec._core.book import Book, Named
from siamrec._core.recipe import Recipe
from siamrec.protocols import SiameseEncoder

_HERE = "siamrec.models.encoders"


class EncoderRecipe(Recipe, ABC):
    """An encoder that is its settings and has no weights, so that it can be written as JSON."""

    __slots__ = ()


Encoder: TypeAlias = SiameseEncoder | Named
"""An encoder, or its registered name: `"hashing"`, `"hashing:dim=256"`."""

ENCODERS: Book[SiameseEncoder] = Book(
    "encoder",
    {
        "adapter": f"{_HERE}.adapter:AdapterEncoder",
        "cached": f"{_HERE}.cached:CachedEncoder",
        "hashing": f"{_HERE}.hashing:HashingEncoder",
        "onnx": "siamrec.models.export:OnnxEncoder",
        "sentence": f"{_HERE}.sentence:SentenceEncoder",
        "static": f"{_HERE}.static:StaticEncoder",
        "two-tower": f"{_HERE}.two_tower:TwoTowerEncoder",
    },
    contract=SiameseEncoder,
    recipes=EncoderRecipe,
)
"""Every encoder by name."""
