"""One line of result for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def read(result: Mapping[str, Any]) -> str:
    """Say what was read."""
    kind = "simulated " if result["simulated"] else ""
    line = (
        f"{result['events']:,} {kind}events of {result['users']:,} users on "
        f"{result['items']:,} items"
    )
    for name, words in (
        ("rejected", "rows rejected"),
        ("duplicates", "repeated rows stored once"),
        ("items_without_text", "items without text"),
    ):
        if result[name]:
            line += f", {result[name]:,} {words}"
    return line


def split(result: Mapping[str, Any]) -> str:
    """Say how the data was parted."""
    return (
        f"{result['held_out_users']:,} users held out by {result['by']}, "
        f"{result['cold_items']:,} items hidden from training"
    )


def tune(result: Mapping[str, Any]) -> str:
    """Say what training found on its own validation users."""
    found = result["validation"]
    line = f"{result['strategy']} on {result['train_pairs']:,} pairs"
    if found.get("base_ndcg@10") is not None and found.get("ndcg@10") is not None:
        line += f"; validation NDCG@10 {found['base_ndcg@10']:.3f} → {found['ndcg@10']:.3f}"
    return line


def arms(result: Mapping[str, Any]) -> str:
    """Say which arm is best, and the verdict about the encoder."""
    tuning = result["tuning"]
    metric = tuning["metric"]
    best = max(result["arms"], key=lambda name: result["arms"][name][metric]["mean"] or 0.0)
    return (
        f"best arm {best} ({metric} {result['arms'][best][metric]['mean']:.3f}); "
        f"tuned encoder: {tuning['verdict']}"
    )


def register(result: Mapping[str, Any]) -> str:
    """Say what was registered."""
    return f"base {result['base'][:8]}, tuned {result['tuned'][:8]}"


def bandit(result: Mapping[str, Any]) -> str:
    """Say what the bandit earned."""
    best = result["best_fixed"]
    return (
        f"hit rate {result['reward']['mean']:.3f} over {result['visits']:,} visits; best fixed "
        f"arm {best['arm']} {best['mean']:.3f}, even chance {result['uniform']['mean']:.3f}"
    )


def experiment(result: Mapping[str, Any]) -> str:
    """Say what the A/B test decided."""
    if result["lift"] is None:
        return f"{result['decision']}: {result['reasons'][0]}"
    low = "−∞" if result["low"] is None else f"{result['low']:+.1%}"
    high = "∞" if result["high"] is None else f"{result['high']:+.1%}"
    return (
        f"bandit against {result['control']}: {result['lift']:+.1%} [{low}, {high}], "
        f"decision {result['decision']}"
    )


def activate(result: Mapping[str, Any]) -> str:
    """Say what is in use now."""
    changed = "now" if result["active"] != result["previous"] else "still"
    return f"encoder {changed} {result['active'][:8]}"


def place(result: Mapping[str, Any]) -> str:
    """Say what serves."""
    if result["placement"] is None:
        return f"nothing is placed: {result['reason']}"
    return f"placement {result['placement']!r}: {result['verdict']}, chosen by {result['chooses']}"


def report(result: Mapping[str, Any]) -> str:
    """Say where the report is."""
    return f"{result['html']}, summary.json"
