"""How much each event can be trusted: weights from who said it, when, and how firmly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.data.feedback import FeedbackKind
from siamrec.data.frames import NO_TIME

if TYPE_CHECKING:
    from datetime import timedelta

    from siamrec.data import Feedback
    from siamrec.typing import Float32Array, FloatArray, Instant, IntArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QualityWeights:
    r"""Weighs events by reliability of the user, agreement, age and dwell.

    The weight of an event is the product of its own `weight` and of

    - **reliability** :math:`\sigma^2 / \hat\sigma_u^2`: how near a user's ratings stay to what the
      others say of the same items, with the user's variance shrunk towards that of all by
      `shrinkage` pseudo-events, between 1/4 and 4;
    - **agreement** :math:`|\overline{s}|`: where a user gave several signals about one item
      (a rating, a thumb, a click), the absolute mean of their signs, at least 1/10;
    - **recency** :math:`2^{-(t_{now} - t) / h}`;
    - **dwell** :math:`1 - e^{-\text{seconds} / \text{scale}}` for dwell events;

    cut at the quantile `clip` and scaled to mean 1.

    Args:
        reliability: Whether to weigh users by reliability.
        agreement: Whether to weigh by agreement.
        half_life: Age at which an event counts half, such as `"365d"`; no ageing by default.
        dwell_scale: Seconds after which a dwell counts 63 %.
        middle: Rating that says neither yes nor no; the mean rating by default.
        shrinkage: Pseudo-events in a user's variance.
        clip: Quantile at which weights are cut, in (0, 1].

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Koren, Rendle, Bell (2022), Advances in collaborative filtering, section 3 (ageing);
        James-Stein shrinkage of variances as in Smyth (2004).

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["ann", "bob"], item=["x", "x"], value=[5, 4], time=[0, 86_400 * 10**9]
        ... )
        >>> weights = QualityWeights(half_life="1d", clip=1.0)(feedback)
        >>> [round(float(weight), 3) for weight in weights]
        [0.667, 1.333]
    """

    reliability: bool = True
    agreement: bool = True
    half_life: str | timedelta | float | None = None
    dwell_scale: float = 30.0
    middle: float | None = None
    shrinkage: float = 20.0
    clip: float = 0.99

    def __post_init__(self) -> None:
        if self.half_life is not None:
            duration("half_life", self.half_life)
        check.positive("dwell_scale", self.dwell_scale)
        check.positive("shrinkage", self.shrinkage)
        check.share("clip", self.clip)
        check.positive("clip", self.clip)

    def __call__(self, feedback: Feedback, *, now: Instant | None = None) -> Float32Array:
        """Return the weight of each event, at least 0, of mean 1, shape `(n,)`.

        Args:
            feedback: Events.
            now: Instant from which age is counted; the last event's by default. An event without
                a time counts as new.
        """
        now = None if now is None else check.instant("now", now)
        weight = feedback.weight.astype(np.float64)
        if not weight.size:
            return weight.astype(np.float32)
        if self.reliability:
            weight = weight * self._reliability(feedback)[feedback.user]
        if self.agreement:
            weight = weight * self._agreement(feedback)
        if self.half_life is not None:
            weight = weight * self._recency(feedback.time, now)
        dwell = feedback.kind == FeedbackKind.DWELL
        weight[dwell] *= -np.expm1(-np.maximum(feedback.value[dwell], 0.0) / self.dwell_scale)
        weight = np.minimum(weight, np.quantile(weight, self.clip))
        mean = float(weight.mean())
        scaled: Float32Array = (weight / mean if mean > 0 else weight).astype(np.float32)
        return scaled

    def _reliability(self, feedback: Feedback) -> FloatArray:
        """Of each user; 1 for users without ratings of items that others rated too."""
        rated = feedback.kind == FeedbackKind.RATING
        user, item = feedback.user[rated], feedback.item[rated]
        value = feedback.value[rated].astype(np.float64)
        n_users, n_items = len(feedback.users), len(feedback.items)
        total = np.bincount(item, value, n_items)[item]
        others = np.bincount(item, minlength=n_items)[item] - 1
        shared = others > 0
        if not shared.any():
            return np.ones(n_users)
        user = user[shared]
        miss = value[shared] - (total[shared] - value[shared]) / others[shared]
        count = np.bincount(user, minlength=n_users)
        bias = np.bincount(user, miss, n_users) / np.maximum(count, 1)
        # A strict user is not an unreliable one: the user's own mean is taken out.
        squares = np.bincount(user, (miss - bias[user]) ** 2, n_users)
        common = float(squares.sum() / max(count.sum(), 1))
        if common <= 0:
            return np.ones(n_users)
        variance = (squares + self.shrinkage * common) / (count + self.shrinkage)
        reliable: FloatArray = np.clip(common / variance, 0.25, 4.0)
        return reliable

    def _agreement(self, feedback: Feedback) -> FloatArray:
        value = feedback.value.astype(np.float64)
        sign = np.ones(value.size)
        rated = feedback.kind == FeedbackKind.RATING
        if rated.any():
            middle = float(value[rated].mean()) if self.middle is None else self.middle
            sign[rated] = np.where(value[rated] >= middle, 1.0, -1.0)
        thumb = feedback.kind == FeedbackKind.THUMB
        sign[thumb] = np.where(value[thumb] > 0, 1.0, -1.0)
        key = feedback.user.astype(np.int64) * len(feedback.items) + feedback.item
        _, group, size = np.unique(key, return_inverse=True, return_counts=True)
        agreed: FloatArray = np.abs(np.bincount(group, sign) / size)[group]
        return np.maximum(agreed, 0.1)

    def _recency(self, time: IntArray, now: Instant | None) -> FloatArray:
        assert self.half_life is not None
        known = time != NO_TIME
        if not known.any():
            return np.ones(time.size)
        latest = int(time[known].max()) if now is None else now
        age = np.where(known, np.maximum(latest - np.where(known, time, latest), 0), 0)
        return np.asarray(np.exp2(-age / duration("half_life", self.half_life)), dtype=np.float64)
