"""Training of two towers with logQ-corrected negatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from siamrec.models.recommenders._holdout import hold_out, watch
from siamrec.models.recommenders._loop import arrays_of, built, device_of, row_batches, train

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.models.recommenders.two_tower import TwoTower
    from siamrec.typing import CodeArray, Float32Array, FloatArray


@final
class Tower(nn.Module):
    """One hidden layer beside a straight path."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.inner = nn.Linear(factors, 2 * factors)
        self.outer = nn.Linear(2 * factors, factors)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def read(self, x: Tensor) -> Tensor:
        """Return unit vectors."""
        read = x + self.outer(torch.relu(self.inner(x)))
        return functional.normalize(read, dim=1, eps=1e-6)


@final
class TwoTowerNet(nn.Module):
    """Both towers over what items enter with."""

    def __init__(self, n_items: int, factors: int, feature: Tensor) -> None:
        super().__init__()
        self.feature = feature
        self.own = nn.Parameter(torch.randn(n_items, factors) / factors**0.5)
        self.map = nn.Linear(feature.shape[1], factors, bias=False) if feature.shape[1] else None
        self.person, self.thing = Tower(factors), Tower(factors)

    def entry(self, named: Tensor) -> Tensor:
        """Return what items enter with; those not `named` without their own vector."""
        entry = self.own * named[:, None]
        return entry if self.map is None else entry + self.map(self.feature)


def sampled_softmax(logits: Tensor, place: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross-entropy of one positive each against all that is not known to suit.

    Args:
        logits: Scores of shared candidates, shape `(n, n_candidates)`.
        place: Place of the positive, shape `(n,)`.
        known: Candidates that are no negatives, shape `(n, n_candidates)`.
    """
    own = logits.gather(1, place[:, None])
    rivals = logits.masked_fill(known, float("-inf"))
    return functional.cross_entropy(rivals.scatter(1, place[:, None], own), place)


def log_q(count: FloatArray, batch_size: int, even: int) -> FloatArray:
    """Return log of how often an item is expected among the negatives of a batch.

    Args:
        count: Likings of each item, shape `(n_items,)`.
        batch_size: Items of a batch that come by their likings.
        even: Items of a batch that are drawn evenly.
    """
    expected = batch_size * count / max(count.sum(), 1.0) + even / max(count.size, 1)
    rate: FloatArray = np.log(np.maximum(expected, 1e-9))
    return rate


@final
class _Batches:
    """What a batch of likings is made of.

    Args:
        recipe: Settings of the arm.
        liked: Likings to train on, shape `(n_users, n_items)`.
        feature: Features of the items, shape `(n_items, n_features)`.
    """

    def __init__(self, recipe: TwoTower, liked: sparse.csr_array, feature: Float32Array) -> None:
        self.recipe, self.liked = recipe, liked
        self.device = device_of(recipe.device)
        self.length = np.diff(liked.indptr)
        self.user = np.repeat(np.arange(liked.shape[0]), self.length)
        # who liked one thing alone is nobody without it, and has nothing to tell
        self.told = np.flatnonzero(self.length[self.user] > 1)
        count = np.bincount(liked.indices, minlength=liked.shape[1]).astype(np.float64)
        rate = log_q(count, recipe.batch_size, recipe.even_negatives)
        self.rate = self.put(rate.astype(np.float32))
        # an item nobody has liked has learned no vector of its own
        self.met = self.put((count > 0).astype(np.float32))
        self.described = feature.any(axis=1)
        # and an item that is nothing at all has no direction
        self.there = np.flatnonzero((count > 0) | self.described)
        self.rng = np.random.default_rng((recipe.seed, 3))

    def put(self, array: npt.NDArray[Any]) -> Tensor:
        """Move an array to the device."""
        return torch.as_tensor(array, device=self.device)

    def sums(self, users: npt.NDArray[Any], entry: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of what users liked, and how much that is."""
        bag = self.liked[users]
        item, start = bag.indices.astype(np.int64), bag.indptr[:-1].astype(np.int64)
        total = functional.embedding_bag(self.put(item), entry, self.put(start), mode="sum")
        return total, self.put(self.length[users].astype(np.float32))[:, None]

    def loss(self, net: TwoTowerNet, rows: npt.NDArray[np.int64]) -> Tensor:
        """Return the loss of some likings."""
        recipe, put, liking = self.recipe, self.put, self.told[rows]
        named = (self.rng.random(self.described.size) >= recipe.unnamed) | ~self.described
        entry = net.entry(self.met * put(named.astype(np.float32)))
        users, of = np.unique(self.user[liking], return_inverse=True)
        target = self.liked.indices[liking].astype(np.int64)
        even = self.rng.choice(self.there, recipe.even_negatives)
        candidates, place = np.unique(np.concatenate([target, even]), return_inverse=True)
        # whatever else the person likes is no negative
        known = put(self.liked[users][:, candidates].toarray() != 0)
        total, size = (part[put(of)] for part in self.sums(users, entry))
        people = net.person.read((total - entry[put(target)]) / (size - 1))
        logits = people @ net.thing.read(entry[put(candidates)]).T / recipe.temperature
        if recipe.log_q:
            logits = logits - self.rate[put(candidates)]
        return sampled_softmax(logits, put(place[: rows.size]), known[put(of)])


def fit_two_tower(
    recipe: TwoTower, history: Histories, feature: Float32Array, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[Any]], TrainingRecord]:
    """Return item vectors and the tower of people, and how training went."""
    left, held = hold_out(history, recipe.validation, recipe.seed, positive=recipe.positive)
    batches = _Batches(recipe, left.liked(recipe.positive), feature)
    table = batches.put(feature)
    net: TwoTowerNet = built(lambda: TwoTowerNet(len(feature), recipe.factors, table), recipe)

    def score(users: CodeArray, _: Histories) -> Float32Array:
        entry = net.entry(batches.met)
        total, size = batches.sums(users, entry)
        people = net.person.read(total / size.clamp(min=1))
        scores: Float32Array = (people @ net.thing.read(entry).T).cpu().numpy()
        return scores

    n = batches.told.size
    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(n, recipe.batch_size, rng),
        n_batches=-(-n // recipe.batch_size),
        loss=lambda rows: batches.loss(net, rows),
        measure=watch(left, held, score),
        progress=progress,
    )
    with torch.no_grad():
        entry = net.entry(batches.met)
        vectors = net.thing.read(entry)
    tower = arrays_of(net.person)
    return {"entry": entry.cpu().numpy(), "vectors": vectors.cpu().numpy(), **tower}, record
