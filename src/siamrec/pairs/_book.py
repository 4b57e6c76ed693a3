"""The names of pair generators and of miners of hard negatives."""

from __future__ import annotations

from siamrec._core.book import Book
from siamrec.pairs.base import Generator, Miner, MinerRecipe
from siamrec.protocols import PairGenerator

PAIR_GENERATORS: Book[PairGenerator] = Book(
    "pair generator",
    {
        "clicks": "siamrec.pairs.implicit:ClickPairs",
        "co-engagement": "siamrec.pairs.implicit:CoEngagementPairs",
        "preferences": "siamrec.pairs.preferences:PreferencePairs",
        "queries": "siamrec.pairs.implicit:QueryPairs",
        "ratings": "siamrec.pairs.ratings:RatingPairs",
        "scored": "siamrec.pairs.preferences:ScoredPairs",
        "synthetic": "siamrec.pairs.synthetic:Synthetic",
    },
    contract=PairGenerator,
    recipes=Generator,
)
"""Every pair generator by name."""

MINERS: Book[Miner] = Book(
    "miner",
    {
        "hard-negatives": "siamrec.pairs.hard_negatives:HardNegatives",
        "sentence-transformers": "siamrec.pairs.miners:SentenceTransformersMiner",
    },
    contract=Miner,
    recipes=MinerRecipe,
)
"""Every miner by name; `"hard-negatives:search=faiss"` searches otherwise."""
