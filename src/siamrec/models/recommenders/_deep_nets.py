"""Training of the neural rating arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.models.recommenders._holdout import hold_out, watch
from siamrec.models.recommenders._loop import arrays_of, built, device_of, row_batches, train

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    from siamrec.models.recommenders._ratings import Biases
    from siamrec.models.recommenders.attention_mf import AttentionMF
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.multi_task import MultiTaskMF
    from siamrec.models.recommenders.neu_mf import NeuMF
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.typing import CodeArray, Float32Array, IntArray

    Learned = tuple[dict[str, npt.NDArray[Any]], TrainingRecord]


def _vectors(n: int, d: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(n, d) * 0.1)


def _named(net: nn.Module) -> dict[str, npt.NDArray[Any]]:
    return {f"net.{name}": array for name, array in arrays_of(net).items()}


@final
class NeuMFNet(nn.Module):
    """A product of vectors and two layers over others."""

    def __init__(self, shape: tuple[int, int], recipe: NeuMF) -> None:
        super().__init__()
        d, wide = recipe.factors, recipe.hidden
        self.p, self.q = _vectors(shape[0], d), _vectors(shape[1], d)
        self.deep_p, self.deep_q = _vectors(shape[0], d), _vectors(shape[1], d)
        self.wide, self.slim = nn.Linear(2 * d, wide), nn.Linear(wide, wide // 2)
        self.out = nn.Linear(d + wide // 2, 1, bias=False)
        self.dropout = recipe.dropout

    @override
    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Return what is added to the biases of pairs."""
        product = self.p[user] * self.q[item]
        x = torch.cat([self.deep_p[user], self.deep_q[item]], dim=1)
        x = functional.dropout(x, self.dropout, self.training)
        x = torch.relu(self.slim(torch.relu(self.wide(x))))
        lift: Tensor = self.out(torch.cat([product, x], dim=1))[:, 0]
        return lift


def fit_neu_mf(
    recipe: NeuMF, left: sparse.csr_array, weights: Float32Array, progress: Progress | None
) -> Learned:
    """Return the network, and how training went; every squared error counts its weight."""
    device = device_of(recipe.device)
    net: NeuMFNet = built(lambda: NeuMFNet(left.shape, recipe), recipe)
    owner = np.repeat(np.arange(left.shape[0]), np.diff(left.indptr))
    user, item, error, heavy = (
        torch.as_tensor(column, device=device)
        for column in (owner, left.indices.astype(np.int64), left.data.astype(np.float32), weights)
    )
    held = np.random.default_rng((recipe.seed, 2)).random(left.nnz) < recipe.validation
    kept, out = np.flatnonzero(~held), torch.as_tensor(np.flatnonzero(held), device=device)

    def loss(rows: IntArray) -> Tensor:
        here = torch.as_tensor(kept[rows], device=device)
        gap: Tensor = net(user[here], item[here]) - error[here]
        return (heavy[here] * gap.square()).sum() / heavy[here].sum()

    def measure() -> float:
        return -float((net(user[out], item[out]) - error[out]).square().mean().sqrt())

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(kept.size, recipe.batch_size, rng),
        n_batches=-(-kept.size // recipe.batch_size),
        loss=loss,
        measure=measure if held.any() else None,
        progress=progress,
    )
    return _named(net), record


@final
class AttentionNet(nn.Module):
    """Keys, voices and factors of items, and a small network."""

    def __init__(self, n_items: int, recipe: AttentionMF) -> None:
        super().__init__()
        d = recipe.factors
        self.key, self.q = _vectors(n_items, d), _vectors(n_items, d)
        self.voice, self.rated = _vectors(n_items, d), _vectors(n_items, d)
        self.inner = nn.Linear(2 * d, recipe.hidden)
        self.out = nn.Linear(recipe.hidden, 1, bias=False)
        self.dropout = recipe.dropout

    @override
    def forward(self, item: Tensor, error: Tensor, there: Tensor) -> Tensor:
        """Return what is added for each rated item, read from the others, shape of `item`."""
        key, q = self.key[item], self.q[item]
        near = key @ key.transpose(1, 2) / key.shape[2] ** 0.5
        own = torch.eye(item.shape[1], dtype=torch.bool, device=item.device)
        near = near.masked_fill(own | ~there[:, None, :], -1e9)
        said = error[:, :, None] * self.voice[item] + self.rated[item]
        alone = there.sum(1)[:, None, None] < 2
        person = (near.softmax(2) @ said).masked_fill(alone, 0.0)
        person = functional.dropout(person, self.dropout, self.training)
        deep = self.out(torch.relu(self.inner(torch.cat([person, q], dim=2))))[:, :, 0]
        lift: Tensor = (person * q).sum(2) + deep
        return lift


