"""The names of hashers of units."""

from __future__ import annotations

from siamrec._core.book import Book
from siamrec.experiments.assignment.hashers import (
    EppoMd5,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    HashRecipe,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)

HASHERS: Book[Hasher] = Book(
    "hasher",
    {
        "eppo-md5": EppoMd5,
        "growthbook-v1": GrowthBookV1,
        "growthbook-v2": GrowthBookV2,
        "planout-sha1": PlanOutSha1,
        "unleash-murmur3": UnleashMurmur3,
        "xxh3": Xxh3,
    },
    contract=Hasher,
    recipes=HashRecipe,
)
"""Every hasher by name."""
