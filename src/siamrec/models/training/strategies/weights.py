"""Weights of a model by name: reading them out, mixing them, letting only some of them learn."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import torch

from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sentence_transformers import SentenceTransformer

Weights: TypeAlias = dict[str, torch.Tensor]

LAYER = re.compile(r"\blayers?\.(\d+)\.")
"""The number of a layer in the name of what stands in it."""


def weights_of(model: SentenceTransformer) -> Weights:
    """Return a copy of the weights, in the memory of the CPU."""
    return {name: t.detach().cpu().clone() for name, t in model.state_dict().items()}


def between(start: Weights, end: Weights, share: float) -> Weights:
    """Return the weights `share` of the way from `start` to `end`; whole numbers are the end's."""
    return {
        name: start[name].lerp(end[name], share) if end[name].is_floating_point() else end[name]
        for name in end
    }


def load(model: SentenceTransformer, weights: Mapping[str, torch.Tensor]) -> None:
    """Put weights into a model."""
    model.load_state_dict(dict(weights))


def freeze(model: SentenceTransformer, layers: int) -> None:
    """Let only the last `layers` layers learn.

    Raises:
        InvalidParameterError: If the model's layers cannot be told apart.
    """
    found = {name: LAYER.search(name) for name, _ in model.named_parameters()}
    depth = 1 + max((int(m.group(1)) for m in found.values() if m), default=-1)
    if not depth:
        raise InvalidParameterError(
            "strategy", "top-layers", "another one: this model has no layers"
        )
    for name, parameter in model.named_parameters():
        match = found[name]
        parameter.requires_grad_(match is not None and int(match.group(1)) >= depth - layers)
