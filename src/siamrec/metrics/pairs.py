"""How well similarities of a Siamese model tell matching pairs from others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, number
from siamrec.errors import InvalidDataError
from siamrec.metrics.families.rating import correlation
from siamrec.statistics.ranks import average_ranks

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.typing import BoolArray, FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Threshold(Record):
    """A cut of similarities and what it reaches.

    Args:
        value: Pairs of at least this similarity are called matching.
        score: What was maximised.
        precision: Share of called pairs that match.
        recall: Share of matching pairs that are called.
    """

    value: float
    score: float
    precision: float
    recall: float

    @override
    def title(self) -> str:
        return f"Threshold {number(self.value)} with score {number(self.score)}"


def _labelled(similarity: npt.ArrayLike, label: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    column = check.finite("similarity", np.asarray(similarity))
    match: npt.NDArray[np.generic] = np.asarray(label)
    check.same_length(similarity=column, label=match)
    if not column.size or not np.isin(match, (0, 1)).all():
        raise InvalidDataError("label must be 0 or 1 for one or more pairs.")
    return column, match.astype(np.bool_)


def pair_auc(similarity: npt.ArrayLike, label: npt.ArrayLike) -> float:
    """Return the chance that a matching pair is more similar than another one; ties count half.

    Args:
        similarity: Similarity of each pair, of any sign, shape `(n,)`.
        label: 1 for a matching pair, else 0, shape `(n,)`.

    Returns:
        Area under the ROC curve; NaN without both kinds of pairs.

    References:
        Hanley and McNeil (1982), Radiology 143(1).

    Examples:
        >>> pair_auc([-0.1, -0.5, -0.9], [1, 0, 1])
        0.5
    """
    column, match = _labelled(similarity, label)
    n_match, n_other = int(match.sum()), int((~match).sum())
    if not n_match or not n_other:
        return float("nan")
    above = average_ranks(column)[match].sum() - n_match * (n_match + 1) / 2
    return float(above / (n_match * n_other))


def best_accuracy(similarity: npt.ArrayLike, label: npt.ArrayLike) -> Threshold:
    """Return the threshold that classifies the most pairs rightly, and the accuracy there.

    The threshold is chosen on these very pairs: report the accuracy of `pair_accuracy` with a
    threshold from other pairs.

    Args:
        similarity: Similarity of each pair, shape `(n,)`.
        label: 1 for a matching pair, else 0, shape `(n,)`.
    """
    column, match = _labelled(similarity, label)
    value, called, hits = _cuts(column, match)
    right = hits + (~match).sum() - (called - hits)
    best = int(np.argmax(right))
    return _threshold((value, called, hits), match, best, float(right[best] / match.size))


def best_f1(similarity: npt.ArrayLike, label: npt.ArrayLike) -> Threshold:
    """Return the threshold of the highest F1 of matching pairs, and that F1.

    Args:
        similarity: Similarity of each pair, shape `(n,)`.
        label: 1 for a matching pair, else 0, shape `(n,)`.

    Examples:
        >>> found = best_f1([0.9, 0.8, 0.1], [1, 1, 0])
        >>> found.score, round(found.value, 2)
        (1.0, 0.45)
    """
    column, match = _labelled(similarity, label)
    value, called, hits = _cuts(column, match)
    f1 = 2.0 * hits / np.maximum(called + match.sum(), 1)
    best = int(np.argmax(f1))
    return _threshold((value, called, hits), match, best, float(f1[best]))


def _cuts(column: FloatArray, match: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return thresholds from high to low, pairs called at each, and matches among them."""
    order = np.argsort(-column, kind="stable")
    falling = column[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    below = np.append(falling[1:], falling[-1])[ends]
    middle = (falling[ends] + below) / 2  # halfway to the next similarity
    called = np.concatenate(([0.0], ends + 1.0))
    hits = np.concatenate(([0.0], match[order].cumsum()[ends].astype(np.float64)))
    return np.concatenate(([np.inf], middle)), called, hits


def _threshold(
    cuts: tuple[FloatArray, FloatArray, FloatArray], match: BoolArray, best: int, score: float
) -> Threshold:
    value, called, hits = cuts
    return Threshold(
        value=float(value[best]),
        score=score,
        precision=float(hits[best] / called[best]) if called[best] else 0.0,
        recall=float(hits[best] / match.sum()) if match.any() else 0.0,
    )


def pair_accuracy(similarity: npt.ArrayLike, label: npt.ArrayLike, *, threshold: float) -> float:
    """Return the share of pairs on the right side of a threshold.

    Args:
        similarity: Similarity of each pair, shape `(n,)`.
        label: 1 for a matching pair, else 0, shape `(n,)`.
        threshold: Pairs of at least this similarity are called matching.
    """
    column, match = _labelled(similarity, label)
    return float(((column >= threshold) == match).mean())


def pair_spearman(similarity: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Return Spearman's correlation of similarities and graded scores; NaN if one is constant.

    Args:
        similarity: Similarity of each pair, shape `(n,)`.
        score: Graded similarity that was asked for, shape `(n,)`.
    """
    first = check.finite("similarity", np.asarray(similarity))
    second = check.finite("score", np.asarray(score))
    if not check.same_length(similarity=first, score=second):
        return float("nan")
    return correlation(average_ranks(first), average_ranks(second))


def triplet_accuracy(
    positive: npt.ArrayLike, negative: npt.ArrayLike, *, margin: float = 0.0
) -> float:
    """Return the share of triplets whose positive is more similar than their negative.

    Args:
        positive: Similarity of anchor and positive, shape `(n,)`.
        negative: Similarity of anchor and negative, shape `(n,)`.
        margin: How much more similar it must be, not below 0.
    """
    check.not_negative("margin", margin)
    first = check.finite("positive", np.asarray(positive))
    second = check.finite("negative", np.asarray(negative))
    if not check.same_length(positive=first, negative=second):
        raise InvalidDataError("positive and negative must hold one or more triplets.")
    return float((first > second + margin).mean())


def _unit_rows(name: str, rows: npt.ArrayLike) -> FloatArray:
    table = check.finite(name, np.asarray(rows))
    length = np.sqrt((table**2).sum(axis=-1, keepdims=True)) if table.ndim == 2 else None
    if length is None or not table.size or (length == 0).any():
        raise InvalidDataError(f"{name} must be (n, dim) vectors that are not zero.")
    unit: FloatArray = table / length
    return unit


def alignment(left: npt.ArrayLike, right: npt.ArrayLike, *, power: float = 2.0) -> float:
    """Return the mean distance of matching pairs on the unit sphere, to a power; 0 is best.

    `E |x - y|^power` over vectors scaled to unit length.

    Args:
        left: Vectors, shape `(n, dim)`.
        right: Vectors of their partners, shape `(n, dim)`.
        power: Power of the distance, above 0.

    References:
        Wang and Isola (2020), "Understanding contrastive representation learning through
        alignment and uniformity on the hypersphere", ICML.
    """
    check.positive("power", power)
    first, second = _unit_rows("left", left), _unit_rows("right", right)
    if first.shape != second.shape:
        raise InvalidDataError(f"left and right must match, got {first.shape}, {second.shape}.")
    distance = np.sqrt(((first - second) ** 2).sum(axis=1))
    return float((distance**power).mean())


def uniformity(vectors: npt.ArrayLike, *, temperature: float = 2.0) -> float:
    """Return how evenly vectors fill the unit sphere: lower is more even, 0 all in one point.

    `log E exp(-t |x - y|²)` over all pairs of different vectors scaled to unit length.

    Args:
        vectors: At least two vectors, shape `(n, dim)`.
        temperature: `t`, above 0.

    References:
        Wang and Isola (2020), ICML.
    """
    check.positive("temperature", temperature)
    unit = _unit_rows("vectors", vectors)
    n = len(unit)
    if n < 2:
        raise InvalidDataError(f"vectors must hold two or more, got {n}.")
    total = 0.0
    for low in range(0, n, 1024):  # blocks of the n by n similarities bound the memory
        squared = 2.0 - 2.0 * (unit[low : low + 1024] @ unit.T)
        total += float(np.exp(-temperature * np.maximum(squared, 0.0)).sum())
    return float(np.log(max((total - n) / (n * (n - 1)), np.finfo(np.float64).tiny)))