def fit_attention_mf(
    recipe: AttentionMF, history: Histories, bias: Biases, progress: Progress | None
) -> Learned:
    """Return the network, and how training went."""
    device = device_of(recipe.device)
    net: AttentionNet = built(lambda: AttentionNet(history.value.shape[1], recipe), recipe)
    ratings = history.ratings
    left = bias.stars(ratings)
    draw = np.random.default_rng((recipe.seed, 2)).random(len(history))
    some = np.diff(left.indptr) > 0
    kept = np.flatnonzero(some & (draw >= recipe.validation))
    held = np.flatnonzero(some & (draw < recipe.validation))

    def errors(users: IntArray) -> Tensor:
        item, there = ratings.people(users.astype(np.int32)).latest(recipe.length)
        width = int(there.sum(axis=1).max())
        item, there = item[:, :width], there[:, :width]
        error = np.zeros(item.shape, dtype=np.float32)
        error[there] = left[np.repeat(users, there.sum(axis=1)), item[there]]
        codes, given, inside = (
            torch.as_tensor(column, device=device)
            for column in (item.astype(np.int64), error, there)
        )
        gap: Tensor = net(codes, given, inside) - given
        return gap[inside]

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(kept.size, recipe.batch_size, rng),
        n_batches=-(-kept.size // recipe.batch_size),
        loss=lambda rows: errors(kept[rows]).square().mean(),
        measure=(lambda: -float(errors(held).square().mean().sqrt())) if held.size else None,
        progress=progress,
    )
    return _named(net), record


@final
class MultiTaskNet(nn.Module):
    """Shared vectors, a weight of each factor for each task, and how far each task is trusted."""

    def __init__(self, shape: tuple[int, int], recipe: MultiTaskMF) -> None:
        super().__init__()
        self.p, self.q = _vectors(shape[0], recipe.factors), _vectors(shape[1], recipe.factors)
        self.head = nn.Parameter(torch.ones(3, recipe.factors))
        self.fame = nn.Parameter(torch.zeros(shape[1]))
        self.doubt = nn.Parameter(torch.zeros(3))
        self.dropout = recipe.dropout

    def person(self, users: Tensor) -> Tensor:
        """Return the vectors of users."""
        return functional.dropout(self.p[users], self.dropout, self.training)


def fit_multi_task(
    recipe: MultiTaskMF, history: Histories, bias: Biases, progress: Progress | None
) -> Learned:
    """Return vectors and heads, and how training went; NDCG@10 is watched."""
    device = device_of(recipe.device)
    part, held = hold_out(history, recipe.validation, recipe.seed, positive=recipe.positive)
    left, liked = bias.stars(part), part.liked(recipe.positive)
    net: MultiTaskNet = built(lambda: MultiTaskNet(left.shape, recipe), recipe)
    rng = np.random.default_rng((recipe.seed, 3))
    people = np.flatnonzero(np.diff(liked.indptr))

    def put(array: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=device)

    def loss(rows: IntArray) -> Tensor:
        users = people[rows]
        person = net.person(put(users))
        told, chosen = left[users].tocoo(), liked[users].tocoo()
        of, item = put(told.row.astype(np.int64)), put(told.col.astype(np.int64))
        said = (person[of] * net.head[0] * net.q[item]).sum(1)
        rating = (said - put(told.data.astype(np.float32))).square().mean()
        logits = (person * net.head[2]) @ net.q.T + net.fame
        of, item = put(chosen.row.astype(np.int64)), put(chosen.col.astype(np.int64))
        ranking = -logits.log_softmax(1)[of, item].mean()
        drawn = put(rng.integers(0, left.shape[1], (len(of), recipe.negatives)))
        apart = (person * net.head[1])[of]
        right = (apart * net.q[item]).sum(1) + net.fame[item]
        wrong = torch.einsum("nd,nkd->nk", apart, net.q[drawn]) + net.fame[drawn]
        liking = functional.softplus(-right).mean() + functional.softplus(wrong).mean()
        tasks = torch.stack([rating, liking, ranking])
        return (tasks * torch.exp(-net.doubt) + net.doubt).sum()

    def score(users: CodeArray, _: Histories) -> Float32Array:
        person = net.p[put(users.astype(np.int64))] * net.head[2]
        table: Float32Array = (person @ net.q.T + net.fame).cpu().numpy()
        return table

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(people.size, recipe.batch_size, rng),
        n_batches=-(-people.size // recipe.batch_size),
        loss=loss,
        measure=watch(part, held, score),
        progress=progress,
    )
    return _named(net), record
