"""The rule that turns comparisons into a decision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from siamrec.experiments.sequential.group_sequential import GroupSequential

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.experiments.analysis.report import Check, Comparison, Verdict
    from siamrec.experiments.plan import Plan


_MARGIN = {
    1: "no worse than its margin allows",
    -1: "worse than its margin allows",
    0: "not yet sure to stay within its margin",
}


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
    units: Mapping[str, tuple[int, int]],
) -> Outcome:
    """Decide by the plan.

    - A failed check makes the experiment `invalid`.
    - A fixed-horizon plan with units still to come goes on: `continue`. So does a
      group-sequential one away from its planned looks, unless it says which looks were made.
    - A treatment with a primary metric certainly better, none certainly worse and every
      guardrail held is a winner: `ship`; of several, the one furthest ahead in standard errors.
      A primary metric with a margin has to be certainly no worse than the margin allows
      (non-inferiority), and a plan of guardrails alone that all of them certainly hold.
    - If every treatment certainly worsens a primary metric or breaks a guardrail: `rollback`.
    - If the looking rule gives up on every treatment, or on all that are not rolled back:
      `inconclusive`.
    - Otherwise `continue` while units are to come, then `inconclusive`.
    """
    failures = [check.message for check in checks if check.level == "failure"]
    if failures:
        return Outcome("invalid", None, tuple(failures), None)
    planned = plan.planned_units
    n_units, every = min(units.values())
    to_come = planned is not None and n_units < planned
    endless = plan.rule is not None and planned is None
    days = None
    if planned is not None and plan.daily_units is not None:
        days = max(planned - n_units, 0.0) / (plan.daily_units * n_units / every)
    early = _too_early(plan, n_units)
    if early is not None:
        return Outcome("continue", None, (early,), days)
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


def _too_early(plan: Plan, n_units: int) -> str | None:
    """Return why a plan that is read at planned times only is not to be read now, if so."""
    rule, planned = plan.rule, plan.planned_units
    if rule is None and planned is not None and n_units < planned:
        return f"{n_units} of {planned:g} planned units: a fixed-horizon test is read once."
    if isinstance(rule, GroupSequential) and not rule.is_planned(n_units):
        ahead = [look * rule.planned for look in rule.looks if look * rule.planned > n_units]
        return (
            f"No look was planned at {n_units} units (the next: {min(ahead):.0f}); to decide at "
            "other looks, name those that were made: GroupSequential(made=...)."
        )
    return None


def _judge(plan: Plan, found: list[Comparison]) -> tuple[Verdict, float, list[str]]:
    """Return the verdict on one treatment, how far ahead it is, and why."""
    primary = [each for each in found if each.metric.role == "primary"]
    guardrails = [each for each in found if each.metric.role == "guardrail"]
    judged = [_judge_primary(plan, each) for each in primary]
    said = [reason for _, reason in judged]
    better = any(side > 0 for side, _ in judged)
    worse = any(side < 0 for side, _ in judged)
    held_up = False
    lead = max(
        (each.improvement for each, (side, _) in zip(primary, judged, strict=True) if side > 0),
        default=0.0,
    )
    if not primary:
        better = bool(guardrails) and all(each.safe for each in guardrails)
    for each in guardrails:
        label = f"{each.treatment}: {each.metric.name}"
        if each.harmful:
            worse = True
            said.append(f"{label} is worse than its margin allows.")
        elif not each.safe and each.metric.margin is not None:
            held_up = True
            said.append(f"{label} is not yet sure to stay within its margin.")
        elif not primary and each.safe:
            said.append(f"{label} is no worse than its margin allows.")
    if worse:
        return "rollback", lead, said
    if better and not held_up:
        return "ship", lead, said
    return "continue", lead, said


def _judge_primary(plan: Plan, each: Comparison) -> tuple[int, str]:
    """Return 1 for good, -1 for bad, 0 for not sure, and why."""
    label = f"{each.treatment}: {each.metric.name}"
    if each.metric.margin is not None:
        side = int(each.safe) - int(each.harmful)
        return side, f"{label} is {_MARGIN[side]}."
    if each.adjusted_p >= plan.alpha:
        return 0, f"{label} shows no sure difference (p = {each.adjusted_p:.2g})."
    side = 1 if each.improvement > 0 else -1
    word = "better" if side > 0 else "worse"
    return side, f"{label} is {word} (adjusted p = {each.adjusted_p:.2g})."


def _judge_or_give_up(plan: Plan, found: list[Comparison]) -> tuple[Verdict, float, list[str]]:
    """Judge one treatment; where the looking rule gives up on every primary metric, so do we."""
    verdict, lead, said = _judge(plan, found)
    primary = [each.futile for each in found if each.metric.role == "primary"]
    if verdict == "continue" and primary and all(primary):
        said.append(f"{found[0].treatment}: an improvement would have shown by now (futility).")
        return "inconclusive", lead, said
    return verdict, lead, said
