"""ELSA in torch: item vectors whose products rebuild what people liked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.models.recommenders._holdout import hold_out, watch
from siamrec.models.recommenders._loop import built, device_of, row_batches, train

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.models.recommenders.elsa import ELSA
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.typing import CodeArray, Float32Array


@final
class ELSANet(nn.Module):
    """One vector for each item; only its direction counts."""

    def __init__(self, n_items: int, factors: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(n_items, factors) / factors**0.5)

    @override
    def forward(self, items: Tensor) -> Tensor:
        """Return unit vectors of items."""
        return functional.normalize(self.vectors[items], dim=1)


def fit_elsa(
    recipe: ELSA, history: Histories, progress: Progress | None
) -> tuple[Float32Array, TrainingRecord]:
    """Return unit vectors of the items, and how training went; NDCG@10 is watched."""
    device = device_of(recipe.device)
    left, held = hold_out(history, recipe.validation, recipe.seed, positive=recipe.positive)
    liked = left.liked(recipe.positive)
    people = np.flatnonzero(np.diff(liked.indptr))
    n_items = liked.shape[1]
    net: ELSANet = built(lambda: ELSANet(n_items, recipe.factors), recipe)
    rng = np.random.default_rng((recipe.seed, 3))

    def put(array: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=device)

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        batch = liked[people[rows]]
        few = 0 < recipe.negatives < n_items
        drawn = rng.integers(0, n_items, recipe.negatives) if few else np.arange(n_items)
        items, place = np.unique(np.concatenate([batch.indices, drawn]), return_inverse=True)
        x = torch.zeros((rows.size, items.size), device=device)
        row = np.repeat(np.arange(rows.size), np.diff(batch.indptr))
        x[put(row), put(place[: row.size])] = put(batch.data)
        vectors = net(put(items.astype(np.int64)))
        rebuilt = torch.relu(x @ vectors @ vectors.T - x)
        apart = functional.normalize(rebuilt, dim=1) - functional.normalize(x, dim=1)
        return apart.square().sum(1).mean()

    def score(users: CodeArray, _: Histories) -> Float32Array:
        vectors = functional.normalize(net.vectors, dim=1).cpu().numpy()
        table: Float32Array = (liked[users] @ vectors) @ vectors.T
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
    with torch.no_grad():
        unit: Float32Array = functional.normalize(net.vectors, dim=1).cpu().numpy()
    return unit, record
