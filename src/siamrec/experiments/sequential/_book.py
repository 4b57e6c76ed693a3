"""The names of looking rules."""

from __future__ import annotations

from siamrec._core.book import Book
from siamrec.experiments.sequential.confidence_sequences import Sequence

_HERE = "siamrec.experiments.sequential"

LOOKING_RULES: Book[Sequence] = Book(
    "looking rule",
    {
        "asymptotic-cs": f"{_HERE}.confidence_sequences:AsymptoticCS",
        "group-sequential": f"{_HERE}.group_sequential:GroupSequential",
        "normal-mixture": f"{_HERE}.confidence_sequences:NormalMixture",
    },
    contract=Sequence,
    recipes=Sequence,
)
"""Every rule that allows to look at an experiment more than once."""
