"""A loss of labelled pairs that outliers pull less: the absolute distance to the label."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from torch.nn import functional
from typing_extensions import override

from siamrec.errors import MissingInputError
from siamrec.losses import EmbeddingLoss, LossSpec, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from siamrec.data import Pairs
    from siamrec.losses.base import Labels


@final
class AbsoluteCosine(EmbeddingLoss):
    """Mean of `w |cos(a, b) - y|` over the rows of a batch."""

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        side = Side.of(labels)
        if side.value is None:
            raise MissingInputError("labels", "a label for each pair")
        anchor, other = embeddings[:2]
        distance = (functional.cosine_similarity(anchor, other) - side.value).abs()
        if side.weight is None:
            return distance.mean()
        return (distance * side.weight).sum() / side.weight.sum()

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {}


def absolute_cosine(model: nn.Module | None, *, pairs: Pairs | None = None) -> AbsoluteCosine:
    """Return the loss for a model; it needs to know nothing of the pairs."""
    del pairs
    return AbsoluteCosine(model)


ABSOLUTE_COSINE = LossSpec(absolute_cosine, ("left", "right"), kind=AbsoluteCosine)
"""The loss as a fine-tuning takes it: with the columns that it needs."""
