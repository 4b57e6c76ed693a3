"""Training of two towers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from siamrec.errors import TrainingDivergedError
from siamrec.losses import KnownPositives, feedback_infonce

if TYPE_CHECKING:
    from siamrec.models.encoders.two_tower import TwoTowerTraining
    from siamrec.typing import CodeArray, Float32Array


@final
class _Side(nn.Module):
    """A tower in training.

    Args:
        inputs: Features of each id, `(n_ids, width)`.
        recipe: Settings.
        generator: Draws the start.
    """

    inputs: Tensor

    def __init__(
        self, inputs: Float32Array, recipe: TwoTowerTraining, generator: torch.Generator
    ) -> None:
        super().__init__()
        n, width = inputs.shape
        dim, hidden = recipe.dim, recipe.hidden

        def drawn(*shape: int) -> nn.Parameter:
            spread = 1.0 / math.sqrt(max(shape[-1], 1))
            return nn.Parameter(torch.randn(*shape, generator=generator) * spread)

        self.register_buffer("inputs", torch.from_numpy(np.array(inputs)))
        self.table = drawn(n, dim)
        self.weight = drawn(width, dim)
        self.bias = drawn(dim)
        self.inner = drawn(hidden, dim)
        self.inner_bias = nn.Parameter(torch.zeros(hidden))
        self.outer = nn.Parameter(torch.zeros(dim, hidden))

    @override
    def forward(self, ids: Tensor, shown: Tensor) -> Tensor:
        x = self.table.index_select(0, ids) * shown[:, None] + self.bias
        if self.inputs.shape[1]:
            x = x + self.inputs[ids] @ self.weight
        bent = functional.relu(x @ self.inner.T + self.inner_bias) @ self.outer.T
        return functional.normalize(x + bent, dim=1)

    def learned(self, met: Tensor) -> dict[str, Float32Array]:
        """Return tables by name; an id that was never met has nothing of its own."""
        found = {name: p.detach().numpy().copy() for name, p in self.named_parameters()}
        found["table"][~met.numpy()] = 0.0
        return found


def train_towers(
    recipe: TwoTowerTraining,
    user: CodeArray,
    item: CodeArray,
    weight: Float32Array,
    inputs: list[Float32Array],
) -> list[dict[str, Float32Array]]:
    """Return the tables of the users' tower and of the items' tower.

    Args:
        recipe: Settings.
        user: User of each like.
        item: Item of each like.
        weight: Weight of each like.
        inputs: Features of users and of items.

    Raises:
        TrainingDivergedError: If the loss is not finite.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    sides = nn.ModuleList([_Side(rows, recipe, generator) for rows in inputs])
    likes = KnownPositives(user.astype(np.int64), item.astype(np.int64), n_texts=len(inputs[1]))
    count = np.bincount(item, minlength=len(inputs[1]))
    rate = np.clip(count / count.sum(), 0.0, 1.0 - 1e-9)
    meets = -np.expm1(min(recipe.batch_size, item.size) * np.log1p(-rate))
    log_q = torch.from_numpy(np.log(np.maximum(meets, 1e-12)).astype(np.float32))
    optimiser = torch.optim.AdamW(
        sides.parameters(), lr=recipe.learning_rate, weight_decay=recipe.decay
    )
    steps = recipe.epochs * math.ceil(item.size / recipe.batch_size)
    done = 0
    for _ in range(recipe.epochs):
        order = rng.permutation(item.size)
        for begin in range(0, order.size, recipe.batch_size):
            rows = order[begin : begin + recipe.batch_size]
            candidates, positive = np.unique(item[rows], return_inverse=True)
            chosen, codes = torch.from_numpy(user[rows]), torch.from_numpy(candidates)
            shown = [
                torch.from_numpy((rng.random(part.numel()) >= recipe.hide).astype(np.float32))
                for part in (chosen, codes)
            ]
            loss = feedback_infonce(
                sides[0](chosen, shown[0]),
                sides[1](codes, shown[1]),
                torch.from_numpy(positive),
                scale=recipe.scale,
                weights=torch.from_numpy(weight[rows]),
                known=likes(chosen, codes),
                log_q=recipe.popularity * log_q[codes] if recipe.popularity else None,
            )
            if not bool(torch.isfinite(loss)):
                raise TrainingDivergedError(
                    f"The loss is {float(loss)} after {done} steps; lower learning_rate."
                )
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * (1.0 - done / steps)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            done += 1
    met = [torch.zeros(len(rows), dtype=torch.bool) for rows in inputs]
    met[0][torch.from_numpy(user).long()] = True
    met[1][torch.from_numpy(item).long()] = True
    towers = [side for side in sides if isinstance(side, _Side)]
    return [side.learned(seen) for side, seen in zip(towers, met, strict=True)]
