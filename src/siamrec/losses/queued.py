"""Contrastive learning with the candidates of past batches."""

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

_PAST, _CODES = "past_", "codes_"


@final
class QueuedInfoNCE(EmbeddingLoss):
    """`FeedbackInfoNCE` with the candidates of past batches as further rivals.

    What is remembered is part of the state of the loss, for each length of embeddings apart (as
    `MatryoshkaLoss` gives several). What is known of a rival holds for a remembered one too;
    where some batches came without text codes, nothing is known of the remembered.

    Args:
        model: The model whose embeddings are judged.
        size: Embeddings to remember, the newest ones.
        scale: One over the temperature, above 0.
        likes: What each user likes, by user code and text code.
        related: Which texts belong together, by text code twice.
        log_q: Logarithm of the rate at which each text comes into a batch, by text code; the
            memory makes all rates larger alike, which changes nothing.
        rates: Where `log_q` comes from; `recount` asks it when negatives are mined anew.

    References:
        Wang et al. (2020), Cross-batch memory for embedding learning, CVPR.

    Examples:
        >>> loss = QueuedInfoNCE(scale=1.0)
        >>> first, second = (
        ...     float(loss.compute_loss_from_embeddings([torch.eye(2), torch.eye(2)]))
        ...     for _ in range(2)
        ... )
        >>> first < second  # the second batch has rivals from the first
        True
    """

    log_q: Tensor | None

    def __init__(
        self,
        model: nn.Module | None = None,
        *,
        size: int = 1024,
        scale: float = 20.0,
        likes: KnownPositives | None = None,
        related: KnownPositives | None = None,
        log_q: Tensor | None = None,
        rates: TextRates | None = None,
    ) -> None:
        super().__init__(model)
        self.size = check.count("size", size)
        self.scale = check.positive("scale", scale)
        self.likes = likes
        self.related = related
        self.rates = rates
        self.register_buffer("log_q", log_q, persistent=False)

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
        anchors, *candidates = columns_of(embeddings, 2, "QueuedInfoNCE")
        side = Side.of(labels, plain="weight")
        now = torch.cat(candidates)
        codes = None if side.texts is None else side.texts[:, 1:].T.reshape(-1)
        past, past_codes = self._remembered(_PAST, now), self._remembered(_CODES, now)
        together = now if past is None else torch.cat([now, past.to(now.dtype)])
        every = codes if past_codes is None or codes is None else torch.cat([codes, past_codes])
        if every is not None and every.shape[0] != together.shape[0]:
            every = None  # some batches came without text codes
        self._remember(now, codes)
        return feedback_infonce(
            anchors,
            together,
            torch.arange(anchors.shape[0], device=anchors.device),
            scale=self.scale,
            weights=side.weight,
            known=None
            if every is None
            else known_candidates(side, every, likes=self.likes, related=self.related),
            log_q=None if every is None or self.log_q is None else self.log_q[every],
        )

    def _remembered(self, name: str, like: Tensor) -> Tensor | None:
        found: Tensor | None = getattr(self, f"{name}{like.shape[1]}", None)
        return found

    @torch.no_grad()
    def _remember(self, now: Tensor, codes: Tensor | None) -> None:
        fresh = {_PAST: now.detach().float(), _CODES: codes}
        for name, values in fresh.items():
            if values is None:
                continue
            old = self._remembered(name, now)
            kept = values if old is None else torch.cat([values, old])
            self.register_buffer(f"{name}{now.shape[1]}", kept[: self.size])

    def forget(self) -> None:
        """Empty the memory."""
        for name in [name for name in self._buffers if name.startswith((_PAST, _CODES))]:
            delattr(self, name)

    @override
    def _load_from_state_dict(self, state_dict: Any, prefix: str, *more: Any) -> None:
        """The memory grows while training, so what is loaded may be new or of another length."""
        for name in state_dict:
            own = name.removeprefix(prefix)
            if name.startswith(prefix) and own.startswith((_PAST, _CODES)):
                self.register_buffer(own, state_dict[name].clone())
        super()._load_from_state_dict(state_dict, prefix, *more)

    @override
    def get_config_dict(self) -> dict[str, Any]:
        return {"size": self.size, "scale": self.scale}
