"""What a loss has learned or remembers, so that a checkpoint holds the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

FILE = "loss.safetensors"


def state_of(loss: torch.nn.Module, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return a copy of what a loss holds beside the model in training and frozen weights.

    That is what it learns (a classifier, weights of tasks, a decoder) and what it remembers in
    persistent buffers. What it shares with the model is in the model's own files.
    """
    shared = {tensor.data_ptr() for tensor in model.state_dict().values()}
    frozen = {name for name, weight in loss.named_parameters() if not weight.requires_grad}
    return {
        name: tensor.detach().cpu().clone().contiguous()
        for name, tensor in loss.state_dict().items()
        if tensor.data_ptr() not in shared and name not in frozen
    }


def save(loss: torch.nn.Module, model: torch.nn.Module, folder: Path) -> None:
    """Write what a loss holds, where it holds anything."""
    from safetensors.torch import save_file

    state = state_of(loss, model)
    if state:
        save_file(state, folder / FILE)


def load(loss: torch.nn.Module, folder: Path) -> None:
    """Read what `save` wrote into a loss built in the same way.

    Raises:
        StorageError: If the file holds what the loss does not know.
    """
    from safetensors.torch import load_file

    if not (folder / FILE).exists():
        return
    unknown = loss.load_state_dict(load_file(folder / FILE), strict=False).unexpected_keys
    if unknown:
        raise StorageError(f"{folder} holds {', '.join(unknown)}, which the loss does not know.")
