"""LoRA: a small change beside each frozen matrix, merged into it wherever weights are read out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from siamrec._core.lazy import extra
from siamrec.errors import InvalidParameterError
from siamrec.models.training.strategies.weights import LAYER, Weights, weights_of

if TYPE_CHECKING:
    from pathlib import Path

    from sentence_transformers import SentenceTransformer

_FILE = "lora.safetensors"
_ADAPTER = "default"
_MARK = ".lora_"


def insert(model: SentenceTransformer, *, rank: int, seed: int) -> None:
    r"""Put :math:`W + \tfrac{\alpha}{r} B A` in the place of each matrix W of a layer.

    W is frozen; A, of shape `(rank, inputs)`, is drawn and B, `(outputs, rank)`, is zero, so that
    the model says what it said before. The scale :math:`\alpha / r` is 2.

    Args:
        model: The model; changed in place.
        rank: Rank of the change.
        seed: Of the drawing.

    Raises:
        MissingExtraError: If peft is not installed.
        InvalidParameterError: If the model's layers cannot be told apart.

    References:
        Hu et al. (2022), LoRA: low-rank adaptation of large language models, ICLR.
    """
    peft = extra("peft", extra="lora", purpose="The strategy 'lora'")
    inner: Any = getattr(model[0], "auto_model", None)
    linear = [] if inner is None else _linear(inner)
    if not linear:
        raise InvalidParameterError("strategy", "lora", "another one: this model has no layers")
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=linear)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(settings, inner, _ADAPTER)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(_MARK in name)


def _linear(inner: torch.nn.Module) -> list[str]:
    return [
        name
        for name, module in inner.named_modules()
        if isinstance(module, torch.nn.Linear) and LAYER.search(name)
    ]


def merged(model: SentenceTransformer) -> Weights:
    """Return the weights under the names that they had before `insert`, the change added."""
    plain = {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in weights_of(model).items()
        if _MARK not in name
    }
    with torch.no_grad():
        for name, module in model.named_modules():
            if hasattr(module, "get_delta_weight"):
                change: torch.Tensor = module.get_delta_weight(_ADAPTER)
                plain[f"{name}.weight"] += change.cpu()
    return plain


def save(model: SentenceTransformer, folder: Path) -> None:
    """Write the changes alone, for a checkpoint."""
    from safetensors.torch import save_file

    changes = {name: t for name, t in weights_of(model).items() if _MARK in name}
    save_file(changes, folder / _FILE)


def load(model: SentenceTransformer, folder: Path) -> None:
    """Read what `save` wrote into a model with LoRA inserted."""
    from safetensors.torch import load_file

    model.load_state_dict(load_file(folder / _FILE), strict=False)
