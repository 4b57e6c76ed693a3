"""The network of SASRec, and its training."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.models.recommenders._holdout import hold_out_latest, watch
from siamrec.models.recommenders._loop import arrays_of, built, device_of, row_batches, train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.models.recommenders.sasrec import SASRec
    from siamrec.typing import BoolArray, CodeArray, Float32Array, IntArray


@final
class _Block(nn.Module):
    """Causal attention, then a small network, each around a straight path."""

    def __init__(self, factors: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before, self.between = nn.LayerNorm(factors), nn.LayerNorm(factors)
        self.look = nn.Linear(factors, 3 * factors)
        self.join = nn.Linear(factors, factors)
        self.widen, self.narrow = nn.Linear(factors, 4 * factors), nn.Linear(4 * factors, factors)

    @override
    def forward(self, x: Tensor) -> Tensor:
        n, length, factors = x.shape
        parts = self.look(self.before(x)).view(n, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        # what lies behind a history is padding, and causal attention never looks behind
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(
            query, key, value, is_causal=True, dropout_p=dropout
        )
        seen = self.join(seen.transpose(1, 2).reshape(n, length, factors))
        x = x + functional.dropout(seen, self.dropout, self.training)
        inner = self.narrow(functional.gelu(self.widen(self.between(x))))
        return x + functional.dropout(inner, self.dropout, self.training)


@final
class SASRecNet(nn.Module):
    """From item codes to one vector for each place."""

    def __init__(self, n_items: int, recipe: SASRec) -> None:
        super().__init__()
        self.item = nn.Embedding(n_items, recipe.factors)
        self.place = nn.Embedding(recipe.length, recipe.factors)
        nn.init.normal_(self.item.weight, std=0.02)
        nn.init.normal_(self.place.weight, std=0.02)
        self.blocks = nn.ModuleList(
            _Block(recipe.factors, recipe.heads, recipe.dropout) for _ in range(recipe.blocks)
        )
        self.last = nn.LayerNorm(recipe.factors)
        self.dropout = recipe.dropout

    @override
    def forward(self, item: Tensor, there: Tensor) -> Tensor:
        """Return the vectors of places, counted from the end of each history."""
        back = (
            there.sum(1, keepdim=True) - 1 - torch.arange(item.shape[1], device=item.device)
        ).clamp(min=0)
        x = self.item(item) * self.item.embedding_dim**0.5 + self.place(back)
        x = functional.dropout(x, self.dropout, self.training)
        for block in self.blocks:
            x = block(x)
        read: Tensor = self.last(x)
        return read


def _last(net: SASRecNet, item: Tensor, there: Tensor) -> Tensor:
    """Return the vector of the last place of each history; 0 without one."""
    read = net(item, there)
    end = (there.sum(1) - 1).clamp(min=0)
    last: Tensor = read[torch.arange(len(read), device=item.device), end]
    return last * there.any(1, keepdim=True)


def reader(
    recipe: SASRec, weights: Mapping[str, npt.NDArray[Any]]
) -> Callable[[CodeArray, BoolArray], Float32Array]:
    """Return a function from last items to vectors of people."""
    net = SASRecNet(len(weights["item.weight"]), recipe)
    net.load_state_dict({name: torch.as_tensor(array) for name, array in weights.items()})
    return partial(_read, net.eval())  # a function of its own could not be sent to a process


def _read(net: SASRecNet, item: CodeArray, there: BoolArray) -> Float32Array:
    with torch.no_grad():
        codes = torch.as_tensor(item.astype(np.int64))
        people: Float32Array = _last(net, codes, torch.as_tensor(there)).numpy()
    return people


def fit_sasrec(
    recipe: SASRec, history: Histories, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[Any]], TrainingRecord]:
    """Return the weights, and how training went."""
    device = device_of(recipe.device)
    left, held = hold_out_latest(history, recipe.validation, recipe.seed, positive=recipe.positive)
    owner, item = left.sequences(recipe.positive)
    length = np.bincount(owner, minlength=len(left))
    start = np.cumsum(length) - length
    people = np.flatnonzero(length > 1)
    n_items = left.value.shape[1]
    net: SASRecNet = built(lambda: SASRecNet(n_items, recipe), recipe)
    rng = np.random.default_rng((recipe.seed, 3))

    def put(array: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=device)

    def window(rows: IntArray) -> tuple[IntArray, BoolArray]:
        users = people[rows]
        size = np.minimum(length[users], recipe.length + 1)
        first = start[users] + rng.integers(0, length[users] - size + 1)
        place = np.arange(int(size.max()))
        there = place < size[:, None]
        return np.where(there, item[np.minimum(first[:, None] + place, item.size - 1)], 0), there

    def loss(rows: IntArray) -> Tensor:
        codes, there = window(rows)
        told = put(there[:, 1:])
        read = net(put(codes[:, :-1].astype(np.int64)), told)
        target = put(codes[:, 1:].astype(np.int64))
        if recipe.loss == "softmax":
            return functional.cross_entropy(read[told] @ net.item.weight.T, target[told])
        drawn = put(rng.integers(0, n_items, (rows.size, recipe.negatives)))
        each = gbce(read, target, drawn, net.item.weight, recipe.calibration)
        return each[told].mean()

    def score(_: CodeArray, histories: Histories) -> Float32Array:
        codes, there = histories.latest(recipe.length, recipe.positive)
        read = _last(net, put(codes.astype(np.int64)), put(there))
        table: Float32Array = (read @ net.item.weight.T).cpu().numpy()
        return table

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(people.size, recipe.batch_size, rng),
        n_batches=-(-people.size // recipe.batch_size),
        loss=loss,
        measure=watch(left, held, score),
        progress=progress,
    )
    return arrays_of(net), record


def gbce(read: Tensor, target: Tensor, drawn: Tensor, items: Tensor, calibration: float) -> Tensor:
    """Return generalised binary cross-entropy, `−[β log σ(s⁺) + Σ log(1 − σ(s⁻))]`.

    With the sampling rate `a = negatives / (n_items − 1)`,
    `β = a (calibration (1 − 1/a) + 1/a)`, so that at `calibration = 1` the scores estimate
    probabilities among all items in spite of the sampling.

    Args:
        read: Vectors of the places, shape `(n, length, factors)`.
        target: Item that comes next, shape `(n, length)`.
        drawn: Sampled items that all places of a person share, shape `(n, negatives)`.
        items: Vectors of all items, shape `(n_items, factors)`.
        calibration: `t` of the paper, in [0, 1].

    Returns:
        The loss of each place, shape `(n, length)`.
    """
    rate = min(1.0, drawn.shape[1] / max(1, len(items) - 1))
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    right = (read * items[target]).sum(2)
    wrong = read @ items[drawn].transpose(1, 2)
    # a drawn item that is the target is no negative
    wrong = wrong.masked_fill(drawn[:, None, :] == target[:, :, None], float("-inf"))
    each: Tensor = beta * functional.softplus(-right) + functional.softplus(wrong).sum(2)
    return each
