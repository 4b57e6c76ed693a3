"""Which texts to ask people about next, when asking is dear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from siamrec._core import check
from siamrec._core.chance import Chance, generator
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array, FloatArray, IntArray

Choice: TypeAlias = Literal["uncertainty", "badge", "coreset"]
CHOICES = ("uncertainty", "badge", "coreset")
_SCALE = 20.0


def suggest_queries(
    encoder: SiameseEncoder,
    queries: Sequence[str],
    documents: Sequence[str],
    n: int,
    *,
    by: Choice = "badge",
    labelled: Sequence[str] = (),
    rng: Chance,
) -> list[str]:
    r"""Return the queries whose labels would teach the encoder most.

    Args:
        encoder: The encoder as it stands.
        queries: Queries to choose from; repeats and labelled ones are left out.
        documents: What they search.
        n: Queries wanted; all that there are, if there are fewer.
        by: `"uncertainty"`: those whose two best documents are nearest in score. `"coreset"`:
            those farthest from every labelled or chosen query (greedy k-centre). `"badge"`: both
            at once, drawn by k-means++ on the gradients
            :math:`(p - e_{\arg\max p}) \otimes x` that the encoder's own best guess would cause,
            with p the softmax over documents.
        labelled: Queries with labels already.
        rng: Draws for `"badge"`, and the first of `"coreset"` when nothing is labelled.

    Raises:
        InvalidDataError: If there are fewer than two documents or no query.
        UnknownNameError: If `by` is not known.

    References:
        Sener and Savarese (2018), Active learning for CNNs: a core-set approach, ICLR; Ash et al.
        (2020), Deep batch active learning by diverse, uncertain gradient lower bounds, ICLR.

    Examples:
        >>> from siamrec.models import HashingEncoder
        >>> suggest_queries(
        ...     HashingEncoder(dim=256), ["heist", "love or heist"], ["heist", "love"], 1,
        ...     by="uncertainty", rng=np.random.default_rng(0),
        ... )
        ['love or heist']
    """
    rng = generator(rng)
    check.one_of("by", by, CHOICES)
    check.count("n", n)
    known = set(labelled)
    asked = [query for query in dict.fromkeys(queries) if query not in known]
    answers = list(dict.fromkeys(documents))
    if not asked or len(answers) < 2:
        raise InvalidDataError(
            f"Suggesting needs a query without a label and two documents, got {len(asked)} and "
            f"{len(answers)}."
        )
    n = min(n, len(asked))
    vectors = encoder.encode(asked, kind="query")
    if by == "coreset":
        done = encoder.encode(sorted(known), kind="query") if known else vectors[:0]
        chosen = _farthest(vectors, done, n, rng)
    else:
        scores = vectors @ encoder.encode(answers).T
        chosen = _closest(scores, n) if by == "uncertainty" else _badge(vectors, scores, n, rng)
    return [asked[place] for place in chosen]


def _closest(scores: Float32Array, n: int) -> list[int]:
    best = np.partition(scores, -2, axis=1)[:, -2:]
    order: IntArray = np.argsort(best[:, 1] - best[:, 0], kind="stable")
    return [int(place) for place in order[:n]]


def _farthest(
    vectors: Float32Array, done: Float32Array, n: int, rng: np.random.Generator
) -> list[int]:
    """Greedy k-centre on squared distances of unit vectors."""
    chosen: list[int] = []
    distance = np.full(len(vectors), np.inf)
    if len(done):
        distance = (2.0 - 2.0 * vectors @ done.T).min(axis=1).astype(np.float64)
    while len(chosen) < n:
        fresh = bool(np.isinf(distance).all())
        place = int(rng.integers(len(vectors))) if fresh else int(np.argmax(distance))
        chosen.append(place)
        distance = np.minimum(distance, 2.0 - 2.0 * (vectors @ vectors[place]))
        distance[place] = -1.0
    return chosen


def _badge(
    vectors: Float32Array, scores: Float32Array, n: int, rng: np.random.Generator
) -> list[int]:
    """k-means++ on outer products, through their inner products alone."""
    logits = _SCALE * (scores - scores.max(axis=1, keepdims=True)).astype(np.float64)
    residual = np.exp(logits)
    residual /= residual.sum(axis=1, keepdims=True)
    residual[np.arange(len(scores)), scores.argmax(axis=1)] -= 1.0
    inputs = vectors.astype(np.float64)
    norm = (residual**2).sum(axis=1) * (inputs**2).sum(axis=1)
    chosen = [int(np.argmax(norm))]
    distance = _gradient_distance(residual, inputs, norm, chosen[0])
    while len(chosen) < n:
        distance[chosen] = 0.0
        total = float(distance.sum())
        if total <= 0:  # the rest would teach nothing new: fill up in order
            rest = [place for place in range(len(vectors)) if place not in set(chosen)]
            return chosen + rest[: n - len(chosen)]
        place = int(rng.choice(len(vectors), p=distance / total))
        chosen.append(place)
        distance = np.minimum(distance, _gradient_distance(residual, inputs, norm, place))
    return chosen


def _gradient_distance(
    residual: FloatArray, inputs: FloatArray, norm: FloatArray, place: int
) -> FloatArray:
    inner = (residual @ residual[place]) * (inputs @ inputs[place])
    distance: FloatArray = np.maximum(norm + norm[place] - 2.0 * inner, 0.0)
    return distance
