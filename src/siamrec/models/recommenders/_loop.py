"""The one training loop of all torch arms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from siamrec.errors import InvalidParameterError, TrainingDivergedError
from siamrec.models.recommenders.neural import EpochEnd, TrainingRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from siamrec.models.recommenders.neural import NeuralRecipe, Progress

B = TypeVar("B")


def device_of(name: str) -> torch.device:
    """Return the device that a recipe names.

    Raises:
        InvalidParameterError: If torch does not know it, or it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InvalidParameterError("device", name, "'auto' or a device that is there") from error
    return device


def built(make: Callable[[], torch.nn.Module], recipe: NeuralRecipe) -> Any:
    """Return the module on its device, with weights drawn from the seed of the recipe."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return make().to(device_of(recipe.device))


def train(
    module: torch.nn.Module,
    recipe: NeuralRecipe,
    *,
    batches: Callable[[np.random.Generator], Iterable[B]],
    n_batches: int,
    loss: Callable[[B], torch.Tensor],
    measure: Callable[[], float] | None,
    progress: Progress | None,
) -> TrainingRecord:
    """Train a module in place and leave the best weights in it.

    Args:
        module: What is trained; in training mode for steps, in evaluation mode for `measure`.
        recipe: The settings.
        batches: Draws the batches of one pass.
        n_batches: How many these are.
        loss: Loss of a batch; a mean, so that settings hold for any batch size.
        measure: The watched metric, more is better; None trains all epochs.
        progress: Hears of every pass.

    Raises:
        TrainingDivergedError: If a loss is not finite.
    """
    rng = np.random.default_rng(recipe.seed)
    optimiser = torch.optim.AdamW(
        module.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    cycle = n_batches * (recipe.cycle or recipe.epochs)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(
        optimiser, T_0=max(cycle, 1), T_mult=2 if recipe.cycle else 1
    )
    losses: list[float] = []
    norms: list[float] = []
    rates: list[float] = []
    watched: list[tuple[int, float]] = []
    best: dict[str, torch.Tensor] | None = None
    best_epoch = recipe.epochs
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)  # dropout
        for epoch in range(1, recipe.epochs + 1):
            module.train()
            before = len(losses)
            for batch in batches(rng):
                optimiser.zero_grad(set_to_none=True)
                value = loss(batch)
                value.backward()  # type: ignore[no-untyped-call]
                norm = torch.nn.utils.clip_grad_norm_(module.parameters(), recipe.clip)
                losses.append(float(value.detach()))
                norms.append(float(norm))
                rates.append(float(schedule.get_last_lr()[0]))
                if not np.isfinite(losses[-1] + norms[-1]):
                    raise TrainingDivergedError(
                        f"Step {len(losses)} had the loss {losses[-1]} and a gradient of norm "
                        f"{norms[-1]}; lower learning_rate (now {recipe.learning_rate})."
                    )
                optimiser.step()
                schedule.step()
            module.eval()
            found = None
            if measure is not None:
                with torch.no_grad():
                    found = measure()
                if best is None or found > max(value for _, value in watched):
                    best = {name: w.clone() for name, w in module.state_dict().items()}
                    best_epoch = epoch
                watched.append((len(losses), found))
            if progress is not None:
                mean = float(np.mean(losses[before:])) if len(losses) > before else float("nan")
                progress(EpochEnd(epoch, recipe.epochs, mean, found))
            if measure is not None and epoch - best_epoch >= recipe.patience:
                break
    if best is not None:
        module.load_state_dict(best)
    module.eval()
    return TrainingRecord(
        np.asarray(losses),
        np.asarray(norms),
        np.asarray(rates),
        np.asarray([step for step, _ in watched], dtype=np.int64),
        np.asarray([value for _, value in watched], dtype=np.float64),
        best_epoch,
    )


def arrays_of(module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Return the weights of a module by name."""
    return {name: w.detach().cpu().numpy().copy() for name, w in module.state_dict().items()}


def row_batches(n: int, size: int, rng: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Return the row numbers of a pass in random order, cut into batches."""
    order = rng.permutation(n)
    return [order[first : first + size] for first in range(0, n, size)]
