"""timeSVD++: SVD++ whose items and people drift."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from scipy import sparse
from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import DAY
from siamrec.data import NO_TIME
from siamrec.errors import InvalidDataError
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._ratings import Biases, FittedRatings, rated, star_of
from siamrec.models.recommenders.bias import BiasModel
from siamrec.models.recommenders.capability import Capability
from siamrec.models.recommenders.neural import NeuralRecipe, TrainingRecord
from siamrec.models.recommenders.search import Float, Integer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders._svdpp_net import Moments
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray, IntArray

_CAN = Capability.RATINGS | Capability.RANKING | Capability.WEIGHTS
_KIND = "time-svdpp"
_SHAPE = 0.4  # exponent of dev_u(t), cross-validated in the paper


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSVDpp(NeuralRecipe):
    """SVD++ with biases of items by span of time, and tastes of people that turn.

    `r̂_ui(t) = μ + b_u + α_u dev_u(t) + b_i + b_{i,span(t)} + q_i·(p_u + a_u dev_u(t)
    + |N_u|^-½ Σ_{j∈N_u} y_j)` with `dev_u(t) = sign(t − t_u) |t − t_u|^0.4`, in days from the
    person's mean time `t_u`. It knows training users only: a drift cannot be solved from one
    sitting.

    Args:
        factors: Length of the vectors, at least 1.
        l2: Penalty, above 0.
        calm: Penalty of each bias of a span and each drift, above 0; it counts once, not for
            every rating, so that spans with few ratings say little.
        spans: Equal parts of the time line, at least 1.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.InvalidDataError: On fitting, without a rating or a time.

    References:
        Koren (2009), Collaborative filtering with temporal dynamics, KDD, section 3.
    """

    capabilities: ClassVar[Capability] = _CAN
    search_space: ClassVar[Mapping[str, Range]] = {
        "l2": Float(0.02, 0.3, log=True),
        "learning_rate": Float(1e-3, 1e-2, log=True),
        "calm": Float(20.0, 2000.0, log=True),
        "spans": Integer(5, 50),
    }

    factors: int = 40
    l2: float = 0.1
    calm: float = 200.0
    spans: int = 30
    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 3e-3
    validation: float = 0.0

    def __post_init__(self) -> None:
        self._check_training()
        check.count("factors", self.factors)
        check.positive("l2", self.l2)
        check.positive("calm", self.calm)
        check.count("spans", self.spans)

    @override
    def fit(
        self,
        feedback: Feedback,
        *,
        catalog: Catalog | None = None,
        progress: Progress | None = None,
    ) -> FittedTimeSVDpp:
        """Return the arm fitted to `feedback`; `progress` hears of every pass."""
        from siamrec.models.recommenders._svdpp_net import Moments, fit_svdpp  # its torch half

        history = rated(feedback, "TimeSVDpp")
        ratings = history.ratings
        if ratings.time is None or (ratings.time.data == NO_TIME).any():
            raise InvalidDataError("TimeSVDpp needs the time of every rating.")
        days, owner = ratings.time.data / DAY, ratings.owner
        count = np.maximum(np.bincount(owner, minlength=len(history)), 1)
        middle = np.bincount(owner, weights=days, minlength=len(history)) / count
        line = np.array([days.min(), max(days.max(), days.min() + 1e-9)])
        weights, record = fit_svdpp(
            self,
            ratings,
            factors=self.factors,
            l2=self.l2,
            moments=Moments(self.span_of(days, line), deviation(days - middle[owner])),
            spans=self.spans,
            calm=self.calm,
            progress=progress,
        )
        moments = Moments(self.span_of(days, line), deviation(days - middle[owner]))
        weights |= self._people(ratings, weights, moments)
        parts = {"users": feedback.users, "items": feedback.items, "history": history}
        unit = np.array([star_of(ratings.value.data)])
        arrays = {**weights, "middle": middle, "line": line, "unit": unit}
        return FittedTimeSVDpp(self, parts | arrays, record)

    def _people(
        self, ratings: Histories, part: Mapping[str, Any], moments: Moments
    ) -> dict[str, FloatArray]:
        """Solve what is linear, `b_u, α_u, p_u, a_u`, exactly, given the items' side."""
        value = ratings.value / star_of(ratings.value.data)
        heavy = ratings.weights.astype(np.float64)
        n, d = value.shape[0], self.factors
        solved = np.zeros((n, 2 * d + 2))
        for user in range(n):  # people differ in length: one solve for each
            own = slice(int(value.indptr[user]), int(value.indptr[user + 1]))
            item, turned = value.indices[own], moments.drift[own, None]
            still = np.column_stack([part["vectors"][item], np.ones(item.size)]).astype(float)
            x = np.column_stack([still, turned * still])
            known = part["rated"][item].sum(axis=0) / np.sqrt(max(item.size, 1))
            left = value.data[own] - part["mean"] - part["item"][item]
            left = left - part["span"][item, moments.span[own]] - part["vectors"][item] @ known
            weighed = x.T * heavy[own]
            penalty = np.repeat([self.l2 * (heavy[own].sum() or 1.0), self.calm], d + 1)
            solved[user] = np.linalg.solve(weighed @ x + np.diag(penalty), weighed @ left)
        names = {"people": slice(0, d), "turn": slice(d + 1, 2 * d + 1)}
        vectors = {name: solved[:, where] for name, where in names.items()}
        return {**vectors, "user": solved[:, d], "drift": solved[:, -1]}

    def span_of(self, days: FloatArray, line: FloatArray) -> IntArray:
        """Return the span of each day of the time line; days outside count as its ends."""
        share = (days - line[0]) / (line[1] - line[0])
        spans: IntArray = np.clip((share * self.spans).astype(np.int64), 0, self.spans - 1)
        return spans

    @staticmethod
    def load(path: str | Path) -> FittedTimeSVDpp:
        """Return an arm that `save` wrote."""
        recipe, parts = load_arm(path, kind=_KIND)
        return FittedTimeSVDpp(TimeSVDpp(**recipe), parts, TrainingRecord.of(parts))


