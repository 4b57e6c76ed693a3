"""The check of the sample ratio; where one looks often, by a test that allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siamrec.experiments.analysis.anytime import sequential_sample_ratio
from siamrec.experiments.analysis.report import Check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.analysis.report import SampleRatio
    from siamrec.experiments.plan import Plan


def check_of_ratio(
    plan: Plan, fixed: SampleRatio, counts: Mapping[str, Mapping[str, int]]
) -> Check:
    """Return whether the numbers of units fit the planned shares.

    A plan with a looking rule is judged by the e-process, for the chi-square test would find a
    mismatch sooner or later if only one looks often enough.

    Args:
        plan: The plan.
        fixed: The chi-square test of all strata.
        counts: Units of each variant in each stratum.
    """
    p, name = fixed.p, "p"
    if plan.sequential is not None:
        p, name = _at_any_time(plan, fixed, counts), "p at any time"
    if p < plan.srm_alpha:
        message = f"the numbers of units do not fit the planned shares ({name} = {p:.2g})."
        return Check("sample ratio", "failure", message)
    return Check("sample ratio", "ok", f"{name} = {p:.2g}.")


def _at_any_time(plan: Plan, fixed: SampleRatio, counts: Mapping[str, Mapping[str, int]]) -> float:
    """Return the p-value of the worst stratum's e-process, times the strata (Bonferroni)."""
    names = sorted({name for each in counts.values() for name in each})
    found = []
    for stratum, each in counts.items():
        own = (plan.stratum_shares or {}).get(stratum, plan.shares)
        wanted = dict.fromkeys(names, 1 / len(names)) if own is None else dict(own)
        shares = {name: share for name, share in wanted.items() if share > 0}
        if any(n for name, n in each.items() if name not in shares):
            return fixed.p  # units of a variant without a share: certain
        total = sum(shares.values())
        even = {name: share / total for name, share in shares.items()}
        inside = {name: n for name, n in each.items() if name in even}
        found.append(sequential_sample_ratio(inside, even).p)
    return min(1.0, len(found) * min(found))
