"""Every arm on the held-out users: warm items first, then cold items among themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec.models.recommenders import Capability, FittedRecommender
from siamrec.statistics import paired_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Truth, Vocabulary
    from siamrec.lifecycle._comparing import Served
    from siamrec.lifecycle._host import HostArm
    from siamrec.lifecycle.holdout import HeldOut
    from siamrec.protocols import MetricReport, MetricSuite
    from siamrec.typing import FloatArray

WARM_METRICS = (
    "ndcg@10",
    "recall@20",
    "mrr@20",
    "coverage@10",
    "gini@10",
    "novelty@10",
    "long_tail_share@10",
)
"""Metrics of the default suite."""

TEXT_BASE, TEXT_IN_USE, TEXT_TUNED = "text_base", "text_in_use", "text_tuned"
"""Arms of texts in a cycle: by the base, by the encoder in use, and by the tuned one."""

_DEPTH = 20


def measure(
    split: HeldOut,
    arms: Mapping[str, FittedRecommender | HostArm | Served],
    suite: MetricSuite,
    metric: str,
    *,
    progress: Callable[[float], None],
) -> dict[str, Any]:
    """Return the metrics of every arm on both slices, and per-user values of `metric`."""
    found: dict[str, Any] = {"arms": {}, "cold_arms": {}, "users": {}, "cold_users": {}}
    slices = (("arms", "users", split.warm), ("cold_arms", "cold_users", split.cold))
    for done, (name, arm) in enumerate(arms.items(), start=1):
        for table, users, items in slices:
            if not len(items) or (items is split.cold and not _ranks_cold(arm, items)):
                continue
            report = _evaluated(split, arm, items, suite)
            found[table][name] = {
                each: _entry(report[each].mean, report[each].interval) for each in report.names
            }
            if metric in report.names:
                values = report.per_user(metric)
                found[users][name] = [None if math.isnan(v) else v for v in values.tolist()]
        progress(done / len(arms))
    return found


def _ranks_cold(arm: object, items: Vocabulary) -> bool:
    if not isinstance(arm, FittedRecommender) or Capability.COLD_ITEM not in arm.capabilities:
        return False
    return bool((items.translate(arm.items) >= 0).all())


def _evaluated(
    split: HeldOut,
    arm: FittedRecommender | HostArm | Served,
    items: Vocabulary,
    suite: MetricSuite,
) -> MetricReport:
    rankings = arm.recommend_for_feedback(split.profile, k=_DEPTH, candidates=items.ids)
    truth: Truth = split.truth(items)
    counts = np.bincount(split.train.item, minlength=len(split.train.items))
    place = rankings.items.translate(split.train.items)
    popularity = np.where(place >= 0, counts[place], 0)
    return suite.evaluate(
        rankings,
        truth,
        catalog_size=len(items),
        popularity=popularity,
        n_users=len(split.train.users),
    )


def paired(before: list[float | None], after: list[float | None]) -> dict[str, Any]:
    """Return the paired difference of per-user values with its 95 % interval."""
    old, new = _column(before), _column(after)
    both = np.isfinite(old) & np.isfinite(new) if old.size == new.size else np.zeros(0, bool)
    if both.sum() < 2:
        return dict.fromkeys(("before", "after", "difference", "low", "high"))
    found = paired_difference(new[both], old[both])
    return {
        "before": float(old[both].mean()),
        "after": float(new[both].mean()),
        "difference": found.mean,
        "low": found.low if math.isfinite(found.low) else None,
        "high": found.high if math.isfinite(found.high) else None,
        "users": int(both.sum()),
        "same": bool((new[both] == old[both]).all()),
    }


def encoders_judged(
    found: Mapping[str, Any], metric: str, *, not_loaded: str = ""
) -> dict[str, Any]:
    """Return the tuned encoder beside the one in use and beside the base, and the verdict.

    The one in use decides, where it is another than the base.

    Args:
        found: What `measure` returned.
        metric: What decides.
        not_loaded: Why the encoder in use cannot be compared with.
    """
    beside, reasons = {}, []
    ships = []
    for name, whom in ((TEXT_IN_USE, "the encoder in use"), (TEXT_BASE, "the base")):
        if name not in found["arms"]:
            continue
        warm, cold = (
            paired(found[slice_].get(name, []), found[slice_].get(TEXT_TUNED, []))
            for slice_ in ("users", "cold_users")
        )
        good, why = judged(metric, whom, warm, cold)
        beside[name] = {**warm, "cold": cold}
        ships.append(good)
        reasons += why
    if not_loaded:
        reasons.append(f"What is in use cannot be compared with: {not_loaded}")
    return {
        "metric": metric,
        **beside[TEXT_BASE],
        "in_use": beside.get(TEXT_IN_USE),
        "verdict": "ship" if ships[0] else "do not ship",
        "reasons": reasons,
    }


def judged(
    metric: str, whom: str, warm: Mapping[str, Any], cold: Mapping[str, Any]
) -> tuple[bool, list[str]]:
    """Return whether the tuned encoder should ship, and why.

    It ships when it gains on warm items with an interval above zero and does not lose on cold
    items: their interval must not lie below zero.

    Args:
        metric: What is compared.
        whom: What it is compared with.
        warm: Paired difference on warm items.
        cold: Paired difference on cold items.
    """
    reasons = []
    for name, slice_ in (("warm", warm), ("cold", cold)):
        if slice_["difference"] is None:
            few = "cannot be compared: too few users"
            reasons.append(f"{metric} on {name} items, beside {whom}, {few}.")
            continue
        low, high = _ends(slice_)
        kind = "gains" if low > 0 else "loses" if high < 0 else "does not move clearly"
        reasons.append(
            f"{metric} on {name} items, beside {whom}, {kind}: {slice_['before']:.4f} to "
            f"{slice_['after']:.4f}, {slice_['difference']:+.4f} [{low:+.4f}, {high:+.4f}], "
            f"{slice_['users']} users."
        )
    return _ends(warm)[0] > 0 and not _ends(cold)[1] < 0, reasons


def _ends(slice_: Mapping[str, Any]) -> tuple[float, float]:
    low, high = slice_["low"], slice_["high"]
    return -math.inf if low is None else low, math.inf if high is None else high


def _column(values: list[float | None]) -> FloatArray:
    return np.asarray([np.nan if v is None else v for v in values], dtype=np.float64)


def _entry(mean: float, interval: tuple[float, float]) -> dict[str, float | None]:
    """NaN and infinity are no JSON: what is not known is null."""
    low, high = interval
    numbers = {"mean": mean, "low": low, "high": high}
    return {name: float(v) if math.isfinite(v) else None for name, v in numbers.items()}