def deviation(days: FloatArray) -> FloatArray:
    """Return `sign(d) |d|^0.4`."""
    turned: FloatArray = np.sign(days) * np.abs(days) ** _SHAPE
    return turned


@final
class FittedTimeSVDpp(FittedRatings):
    """The parameters of timeSVD++; without a time, predictions are for the end of training.

    Attributes:
        training: How the training went.
    """

    capabilities: ClassVar[Capability] = _CAN

    def __init__(
        self, recipe: TimeSVDpp, parts: Mapping[str, Any], training: TrainingRecord
    ) -> None:
        self.recipe, self.training = recipe, training
        self.users, self.items, self.history = parts["users"], parts["items"], parts["history"]
        self._part = {name: parts[name] for name in _ARRAYS}
        unit, item = float(parts["unit"][0]), parts["item"].astype(np.float64)
        mean = unit * float(parts["mean"][0])
        self.bias = Biases(mean, unit * item, BiasModel().user_damping, unit)

    @override
    def score(self, histories: Histories) -> Float32Array:
        part = self._part
        user, day = self._who(histories), part["line"][1]
        turned = np.where(user >= 0, deviation(day - part["middle"][user]), 0.0)
        span = int(self.recipe.span_of(np.array([day]), part["line"])[0])
        own = np.where(user >= 0, part["user"][user] + part["drift"][user] * turned, 0.0)
        items = part["mean"] + part["item"] + part["span"][:, span]
        table = self._people_at(histories, user, np.arange(len(user)), turned) @ part["vectors"].T
        stars = table + own[:, None] + items
        scores: Float32Array = (self.bias.unit * stars).astype(np.float32)
        return scores

    @override
    def rate(
        self, histories: Histories, row: IntArray, item: IntArray, time: IntArray | None
    ) -> FloatArray:
        part = self._part
        user = self._who(histories)
        of = user[row]
        days = np.full(row.size, part["line"][1]) if time is None else time / DAY
        turned = np.where(of >= 0, deviation(days - part["middle"][of]), 0.0)
        own = np.where(of >= 0, part["user"][of] + part["drift"][of] * turned, 0.0)
        person = self._people_at(histories, user, row, turned)
        span = part["span"][item, self.recipe.span_of(days, part["line"])]
        product = np.einsum("nd,nd->n", person, part["vectors"][item])
        stars: FloatArray = part["mean"] + own + part["item"][item] + span + product
        return self.bias.unit * stars

    def _who(self, histories: Histories) -> IntArray:
        if histories.user is None:
            return np.full(len(histories), -1, dtype=np.int64)
        return histories.user.astype(np.int64)

    def _people_at(
        self, histories: Histories, user: IntArray, row: IntArray, turned: FloatArray
    ) -> FloatArray:
        """Return the vector of the person of each `row`, turned by `dev_u(t)`."""
        part, value = self._part, histories.ratings.value
        ones = sparse.csr_array(
            (np.ones(value.nnz), value.indices, value.indptr), shape=value.shape
        )
        count = np.maximum(np.diff(value.indptr), 1)
        still = (ones @ part["rated"]) / np.sqrt(count)[:, None]
        still[user >= 0] += part["people"][user[user >= 0]]
        turn = np.where(user[:, None] >= 0, part["turn"][user], 0.0)
        people: FloatArray = still[row] + turn[row] * turned[:, None]
        return people

    @override
    def save(self, path: str | Path) -> None:
        arrays = {**self._part, **self.training.arrays()}
        save_arm(path, self, kind=_KIND, recipe=asdict(self.recipe), arrays=arrays)


_ARRAYS = (
    "mean",
    "user",
    "item",
    "people",
    "vectors",
    "rated",
    "span",
    "drift",
    "turn",
    "middle",
    "line",
    "unit",
)
