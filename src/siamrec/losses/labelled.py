"""Losses on pairs with a label: how well two texts belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from torch.nn import functional
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import MissingInputError
from siamrec.losses.base import EmbeddingLoss, Labels, Side, columns_of, weighted_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


def _cosines(embeddings: Sequence[Tensor], name: str) -> Tensor:
    left, right = columns_of(embeddings, 2, name, most=2)
    return functional.cosine_similarity(left, right)


def _values(side: Side, name: str) -> Tensor:
    """Labels in float32, also where embeddings are bfloat16."""
    if side.value is None:
        raise MissingInputError(f"A label of each pair for {name}", "the label column")
    return side.value.float()


@final
class WeightedCosine(EmbeddingLoss):
    r"""Squared distance of the cosine to the label, :math:`w (\cos(a, b) - y)^2`.

    Examples:
        >>> a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> float(WeightedCosine().compute_loss_from_embeddings([a, b], torch.tensor([0.5])))
        0.25
    """

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        cosine = _cosines(embeddings, "WeightedCosine")
        return weighted_mean((cosine - _values(side, "WeightedCosine")).square(), side.weight)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {}


@final
class WeightedCoSENT(EmbeddingLoss):
    r"""Order of cosines against order of labels, over all couples of pairs.

    .. math:: \log\Bigl(1 + \sum_{y_i > y_j} w_i w_j\,
        e^{\text{scale} (\cos_j - \cos_i)}\Bigr)

    Only the order of labels counts, so ratings of different users need no common scale.

    Args:
        model: The model whose embeddings are judged.
        scale: One over the temperature, above 0.

    References:
        Su (2022), CoSENT: a more effective sentence embedding scheme than Sentence-BERT.
    """

    def __init__(self, model: nn.Module | None = None, *, scale: float = 20.0) -> None:
        super().__init__(model)
        self.scale = check.positive("scale", scale)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        cosine = self.scale * _cosines(embeddings, "WeightedCoSENT").float()
        value = _values(side, "WeightedCoSENT")
        gaps = cosine[None, :] - cosine[:, None]
        if side.weight is not None:
            log_weight = side.weight.float().log()
            gaps = gaps + log_weight[None, :] + log_weight[:, None]
        ordered = value[:, None] > value[None, :]
        terms = torch.cat([gaps.new_zeros(1), gaps[ordered]])
        return torch.logsumexp(terms, dim=0)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"scale": self.scale}


@final
class WeightedContrastive(EmbeddingLoss):
    r"""Pulls pairs that belong together, pushes others beyond a margin.

    With :math:`d = 1 - \cos(a, b)`:
    :math:`\tfrac{w}{2} \left[y\,d^2 + (1 - y) \max(0, m - d)^2\right]`.

    Args:
        model: The model whose embeddings are judged.
        margin: Cosine distance beyond which a negative pair is left alone, in (0, 2].

    References:
        Hadsell, Chopra, LeCun (2006), Dimensionality reduction by learning an invariant mapping.
    """

    def __init__(self, model: nn.Module | None = None, *, margin: float = 0.5) -> None:
        super().__init__(model)
        self.margin = check.positive("margin", margin)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        distance = 1 - _cosines(embeddings, "WeightedContrastive")
        value = _values(side, "WeightedContrastive")
        apart = functional.relu(self.margin - distance).square()
        each = 0.5 * (value * distance.square() + (1 - value) * apart)
        return weighted_mean(each, side.weight)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"margin": self.margin}


@final
class ListwiseRating(EmbeddingLoss):
    r"""Matches a user's distribution of attention to the ratings given.

    Rows of one user form a list; with target :math:`t_i \propto w_i e^{r_i / \tau}` and prediction
    :math:`p_i \propto w_i e^{\text{scale} \cos_i}` within each list, the loss is the mean over
    lists of :math:`\mathrm{KL}(t \| p)`.

    Args:
        model: The model whose embeddings are judged.
        scale: One over the temperature of the prediction, above 0.
        temperature: Of the ratings, above 0; small values care for the best items only.

    References:
        Cao et al. (2007), Learning to rank: from pairwise approach to listwise approach, ICML.
    """

    def __init__(
        self, model: nn.Module | None = None, *, scale: float = 20.0, temperature: float = 1.0
    ) -> None:
        super().__init__(model)
        self.scale = check.positive("scale", scale)
        self.temperature = check.positive("temperature", temperature)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        score = self.scale * _cosines(embeddings, "ListwiseRating").float()
        rating = _values(side, "ListwiseRating") / self.temperature
        user = torch.zeros_like(score, dtype=torch.long) if side.user is None else side.user
        if side.weight is not None:
            counts = side.weight > 0  # a row without weight is in no list
            if not counts.any():
                return 0.0 * score.sum()
            log_weight = side.weight[counts].float().log()
            score, rating = score[counts] + log_weight, rating[counts] + log_weight
            user = user[counts]
        _, lists = torch.unique(user, return_inverse=True)
        member = lists[None, :] == torch.arange(int(lists.max()) + 1, device=user.device)[:, None]
        log_p = _within(score, member)
        log_t = _within(rating, member)
        each = torch.where(member, log_t.exp() * (log_t - log_p), torch.zeros_like(log_p))
        return each.sum(dim=1).mean()

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "temperature": self.temperature}


def _within(values: Tensor, member: Tensor) -> Tensor:
    """Log-softmax of `values` within each list; 0 outside of it and for rows without weight."""
    spread = values[None, :].expand(member.shape).masked_fill(~member, float("-inf"))
    result = spread - torch.logsumexp(spread, dim=1, keepdim=True)
    return torch.where(torch.isfinite(result), result, torch.zeros_like(result))
