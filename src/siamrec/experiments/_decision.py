"""The rule that turns comparisons into a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.plan import Plan
    from siamrec.experiments.report import Check, Comparison, Verdict


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision with its reasons."""

    decision: Verdict
    winner: str | None
    reasons: tuple[str, ...]
    days_left: float | None


def decide(
    plan: Plan,
    comparisons: Mapping[tuple[str, str], Comparison],
    checks: tuple[Check, ...],
    n_units: int,
) -> Outcome:
    """Decide by the plan.

    - A failed check makes the experiment `invalid`.
    - A fixed-horizon plan with units still to come goes on: `continue`.
    - A treatment with a primary metric certainly better, none certainly worse and every
      guardrail held is a winner: `ship`; of several, the one furthest ahead in standard errors.
    - If every treatment certainly worsens a primary metric or breaks a guardrail: `rollback`.
    - If the looking rule gives up on every treatment, or on all that are not rolled back:
      `inconclusive`.
    - Otherwise `continue` while units are to come, then `inconclusive`.
    """
    failures = [check.message for check in checks if check.level == "failure"]
    if failures:
        return Outcome("invalid", None, tuple(failures), None)
    planned = plan.planned_units
    to_come = planned is not None and n_units < planned
    endless = plan.sequential is not None and planned is None
    days = None
    if planned is not None and plan.daily_units is not None:
        days = max(planned - n_units, 0.0) / plan.daily_units
    if plan.sequential is None and to_come:
        reason = f"{n_units} of {planned:g} planned units: a fixed-horizon test is read once."
        return Outcome("continue", None, (reason,), days)
    by_treatment: dict[str, list[Comparison]] = {}
    for (_, treatment), comparison in comparisons.items():
        by_treatment.setdefault(treatment, []).append(comparison)
    judged = {name: _judge_or_give_up(plan, found) for name, found in by_treatment.items()}
    winners = [name for name, (verdict, _, _) in judged.items() if verdict == "ship"]
    reasons = tuple(reason for _, _, said in judged.values() for reason in said)
    if winners:
        winner = max(winners, key=lambda name: judged[name][1])
        if len(winners) > 1:
            reasons = (*reasons, "The best of several looks better than it is: expect less.")
        return Outcome("ship", winner, reasons, 0.0 if days is not None else None)
    verdicts = {verdict for verdict, _, _ in judged.values()}
    if "continue" not in verdicts:
        ended: Verdict = "rollback" if verdicts == {"rollback"} else "inconclusive"
        return Outcome(ended, None, reasons, 0.0 if days is not None else None)
    if to_come or endless:
        return Outcome("continue", None, (*reasons, "More units are to come."), days)
    return Outcome("inconclusive", None, (*reasons, "No more units are planned."), days)


def _judge(plan: Plan, found: list[Comparison]) -> tuple[Verdict, float, list[str]]:
    """Return the verdict on one treatment, how far ahead it is, and why."""
    said: list[str] = []
    better = worse = held_up = False
    lead = 0.0
    for each in found:
        label = f"{each.treatment}: {each.metric.name}"
        if each.metric.role == "primary":
            sure = each.adjusted_p < plan.alpha
            if sure and each.improvement > 0:
                better, lead = True, max(lead, each.improvement)
                said.append(f"{label} is better (adjusted p = {each.adjusted_p:.2g}).")
            elif sure:
                worse = True
                said.append(f"{label} is worse (adjusted p = {each.adjusted_p:.2g}).")
            else:
                said.append(f"{label} shows no sure difference (p = {each.adjusted_p:.2g}).")
        elif each.metric.role == "guardrail":
            if each.harmful:
                worse = True
                said.append(f"{label} is worse than its margin allows.")
            elif not each.safe and each.metric.margin is not None:
                held_up = True
                said.append(f"{label} is not yet sure to stay within its margin.")
    if worse:
        return "rollback", lead, said
    if better and not held_up:
        return "ship", lead, said
    return "continue", lead, said


def _judge_or_give_up(plan: Plan, found: list[Comparison]) -> tuple[Verdict, float, list[str]]:
    """Judge one treatment; where the looking rule gives up on every primary metric, so do we."""
    verdict, lead, said = _judge(plan, found)
    primary = [each.futile for each in found if each.metric.role == "primary"]
    if verdict == "continue" and primary and all(primary):
        said.append(f"{found[0].treatment}: an improvement would have shown by now (futility).")
        return "inconclusive", lead, said
    return verdict, lead, said
