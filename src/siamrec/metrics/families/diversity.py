"""How different the items of one list are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError
from siamrec.metrics.base import POSITIVE, UNIT, Metric
from siamrec.metrics.families.accuracy import divided

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.metrics.view import EvaluationView
    from siamrec.statistics.means import Range
    from siamrec.typing import FloatArray

Distance: TypeAlias = (
    "Literal['cosine', 'euclidean', 'hamming', 'jaccard'] | Callable[[FloatArray], FloatArray]"
)
"""A distance between items by name, or a function from vectors to all their distances."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IntraListDiversity(Metric):
    """Mean distance between two items of a list; NaN for lists of fewer than two items.

    `ILD = mean over pairs i < j of d(i, j)`. The cosine distance `1 - cos` takes the closed form
    `1 - (|sum v|² - n) / (n (n - 1))` over unit vectors, so no pair is ever formed.

    Args:
        k: Cut-off; without it, whole lists.
        distance: `"cosine"`, `"euclidean"`, `"hamming"` (share of differing features),
            `"jaccard"` (over non-zero features), or a function from the vectors of one list,
            `(n, dim)`, to all distances between them, `(n, n)`, symmetric with 0 on the diagonal.

    References:
        Smyth and McClave (2001), ICCBR; Ziegler et al. (2005), WWW.

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> from siamrec.metrics._inputs import Inputs
        >>> from siamrec.metrics.view import EvaluationView
        >>> lists = Rankings.from_lists({"ann": ["a", "b"]})
        >>> view = EvaluationView(lists, inputs=Inputs(embeddings=[[1.0, 0.0], [0.0, 2.0]]))
        >>> IntraListDiversity(k=2).per_user(view)
        array([1.])
    """

    stem: ClassVar[str] = "ild"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    k: int | None = None
    distance: Distance = "cosine"

    @override
    def _check(self) -> None:
        if not callable(self.distance):
            check.one_of("distance", self.distance, ("cosine", "euclidean", "hamming", "jaccard"))

    @property
    @override
    def range(self) -> Range:
        return {"cosine": (0.0, 2.0), "hamming": UNIT, "jaccard": UNIT}.get(
            str(self.distance), POSITIVE
        )

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        if self.distance == "cosine":
            return _cosine_diversity(view, self.k)
        return _pairwise_diversity(view, self.k, self.distance)


def _cosine_diversity(view: EvaluationView, k: int | None) -> FloatArray:
    size = view.n_shown(k).astype(np.float64)
    total = view.sum_rows(view.listed(k), view.of_item.embeddings)
    square = np.einsum("ij,ij->i", total, total)
    spread = 1.0 - divided(square - size, size * (size - 1.0))
    return np.where(size > 1, np.clip(spread, 0.0, None), np.nan)


def _pairwise_diversity(view: EvaluationView, k: int | None, distance: Distance) -> FloatArray:
    features = view.of_item.features
    values = np.full(view.n_users, np.nan)
    for user in np.flatnonzero(view.n_shown(k) > 1):  # lists differ in length; each is one matrix
        low, high = view.start[user], view.start[user + 1]
        high = high if k is None else min(high, low + k)
        matrix = _distances(features[view.rankings.item[low:high]], distance)
        size = len(matrix)
        values[user] = matrix.sum() / (size * (size - 1))
    return values


def _distances(rows: FloatArray, distance: Distance) -> FloatArray:
    """Return all distances between rows, shape `(n, n)`.

    Raises:
        siamrec.errors.InvalidDataError: If a given function returns another shape.
    """
    matrix: FloatArray
    if callable(distance):
        matrix = np.asarray(distance(rows), dtype=np.float64)
        if matrix.shape != (len(rows), len(rows)):
            raise InvalidDataError(
                f"distance must return {(len(rows), len(rows))}, got shape {matrix.shape}."
            )
        return matrix
    if distance == "euclidean":
        difference = rows[:, None, :] - rows[None, :, :]
        matrix = np.sqrt((difference**2).sum(axis=2))
    elif distance == "hamming":
        matrix = (rows[:, None, :] != rows[None, :, :]).mean(axis=2)
    else:
        present = rows != 0
        both = (present[:, None, :] & present[None, :, :]).sum(axis=2)
        either = (present[:, None, :] | present[None, :, :]).sum(axis=2)
        matrix = 1.0 - divided(both, either, empty=1.0)
    return matrix


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Vendi(Metric):
    """Effective number of different items in a list: 1 all the same, n all at right angles.

    `exp` of the entropy of the eigenvalues of `K / n`, with `K` the cosines between the listed
    items; NaN for an empty list.

    Args:
        k: Cut-off; without it, whole lists.

    References:
        Friedman and Dieng (2023), "The Vendi score: a diversity evaluation metric for machine
        learning", TMLR.
    """

    stem: ClassVar[str] = "vendi"
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    k: int | None = None

    @property
    @override
    def range(self) -> Range:
        return (1.0, np.inf if self.k is None else float(self.k))

    @override
    def per_user(self, view: EvaluationView) -> FloatArray:
        unit = view.of_item.embeddings
        size = view.n_shown(self.k)
        values = np.full(view.n_users, np.nan)
        for user in np.flatnonzero(size):  # lists differ in length; each is one small matrix
            low = view.start[user]
            rows = unit[view.rankings.item[low : low + size[user]]]
            part = np.linalg.eigvalsh(rows @ rows.T / size[user])
            part = part[part > 1e-12]  # rounding of zeros
            values[user] = np.exp(-(part * np.log(part)).sum())
        return values
