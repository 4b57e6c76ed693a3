"""Training of LightGCN."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.models.recommenders._holdout import hold_out, watch
from siamrec.models.recommenders._linear import totals
from siamrec.models.recommenders._loop import built, device_of, row_batches, train

if TYPE_CHECKING:
    import numpy.typing as npt

    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.light_gcn import LightGCN
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.typing import CodeArray, Float32Array


@final
class _Spread(torch.autograd.Function):
    """Product with a sparse matrix whose transpose is at hand for the gradient."""

    @staticmethod
    @override
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ dense

    @staticmethod
    @override
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ gradients[0]


def _spread(matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
    spread: Tensor = _Spread.apply(matrix, transposed, dense)  # type: ignore[no-untyped-call]
    return spread


@final
class LightGCNNet(nn.Module):
    """Vectors before smoothing, and the graph."""

    def __init__(self, even: sparse.csr_array, factors: int, layers: int) -> None:
        super().__init__()
        n_users, n_items = even.shape
        self.layers = layers
        self.person = nn.Parameter(torch.randn(n_users, factors) * 0.1)
        self.item = nn.Parameter(torch.randn(n_items, factors) * 0.1)
        self.to_user, self.to_item = _csr(even), _csr(sparse.csr_array(even.T))

    def place(self, device: torch.device) -> LightGCNNet:
        """Move the graph, which is no parameter, to a device."""
        self.to_user, self.to_item = self.to_user.to(device), self.to_item.to(device)
        return self

    @override
    def forward(self) -> tuple[Tensor, Tensor]:
        """Return the smoothed vectors of people and items."""
        person: Tensor = self.person
        item: Tensor = self.item
        people, items = person, item
        for _ in range(self.layers):
            person, item = (
                _spread(self.to_user, self.to_item, item),
                _spread(self.to_item, self.to_user, person),
            )
            people, items = people + person, items + item
        return people / (self.layers + 1), items / (self.layers + 1)


def _csr(matrix: sparse.csr_array) -> Tensor:
    with warnings.catch_warnings():  # that compressed rows are in beta is no news to the caller
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.as_tensor(matrix.indptr.astype(np.int64)),
            torch.as_tensor(matrix.indices.astype(np.int64)),
            torch.as_tensor(matrix.data.astype(np.float32)),
            size=matrix.shape,
            check_invariants=True,
        )


def fit_light_gcn(
    recipe: LightGCN, history: Histories, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[Any]], TrainingRecord]:
    """Return the smoothed vectors, and how training went; an edge counts its weight."""
    device = device_of(recipe.device)
    left, held = hold_out(history, recipe.validation, recipe.seed, positive=recipe.positive)
    liked = left.liked(recipe.positive)
    user = np.repeat(np.arange(liked.shape[0]), np.diff(liked.indptr))
    item = liked.indices.astype(np.int64)
    of_user, of_item = totals(liked)
    heavy = torch.as_tensor(liked.data, device=device)
    even = sparse.csr_array(
        sparse.diags_array(of_user**-0.5) @ liked @ sparse.diags_array(of_item**-0.5)
    )
    net: LightGCNNet = built(
        lambda: LightGCNNet(even, recipe.factors, recipe.layers), recipe
    ).place(device)
    rng = np.random.default_rng((recipe.seed, 3))

    def put(array: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(array, device=device)

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        people, items = net()
        users, places = np.unique(user[rows], return_inverse=True)
        liked_item = put(item[rows])
        if recipe.loss == "softmax":
            table = functional.log_softmax(people[put(users)] @ items.T, dim=1)
            loss_of = -table[put(places), liked_item]
        else:
            own = people[put(user[rows])]
            other = items[put(rng.integers(0, liked.shape[1], rows.size))]
            loss_of = functional.softplus((own * (other - items[liked_item])).sum(1))
        weight = heavy[put(rows)]
        fit = (weight * loss_of).sum() / weight.sum()
        size = net.person[put(user[rows])].square().sum(1) + net.item[liked_item].square().sum(1)
        return fit + recipe.l2 * size.mean()

    def score(users: CodeArray, _: Histories) -> Float32Array:
        people, items = net()
        table: Float32Array = (people[put(users.astype(np.int64))] @ items.T).cpu().numpy()
        return table

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(item.size, recipe.batch_size, rng),
        n_batches=-(-item.size // recipe.batch_size),
        loss=loss,
        measure=watch(left, held, score),
        progress=progress,
    )
    with torch.no_grad():
        people, items = net()
    return {"person": people.cpu().numpy(), "vectors": items.cpu().numpy()}, record
