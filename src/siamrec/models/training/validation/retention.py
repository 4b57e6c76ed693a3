"""General skill that tuning may not cost: finding a text by its own beginning."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import uniforms
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array

_SENTENCE = re.compile(r"[.!?\n:;]\s+")
_LEAST_WORDS = 4


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How much general skill a tuned encoder may lose.

    The skill is own-text retrieval: each probe text is cut in two, its beginning (a title, as a
    rule) is the query, the rest is the document, and the mean reciprocal rank of the own document
    among those of all probes is measured.

    Args:
        max_drop: Largest loss of that figure, as a share of the base's figure, in [0, 1].
        probes: Texts to measure on, at least 2.

    Raises:
        InvalidParameterError: If a number is out of its range.

    Examples:
        >>> Retention(max_drop=0.05).floor(0.40)
        0.38
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    max_drop: float = 0.05
    probes: int = 200

    def __post_init__(self) -> None:
        check.share("max_drop", self.max_drop)
        check.count("probes", self.probes, least=2)

    def floor(self, base: float) -> float:
        """Return the least figure that is allowed when the base has `base`."""
        return round(base * (1.0 - self.max_drop), 12)

    def texts(self, texts: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return queries and documents cut from `texts`, drawn by a hash of the text.

        Raises:
            InvalidDataError: If fewer than two texts are long enough to be cut.
        """
        halves = [(text, cut) for text in texts if (cut := cut_in_two(text)) is not None]
        if len(halves) < 2:
            raise InvalidDataError(
                "Retention needs at least two texts with a beginning and "
                f"{_LEAST_WORDS} further words, got {len(halves)}; pass retention=None."
            )
        order = np.argsort(uniforms([text for text, _ in halves], "retention"), kind="stable")
        chosen = [halves[place][1] for place in order[: self.probes].tolist()]
        return [query for query, _ in chosen], [document for _, document in chosen]


def cut_in_two(text: str) -> tuple[str, str] | None:
    """Return the first sentence or line of a text and the rest; None for short texts.

    Examples:
        >>> cut_in_two("Heat. A crew of thieves plans one last robbery.")
        ('Heat', 'A crew of thieves plans one last robbery.')
        >>> cut_in_two("Heat") is None
        True
    """
    found = _SENTENCE.search(text)
    if found is None:
        words = text.split()
        middle = len(words) // 2
        query, document = " ".join(words[:middle]), " ".join(words[middle:])
    else:
        query, document = text[: found.start()].strip(), text[found.end() :].strip()
    if not query or len(document.split()) < _LEAST_WORDS:
        return None
    return query, document


def reciprocal_rank(queries: Float32Array, documents: Float32Array) -> float:
    """Return the mean reciprocal rank of each query's own document.

    Args:
        queries: Unit vectors, `(n, dim)`.
        documents: Unit vectors of the documents in the same order, `(n, dim)`. Ties count as if
            the others came first, so that equal vectors for everything score lowest.

    Examples:
        >>> eye = np.eye(2, dtype=np.float32)
        >>> reciprocal_rank(eye, eye), reciprocal_rank(eye, eye[::-1])
        (1.0, 0.5)
    """
    scores = queries.astype(np.float64) @ documents.astype(np.float64).T
    own = np.diag(scores)[:, None]
    return float((1.0 / (scores >= own).sum(axis=1)).mean())


def drift(before: Float32Array, after: Float32Array, *, k: int = 10) -> dict[str, float]:
    """Return how far vectors of the same texts moved.

    Args:
        before: Unit vectors of the base, `(n, dim)`.
        after: Unit vectors of the tuned encoder, `(n, dim or another)`.
        k: Neighbours to compare.

    Returns:
        `cosine`: mean cosine of a text's old and new vector (NaN when dimensions differ: an index
        of old vectors is of no use then), and `churn`: mean share of the k nearest neighbours
        that changed.
    """
    same = before.shape == after.shape
    cosine = float((before * after).sum(axis=1).mean()) if same else float("nan")
    k = min(k, len(before) - 1)
    if k < 1:
        return {"cosine": cosine, "churn": 0.0}
    near = [_nearest(vectors, k) for vectors in (before, after)]
    kept = [np.isin(first, second).mean() for first, second in zip(*near, strict=True)]
    return {"cosine": cosine, "churn": float(1.0 - np.mean(kept))}


def _nearest(vectors: Float32Array, k: int) -> np.ndarray:
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -np.inf)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]
