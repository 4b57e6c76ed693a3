"""Proof that an exported model says what the original says."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Record, counted, number
from siamrec.errors import RegressionFound

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.typing import Float32Array

SAMPLE_TEXTS = (
    "A retired thief is talked into one last robbery.",
    "Two rival chefs fall in love during a cooking contest.",
    "a lonely robot tends a garden on an empty planet",
    "The detective who could not remember faces.",
    "An orchestra rehearses while the city is under siege.",
    "Space miners find a signal older than the stars.",
    "A grandmother enters a video game tournament.",
    "War, drama, history",
    "animation, children, comedy",
    "Un été à Marseille, trois sœurs et un secret.",
    "Der Bäcker, der nachts die Sterne zählte",
    "Дорога домой через зимний лес",
    "夜の東京を走るタクシー運転手の物語",
    "한 소녀와 그녀의 용",
    "Café owners, naïve heirs & a piñata full of cash!",
    "1984: a year; 2001: an odyssey; 12 angry jurors",
    "heist",
    "x",
    "A very long night. " * 12,
    "Documentary about bees, beekeepers and the people who steal hives.",
    "Ghosts haunt a ferry between two islands.",
    "A lawyer defends her own brother.",
    "The last cinema of a small town closes, and nobody goes home.",
    "Time loops every Tuesday until somebody apologises.",
)
"""Texts on which exports are compared; several scripts, lengths and forms."""


@final
@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least likeness that an export must have.

    Args:
        cosine: Least cosine of a text's two vectors.
        overlap: Least mean share of the nearest neighbours in common.
    """

    cosine: float
    overlap: float


@final
@dataclass(frozen=True, slots=True, repr=False)
class ParityReport(Record):
    """How an export compares with the original on the same texts.

    Args:
        format: Name of the format, with its quantization.
        texts: Number of texts.
        least_cosine: Smallest cosine of a text's two vectors.
        mean_cosine: Mean cosine.
        overlap: Mean share of the nearest neighbours (10, or a third of the texts) in common.
        checked_by: What read the export back.
        thresholds: What was asked for.
        left_out: Texts that were not compared, since those who serve the format are known to read
            them otherwise.
    """

    format: str
    texts: int
    least_cosine: float
    mean_cosine: float
    overlap: float
    checked_by: str
    thresholds: Thresholds
    left_out: tuple[str, ...] = ()

    @override
    def title(self) -> str:
        least = f"least cosine {number(self.least_cosine)}"
        return f"Parity of {self.format}: {counted(self.texts, 'text')}, {least}"

    @classmethod
    def of(
        cls,
        name: str,
        before: Float32Array,
        after: Float32Array,
        *,
        checked_by: str,
        thresholds: Thresholds,
        left_out: tuple[str, ...] = (),
    ) -> ParityReport:
        """Return the comparison of two sets of unit vectors, row by row."""
        cosines = (before * after).sum(axis=1)
        k = max(1, min(10, len(before) // 3))
        near = [_neighbours(vectors, k) for vectors in (before, after)]
        overlap = np.mean([np.isin(a, b).mean() for a, b in zip(*near, strict=True)])
        return cls(
            format=name,
            texts=len(before),
            least_cosine=float(cosines.min()),
            mean_cosine=float(cosines.mean()),
            overlap=float(overlap),
            checked_by=checked_by,
            thresholds=thresholds,
            left_out=left_out,
        )

    @property
    def passed(self) -> bool:
        """Whether every threshold is met."""
        wanted = self.thresholds
        return self.least_cosine >= wanted.cosine and self.overlap >= wanted.overlap

    def require(self) -> None:
        """Pass when every threshold is met.

        Raises:
            RegressionFound: If one is not; the message holds the figures.
        """
        if not self.passed:
            raise RegressionFound(
                f"The {self.format} export differs from the original: least cosine "
                f"{self.least_cosine:.5f} (at least {self.thresholds.cosine} asked for), "
                f"neighbours in common {self.overlap:.3f} (at least {self.thresholds.overlap}); "
                "nothing was written."
            )

    def save(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps({**asdict(self), "passed": self.passed}, indent=2))


def _neighbours(vectors: Float32Array, k: int) -> np.ndarray:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
