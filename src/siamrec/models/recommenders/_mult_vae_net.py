"""Training of Mult-VAE."""

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

    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.mult_vae import MultVAE
    from siamrec.models.recommenders.neural import Progress, TrainingRecord
    from siamrec.typing import CodeArray, Float32Array


@final
class MultVAENet(nn.Module):
    """Encoder and decoder with one hidden layer each."""

    def __init__(self, n_items: int, hidden: int, factors: int) -> None:
        super().__init__()
        self.read = nn.Linear(n_items, hidden)
        self.mean = nn.Linear(hidden, factors)
        self.spread = nn.Linear(hidden, factors)
        self.write = nn.Linear(factors, hidden)
        self.out = nn.Linear(hidden, n_items)
        for layer in (self.read, self.mean, self.spread, self.write, self.out):
            nn.init.xavier_normal_(layer.weight)
            nn.init.trunc_normal_(layer.bias, std=0.001)

    def encoded(self, liked: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the taste."""
        x = functional.dropout(functional.normalize(liked, dim=1), dropout, self.training)
        read = torch.tanh(self.read(x))
        return self.mean(read), self.spread(read)

    def decoded(self, taste: Tensor) -> Tensor:
        """Return the logits of all items."""
        logits: Tensor = self.out(torch.tanh(self.write(taste)))
        return logits


def fit_mult_vae(
    recipe: MultVAE, history: Histories, progress: Progress | None
) -> tuple[dict[str, npt.NDArray[Any]], TrainingRecord]:
    """Return the weights, and how training went."""
    device = device_of(recipe.device)
    left, held = hold_out(history, recipe.validation, recipe.seed, positive=recipe.positive)
    liked = left.liked(recipe.positive)
    people = np.flatnonzero(np.diff(liked.indptr))
    net: MultVAENet = built(
        lambda: MultVAENet(liked.shape[1], recipe.hidden, recipe.factors), recipe
    )
    n_batches = -(-people.size // recipe.batch_size)
    step = 0

    def dense(rows: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(liked[rows].toarray(), device=device)

    def loss(rows: npt.NDArray[np.int64]) -> Tensor:
        nonlocal step
        x = dense(people[rows])
        mean, log_variance = net.encoded(x, recipe.dropout)
        taste = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        likely = (functional.log_softmax(net.decoded(taste), dim=1) * x).sum(1)
        apart = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        beta = recipe.kl * min(1.0, step / max(1, recipe.epochs * n_batches // 2))
        step += 1
        return (beta * apart - likely).mean()

    def score(users: CodeArray, _: Histories) -> Float32Array:
        table: Float32Array = net.decoded(net.encoded(dense(users), 0.0)[0]).cpu().numpy()
        return table

    record = train(
        net,
        recipe,
        batches=lambda rng: row_batches(people.size, recipe.batch_size, rng),
        n_batches=n_batches,
        loss=loss,
        measure=watch(left, held, score),
        progress=progress,
    )
    weights = arrays_of(net)
    weights["read.weight"] = np.ascontiguousarray(weights["read.weight"].T)  # rows of items
    return weights, record
