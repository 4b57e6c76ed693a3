"""Embedding the text columns of a batch: each text once, short ones without long ones' padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable

PIECE = 16
"""Texts in one forward pass; small pieces fit the caches of a CPU and waste little padding."""


def embedded(
    model: nn.Module, sentence_features: Iterable[dict[str, Any]], *, piece: int = PIECE
) -> list[Tensor]:
    """Return one embedding per row and column, as the model gives them.

    Rows with equal tokens are read once, and rows are read in order of length, so that no row is
    padded to the longest of the batch. Apart from what dropout draws, the result is that of one
    pass per column. Where features are not plain padded tokens, or somebody stands between the
    modules of the model, as `AdaptiveLayerLoss` does, columns are read one by one.

    Args:
        model: A model of sentence-transformers.
        sentence_features: Tokenized columns.
        piece: Texts in one forward pass.
    """
    columns = list(sentence_features)
    watched = any("forward" in vars(child) for child in model.children())
    plain = not watched and all(map(_plain, columns))
    if not plain or len({_layout(column) for column in columns}) != 1:
        return [model(column)["sentence_embedding"] for column in columns]
    rows = [column["input_ids"].shape[0] for column in columns]
    width = max(column["input_ids"].shape[1] for column in columns)
    tensors = [name for name, value in columns[0].items() if isinstance(value, Tensor)]
    joined = {name: torch.cat([_wide(c[name], width) for c in columns]) for name in tensors}
    rest = {name: value for name, value in columns[0].items() if name not in tensors}
    length = joined["attention_mask"].sum(dim=1)
    same = torch.cat([joined["input_ids"] * joined["attention_mask"], length[:, None]], dim=1)
    _, inverse = torch.unique(same, dim=0, return_inverse=True)
    first = torch.zeros(int(inverse.max()) + 1, dtype=torch.long, device=inverse.device)
    first.scatter_(
        0, inverse.flip(0), torch.arange(len(inverse) - 1, -1, -1, device=inverse.device)
    )
    order = torch.argsort(length[first], stable=True)
    pieces = [_pass(model, joined, rest, first[part]) for part in torch.split(order, piece)]
    back = torch.argsort(order)
    # index_select adds gradients of repeats in a fixed order; indexing would not.
    whole = torch.cat(pieces).index_select(0, back[inverse])
    return list(torch.split(whole, rows))


def _pass(
    model: nn.Module, joined: dict[str, Tensor], rest: dict[str, Any], rows: Tensor
) -> Tensor:
    width = int(joined["attention_mask"][rows].sum(dim=1).max())
    part = {name: value[rows][:, :width] for name, value in joined.items()}
    result: Tensor = model({**rest, **part})["sentence_embedding"]
    return result


def _plain(column: dict[str, Any]) -> bool:
    """Whether a column is a padded matrix of tokens with the padding on the right."""
    tokens, mask = column.get("input_ids"), column.get("attention_mask")
    if not isinstance(tokens, Tensor) or not isinstance(mask, Tensor) or tokens.ndim != 2:
        return False
    shapes = {value.shape for value in column.values() if isinstance(value, Tensor)}
    falls = bool((mask[:, 1:] <= mask[:, :-1]).all())
    return shapes == {tokens.shape} and mask.shape == tokens.shape and falls


def _layout(column: dict[str, Any]) -> tuple[Any, ...]:
    """What must agree between columns for one pass over both."""
    names = tuple(sorted(column))
    settings = tuple(str(column[n]) for n in names if not isinstance(column[n], Tensor))
    return names, settings


def _wide(tensor: Tensor, width: int) -> Tensor:
    return nn.functional.pad(tensor, (0, width - tensor.shape[1]))
