"""Training of SVD++ and timeSVD++ in batches of people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.models.recommenders._loop import arrays_of, built, device_of, row_batches, train
from siamrec.models.recommenders._ratings import star_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import NeuralRecipe, Progress, TrainingRecord
    from siamrec.typing import FloatArray, IntArray

    Arrays = dict[str, npt.NDArray[Any]]


@final
@dataclass(frozen=True, slots=True)
class Moments:
    """When ratings were given, as timeSVD++ sees it.

    Attributes:
        span: Part of the time line, shape `(n,)`.
        drift: `dev_u(t)`, signed distance from the person's mean day, shape `(n,)`.
    """

    span: IntArray
    drift: FloatArray

    def at(self, entry: IntArray) -> Moments:
        """Return the moments of some ratings."""
        return Moments(self.span[entry], self.drift[entry])


@final
@dataclass(frozen=True, slots=True)
class _Batch:
    """People, the items each has rated, and pairs of a row and an item to predict."""

    user: Tensor
    count: Tensor
    rated: Tensor
    row: Tensor
    item: Tensor
    moments: tuple[Tensor, Tensor] | None


@final
class SVDppNet(nn.Module):
    """The parameters of SVD++, and with spans those of timeSVD++."""

    def __init__(
        self, shape: tuple[int, int], *, factors: int, mean: float, spans: int, calm: float
    ) -> None:
        super().__init__()
        n_users, n_items = shape
        self.mean, self.calm = mean, calm
        self.user = nn.Parameter(torch.zeros(n_users))
        self.item = nn.Parameter(torch.zeros(n_items))
        scale = 0.1 / factors**0.5
        self.people = nn.Parameter(scale * torch.randn(n_users, factors))
        self.vectors = nn.Parameter(scale * torch.randn(n_items, factors))
        self.rated = nn.Parameter(scale * torch.randn(n_items, factors))
        if spans:
            self.span = nn.Parameter(torch.zeros(n_items, spans))
            self.drift = nn.Parameter(torch.zeros(n_users))
            self.turn = nn.Parameter(torch.zeros(n_users, factors))

    @override
    def forward(self, batch: _Batch) -> tuple[Tensor, Tensor]:
        """Return predicted ratings, and the sum of squares to be penalised."""
        start = torch.cumsum(batch.count, 0) - batch.count
        known = functional.embedding_bag(batch.rated, self.rated, start, mode="sum")
        known = known / batch.count.clamp(min=1).sqrt()[:, None]
        own, vector = self.people[batch.user], self.vectors[batch.item]
        user, item = self.user[batch.user], self.item[batch.item]
        person = (own + known)[batch.row]
        rating = self.mean + user[batch.row] + item
        pairs = torch.bincount(batch.row, minlength=len(batch.user))
        size = ((own.square().sum(1) + user.square()) * pairs).sum()
        size = size + vector.square().sum() + item.square().sum()
        size = size + self.rated[batch.rated].square().sum()
        if batch.moments is not None:
            span, drift = batch.moments
            of_user = batch.user[batch.row]
            of_span, slope, turn = (
                self.span[batch.item, span],
                self.drift[of_user],
                self.turn[of_user],
            )
            rating = rating + of_span + slope * drift
            person = person + turn * drift[:, None]
            # damped by count, not by share: most spans of an item hold one rating or two
            share = len(batch.user) / len(self.user)
            steady = self.drift[batch.user].square().sum() + self.turn[batch.user].square().sum()
            size = size + self.calm * (steady + share * self.span.square().sum())
        return rating + (person * vector).sum(1), size


def fit_svdpp(
    recipe: NeuralRecipe,
    ratings: Histories,
    *,
    factors: int,
    l2: float,
    moments: Moments | None = None,
    spans: int = 0,
    calm: float = 0.0,
    progress: Progress | None,
) -> tuple[Arrays, TrainingRecord]:
    """Return the arrays, learned in stars, and how training went; an error counts its weight."""
    device = device_of(recipe.device)
    value, weights = ratings.value / star_of(ratings.value.data), ratings.weights
    n_users = value.shape[0]
    mean = float(np.average(value.data, weights=weights.astype(np.float64)))
    net: SVDppNet = built(
        lambda: SVDppNet(value.shape, factors=factors, mean=mean, spans=spans, calm=calm / l2),
        recipe,
    )
    rng = np.random.default_rng((recipe.seed, 1))
    held = rng.random(value.nnz) < recipe.validation
    owner = np.repeat(np.arange(n_users), np.diff(value.indptr))

    def batch_of(users: IntArray, *, predict_held: bool) -> tuple[_Batch, Tensor, Tensor]:
        inside = np.full(n_users, -1, dtype=np.int64)
        inside[users] = np.arange(users.size)
        entry = _entries(value, users)
        given, asked = entry[~held[entry]], entry[held[entry] == predict_held]
        row = inside[owner[given]]

        def put(array: Any) -> Tensor:
            return torch.as_tensor(array, device=device)

        when = None if moments is None else moments.at(asked)
        batch = _Batch(
            put(users),
            put(np.bincount(row, minlength=users.size)),
            put(value.indices[given].astype(np.int64)),
            put(inside[owner[asked]]),
            put(value.indices[asked].astype(np.int64)),
            None if when is None else (put(when.span), put(when.drift.astype(np.float32))),
        )
        return batch, put(value.data[asked].astype(np.float32)), put(weights[asked])

    def loss(users: IntArray) -> Tensor:
        batch, rating, weight = batch_of(users, predict_held=False)
        predicted, size = net(batch)
        # per person, so that the step size does not depend on how many ratings they gave
        total: Tensor = (weight * (predicted - rating).square()).sum() + l2 * size
        return total / users.size

    def measure() -> float:
        batch, rating, _ = batch_of(np.arange(n_users), predict_held=True)
        return -float((net(batch)[0] - rating).square().mean().sqrt())

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(n_users, recipe.batch_size, rng),
        n_batches=-(-n_users // recipe.batch_size),
        loss=loss,
        measure=measure if held.any() else None,
        progress=progress,
    )
    return {"mean": np.array([mean]), **arrays_of(net)}, record


def _entries(value: sparse.csr_array, users: IntArray) -> IntArray:
    count = np.diff(value.indptr)[users].astype(np.int64)
    first = value.indptr[users] - (np.cumsum(count) - count)
    entries: IntArray = np.repeat(first, count) + np.arange(count.sum())
    return entries
