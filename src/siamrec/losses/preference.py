"""Losses on preferences: one text before another for the same anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch.nn import functional
from typing_extensions import override

from siamrec._core import check
from siamrec.losses.base import EmbeddingLoss, Labels, Side, columns_of, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


def _gaps(embeddings: Sequence[Tensor], name: str) -> Tensor:
    """Cosine to the preferred text less that to each other one, `(batch, others)`."""
    anchor, better, *others = columns_of(embeddings, 3, name)
    preferred = functional.cosine_similarity(anchor, better)
    return preferred[:, None] - _stacked(anchor, others)


def _stacked(anchor: Tensor, others: Sequence[Tensor]) -> Tensor:
    return torch.stack([functional.cosine_similarity(anchor, other) for other in others], dim=1)


@final
class WeightedTriplet(EmbeddingLoss):
    r"""Margin between a positive and each negative, :math:`w \max(0, m - \cos_+ + \cos_-)`.

    Args:
        model: The model whose embeddings are judged.
        margin: Wanted difference of cosines, in (0, 2].

    References:
        Schroff, Kalenichenko, Philbin (2015), FaceNet, CVPR; on cosines, where a margin above 2
        can never be reached.
    """

    def __init__(self, model: nn.Module | None = None, *, margin: float = 0.2) -> None:
        super().__init__(model)
        self.margin = check.positive("margin", margin)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        missing = functional.relu(self.margin - _gaps(embeddings, "WeightedTriplet"))
        return weighted_mean(missing.mean(dim=1), Side.of(labels, plain="weight").weight)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"margin": self.margin}


@final
class BradleyTerry(EmbeddingLoss):
    r"""Likelihood of the preferences, :math:`-w \log \sigma(\beta (\cos_+ - \cos_-))`.

    Args:
        model: The model whose embeddings are judged.
        beta: Sharpness of the choice, above 0.

    References:
        Bradley and Terry (1952), Rank analysis of incomplete block designs, Biometrika 39.
    """

    def __init__(self, model: nn.Module | None = None, *, beta: float = 20.0) -> None:
        super().__init__(model)
        self.beta = check.positive("beta", beta)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        each = functional.softplus(-self.beta * _gaps(embeddings, "BradleyTerry"))
        return weighted_mean(each.mean(dim=1), Side.of(labels, plain="weight").weight)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"beta": self.beta}


@final
class ReferencePreference(EmbeddingLoss):
    r"""Likelihood of preferences beyond what the base already says.

    .. math:: -w \log \sigma\bigl(\beta [(\cos_+ - \cos_-) - \delta]\bigr)

    Each row's :math:`\delta` is the base's own difference of cosines, so what the base already
    tells apart brings no gradient: a guard against forgetting that is built in.

    Args:
        model: The model whose embeddings are judged.
        beta: Sharpness of the choice, above 0.

    References:
        Rafailov et al. (2023), Direct preference optimization, equation 7; with cosines for
        log-probabilities.
    """

    def __init__(self, model: nn.Module | None = None, *, beta: float = 10.0) -> None:
        super().__init__(model)
        self.beta = check.positive("beta", beta)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        gaps = _gaps(embeddings, "ReferencePreference")
        reference = 0.0 if side.value is None else side.value[:, None]
        each = functional.softplus(-self.beta * (gaps - reference))
        return weighted_mean(each.mean(dim=1), side.weight)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"beta": self.beta}
