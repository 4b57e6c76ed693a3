"""Losses around other losses: less memory, more negatives, several tasks, less forgetting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.losses.base import EmbeddingLoss, Labels, Loss, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@final
class GradCached(nn.Module):
    """Any embedding loss on large batches with the memory of small ones.

    Texts go through the model in pieces whose inner values are forgotten and computed again on
    the way back, so that memory grows with the piece and not with the batch; loss and gradients
    are the same. `MatryoshkaLoss` and `AdaptiveLayerLoss` keep what a model gives from pass to
    pass, which leaves nothing to compute again; they take the loss itself.

    Args:
        loss: The loss; its model embeds.
        mini_batch_size: Texts in a piece.

    Raises:
        InvalidParameterError: If the loss is no `EmbeddingLoss` or has no model, or, when it is
            called, if it stands inside `MatryoshkaLoss` or `AdaptiveLayerLoss`.

    References:
        Gao et al. (2021), Scaling deep contrastive learning batch size under memory limited
        setup; Chen et al. (2016), Training deep nets with sublinear memory cost.
    """

    def __init__(self, loss: EmbeddingLoss, *, mini_batch_size: int = 32) -> None:
        super().__init__()
        if not isinstance(loss, EmbeddingLoss):
            raise InvalidParameterError(
                "loss",
                type(loss).__name__,
                "an EmbeddingLoss; of sentence-transformers take 'cached-mnrl' or 'cached-gist'",
            )
        if loss.model is None:
            raise InvalidParameterError("loss", "one without a model", "a loss with a model")
        self.loss = loss
        self.mini_batch_size = check.count("mini_batch_size", mini_batch_size)

    @property
    def model(self) -> nn.Module:
        """The model that embeds."""
        assert self.loss.model is not None
        return self.loss.model

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        """Hand a model on to the loss: a module would keep it beside the property."""
        if name == "model":
            self.loss.model = value
        else:
            super().__setattr__(name, value)

    @override
    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Labels = None
    ) -> Loss:
        if type(self.model.forward).__name__ == "ForwardDecorator":
            raise InvalidParameterError(
                "loss", "GradCached", "the loss itself inside MatryoshkaLoss or AdaptiveLayerLoss"
            )
        embeddings = [self._embedded(features) for features in sentence_features]
        return self.loss.compute_loss_from_embeddings(embeddings, labels)

    def _embedded(self, features: dict[str, Any]) -> Tensor:
        mask = features.get("attention_mask")
        if not isinstance(mask, Tensor):
            raise InvalidDataError("GradCached needs a model that reads an attention_mask.")
        pieces = []
        for begin in range(0, mask.shape[0], self.mini_batch_size):
            end = begin + self.mini_batch_size
            width = int(mask[begin:end].sum(dim=1).max())
            piece = {
                name: _cut(value, begin, end, rows=mask.shape, width=width)
                for name, value in features.items()
            }
            pieces.append(checkpoint(self._embed, piece, use_reentrant=False))
        return torch.cat(pieces)

    def _embed(self, features: dict[str, Tensor]) -> Tensor:
        embedded: Tensor = self.model(dict(features))["sentence_embedding"]
        return embedded

    def get_config_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"mini_batch_size": self.mini_batch_size, **self.loss.get_config_dict()}


def _cut(value: Any, begin: int, end: int, *, rows: torch.Size, width: int) -> Any:
    """Rows of a tensor with one row per text, without the padding that all of them share."""
    if not isinstance(value, Tensor) or value.ndim == 0 or value.shape[0] != rows[0]:
        return value
    piece = value[begin:end]
    return piece[:, :width] if piece.ndim > 1 and piece.shape[1] == rows[1] else piece


@final
class MultiTask(EmbeddingLoss):
    r"""Several losses on the same embeddings, with fixed or learned weights.

    Learned weights minimise :math:`\sum_k e^{-s_k} L_k + s_k` over the :math:`s_k` too.

    Args:
        losses: Losses by name.
        weights: Weight of each by name; learned when not given.
        model: The model whose embeddings are judged.

    Raises:
        InvalidParameterError: If there is no loss or the names differ.

    References:
        Kendall, Gal, Cipolla (2018), Multi-task learning using uncertainty, CVPR.
    """

    def __init__(
        self,
        losses: Mapping[str, EmbeddingLoss],
        *,
        weights: Mapping[str, float] | None = None,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(model)
        if not losses or (weights is not None and set(weights) != set(losses)):
            raise InvalidParameterError("weights", weights, f"one for each of {sorted(losses)}")
        self.losses = nn.ModuleDict(dict(losses))
        self.weights = None if weights is None else dict(weights)
        self.log_scale = nn.Parameter(torch.zeros(len(losses)), requires_grad=weights is None)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> dict[str, Tensor]:
        parts: dict[str, Tensor] = {}
        for place, (name, loss) in enumerate(self.losses.items()):
            assert isinstance(loss, EmbeddingLoss)
            value = loss.compute_loss_from_embeddings(embeddings, labels)
            parts_of = list(value.values()) if isinstance(value, dict) else [value]
            total = torch.stack(parts_of).sum()
            if self.weights is not None:
                parts[name] = self.weights[name] * total
            else:
                scale = self.log_scale[place]
                parts[name] = torch.exp(-scale) * total + scale
        return parts

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"weights": self.weights}


@final
class Anchored(EmbeddingLoss):
    r"""A loss with a pull of the weights back to where they were.

    Adds :math:`\tfrac{\lambda}{2} \sum_k f_k (\theta_k - \theta_k^0)^2`, where the importance
    :math:`f` is 1 for every weight (L2-SP) or given (elastic weight consolidation).

    Args:
        loss: The loss; its model's weights are pulled.
        strength: :math:`\lambda`, not below 0.
        importance: Importance of weights by parameter name; parameters that are absent are free.

    Raises:
        InvalidParameterError: If the loss has no model.

    References:
        Li, Grandvalet, Davoine (2018), Explicit inductive bias for transfer learning, ICML;
        Kirkpatrick et al. (2017), Overcoming catastrophic forgetting, PNAS.
    """

    def __init__(
        self,
        loss: EmbeddingLoss,
        *,
        strength: float = 0.01,
        importance: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(loss.model)
        if loss.model is None:
            raise InvalidParameterError("loss", "one without a model", "a loss with a model")
        self.loss = loss
        self.strength = check.not_negative("strength", strength)
        self.importance = None if importance is None else dict(importance)
        self._start = {
            name: p.detach().clone()
            for name, p in loss.model.named_parameters()
            if importance is None or name in importance
        }

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> dict[str, Tensor]:
        value = self.loss.compute_loss_from_embeddings(embeddings, labels)
        parts = dict(value) if isinstance(value, dict) else {"loss": value}
        return {**parts, "anchor": self.pull()}

    def pull(self) -> Tensor:
        """Return the penalty alone."""
        assert self.model is not None
        total = torch.zeros(())
        for name, parameter in self.model.named_parameters():
            if name in self._start:
                moved = (parameter - self._start[name]).square()
                if self.importance is not None:
                    moved = moved * self.importance[name]
                total = total + moved.sum()
        return 0.5 * self.strength * total

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"strength": self.strength, **self.loss.get_config_dict()}


@final
class Distilled(EmbeddingLoss):
    r"""A loss with a pull of the embeddings to those of a teacher, :math:`\lambda (1 - \cos)`.

    Args:
        loss: The loss.
        teacher: Vector of each text by text code, `(n_texts, dim)`; labels must carry text codes.
        strength: :math:`\lambda`, not below 0.
        model: The model whose embeddings are judged; that of `loss` by default.

    References:
        Li and Hoiem (2016), Learning without forgetting, ECCV.
    """

    teacher: Tensor

    def __init__(
        self,
        loss: EmbeddingLoss,
        *,
        teacher: Tensor,
        strength: float = 1.0,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__(loss.model if model is None else model)
        self.loss = loss
        self.strength = check.not_negative("strength", strength)
        self.register_buffer("teacher", teacher, persistent=False)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> dict[str, Tensor]:
        side = Side.of(labels)
        if side.texts is None:
            raise InvalidDataError("Distilled needs text codes in the labels.")
        value = self.loss.compute_loss_from_embeddings(embeddings, labels)
        parts = dict(value) if isinstance(value, dict) else {"loss": value}
        apart = [
            1 - nn.functional.cosine_similarity(column, self.teacher[side.texts[:, place]])
            for place, column in enumerate(embeddings)
        ]
        return {**parts, "distillation": self.strength * torch.cat(apart).mean()}

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"strength": self.strength, **self.loss.get_config_dict()}
