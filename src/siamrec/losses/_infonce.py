"""The contrastive objective behind `FeedbackInfoNCE`, as a pure function of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from siamrec.errors import InvalidDataError


def feedback_infonce(
    anchors: Tensor,
    candidates: Tensor,
    positives: Tensor,
    *,
    scale: float = 20.0,
    weights: Tensor | None = None,
    known: Tensor | None = None,
    log_q: Tensor | None = None,
    debias: float = 0.0,
) -> Tensor:
    r"""Return the weighted contrastive loss of anchors against shared candidates.

    With logits :math:`s_{bj} = \text{scale} \cdot \cos(a_b, c_j) - \log q_j`, positives
    :math:`P_b` and negatives :math:`N_b` (everything that is neither positive nor known to be):

    .. math::
        L = \frac{\sum_b w_b \frac{1}{|P_b|} \sum_{p \in P_b}
            \left[-\log \frac{e^{s_{bp}}}{e^{s_{bp}} + \sum_{j \in N_b} e^{s_{bj}}}\right]}
            {\sum_b w_b}

    With unit weights, one positive per anchor and nothing known it equals
    `MultipleNegativesRankingLoss` of sentence-transformers.

    Args:
        anchors: Embeddings of the queries or profiles, `(B, dim)`.
        candidates: Embeddings of the texts to tell apart, `(M, dim)`.
        positives: Index of each anchor's positive, `(B,)`, or a mask `(B, M)` of several.
        scale: One over the temperature.
        weights: Weight of each anchor, `(B,)`, at least 0; all 1 by default.
        known: Mask `(B, M)` of candidates that are known to suit the anchor and so are no
            negatives.
        log_q: Logarithm of the rate at which each candidate comes into a batch, `(M,)`; popular
            texts meet more anchors as negatives, and subtracting this undoes it. It is subtracted
            from the positive's logit as well.
        debias: Prior chance :math:`\tau^+` in [0, 1) that an unlabelled candidate is in truth a
            positive; 0 leaves the negatives as they are.

    Raises:
        InvalidDataError: If a shape does not fit.

    References:
        van den Oord et al. (2018), Representation learning with contrastive predictive coding;
        Yi et al. (2019), Sampling-bias-corrected neural modeling, RecSys; Chuang et al. (2020),
        Debiased contrastive learning, NeurIPS.

    Examples:
        >>> eye = torch.eye(2)
        >>> loss = feedback_infonce(eye, eye, torch.tensor([0, 1]), scale=1.0)
        >>> round(float(loss), 4)  # log(1 + e^(0 - 1))
        0.3133
    """
    chosen = _mask_of(positives, anchors.shape[0], candidates.shape[0])
    logits = (
        scale * functional.normalize(anchors, dim=1) @ functional.normalize(candidates, dim=1).T
    )
    if log_q is not None:
        logits = logits - log_q
    excluded = chosen if known is None else chosen | known
    rivals = logits.masked_fill(excluded, float("-inf"))
    against = torch.logsumexp(rivals, dim=1, keepdim=True)
    if debias:
        against = _debiased(against, logits, (~excluded).sum(1, keepdim=True), scale, debias)
    # -log(e^s / (e^s + e^n)) = softplus(n - s); an anchor without negatives adds exactly 0
    gap = torch.where(chosen, against - logits, torch.zeros_like(logits))
    each = functional.softplus(gap).masked_fill(~chosen, 0.0)
    per_anchor = each.sum(1) / chosen.sum(1).clamp(min=1)
    if weights is None:
        return per_anchor.mean()
    return (weights * per_anchor).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def _debiased(
    against: Tensor, logits: Tensor, n_rivals: Tensor, scale: float, debias: float
) -> Tensor:
    """Log of N·g for every candidate taken as the positive, Chuang et al. (2020), equation 8.

    g = max((mean of negatives - tau * positive) / (1 - tau), e^{-scale}), computed relative to
    the larger of the two terms so that nothing overflows.
    """
    count = n_rivals.clamp(min=1).to(logits.dtype).log()
    mean = against - count
    top = torch.maximum(mean, logits).detach()
    top = torch.where(torch.isfinite(top), top, torch.zeros_like(top))
    difference = ((mean - top).exp() - debias * (logits - top).exp()) / (1 - debias)
    floor = (-scale - top).exp()
    return torch.maximum(difference, floor).log() + top + count


def _mask_of(positives: Tensor, n_anchors: int, n_candidates: int) -> Tensor:
    if positives.ndim == 1 and positives.shape[0] == n_anchors and positives.dtype != torch.bool:
        places = torch.arange(n_candidates, device=positives.device)
        return positives[:, None] == places[None, :]
    if positives.shape == (n_anchors, n_candidates) and positives.dtype == torch.bool:
        return positives
    raise InvalidDataError(
        f"positives must be {n_anchors} indices or a boolean mask of shape "
        f"({n_anchors}, {n_candidates}), got {positives.dtype} of shape {tuple(positives.shape)}."
    )
