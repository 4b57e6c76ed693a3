"""Contrastive learning on feedback: weights, known positives, popularity correction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import torch
from typing_extensions import override

from siamrec._core import check
from siamrec.losses._infonce import feedback_infonce
from siamrec.losses.base import EmbeddingLoss, Labels, Side, columns_of
from siamrec.losses.known import KnownPositives, known_candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from siamrec.losses.rates import TextRates
    from siamrec.typing import CodeArray


@final
class FeedbackInfoNCE(EmbeddingLoss):
    """Tells each anchor's positive from all other texts of the batch, as feedback is honest about.

    Every other positive and every given negative of the batch is a rival, unless it is known to
    suit the anchor's user or text. With unit weights, nothing known and no correction it is
    `MultipleNegativesRankingLoss`.

    Args:
        model: The model whose embeddings are judged.
        scale: One over the temperature, above 0.
        debias: Prior chance in [0, 1) that a rival is in truth a positive.
        likes: What each user likes, by user code and text code.
        related: Which texts belong together, by text code twice.
        log_q: Logarithm of the rate at which each text comes into a batch as a candidate,
            positive or mined, by text code. As in Yi et al. it is taken from the logit of every
            candidate, the positive's too; that the positive be left out has been argued since.
        rates: Where `log_q` comes from; `recount` asks it when negatives are mined anew.

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        See `feedback_infonce`; without the positive: Khrylchenko et al. (2025), Correcting the
        LogQ correction: revisiting sampled softmax for large-scale retrieval, arXiv 2507.09331.

    Examples:
        >>> loss = FeedbackInfoNCE(scale=1.0)
        >>> value = loss.compute_loss_from_embeddings([torch.eye(2), torch.eye(2)])
        >>> round(float(value), 4)
        0.3133
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        scale: float = 20.0,
        debias: float = 0.0,
        likes: KnownPositives | None = None,
        related: KnownPositives | None = None,
        log_q: Tensor | None = None,
        rates: TextRates | None = None,
    ) -> None:
        super().__init__(model)
        self.scale = check.positive("scale", scale)
        self.debias = check.share("debias", debias) and check.share(
            "debias", debias, open_ends=True
        )
        self.likes = likes
        self.related = related
        self.rates = rates
        if rates is not None and log_q is None:
            log_q = rates.log_q()
        self.register_buffer("log_q", log_q, persistent=False)

    log_q: Tensor | None

    def recount(self, negatives: CodeArray) -> None:
        """Take negatives that were mined anew into the rates, in the place of those before.

        Args:
            negatives: Codes of mined texts in any shape, -1 for none.
        """
        if self.rates is not None and self.log_q is not None:
            self.log_q = self.rates.log_q(negatives).to(self.log_q.device)

    @override
    def compute_loss_from_embeddings(
        self, embeddings: Sequence[Tensor], labels: Labels = None
    ) -> Tensor:
        anchors, *candidates = columns_of(embeddings, 2, "FeedbackInfoNCE")
        side = Side.of(labels, plain="weight")
        rows = torch.arange(anchors.shape[0], device=anchors.device)
        known, log_q = None, None
        if side.texts is not None:
            # Column by column: all positives, then all first negatives, and so on.
            codes = side.texts[:, 1:].T.reshape(-1)
            known = known_candidates(side, codes, likes=self.likes, related=self.related)
            log_q = None if self.log_q is None else self.log_q[codes]
        return feedback_infonce(
            anchors,
            torch.cat(candidates),
            rows,
            scale=self.scale,
            weights=side.weight,
            known=known,
            log_q=log_q,
            debias=self.debias,
        )

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"scale": self.scale, "debias": self.debias}

    @property
    def temperature(self) -> float:
        """One over the scale; sentence-transformers asks for it."""
        return 1.0 / self.scale
