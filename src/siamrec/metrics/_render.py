"""Reports as text, Markdown, LaTeX, HTML and JSON."""

from __future__ import annotations

import json
import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.metrics.estimate import Estimate
    from siamrec.metrics.report import Report

_HEAD = ("metric", "mean", "low", "high", "n")


def number(value: float) -> str:
    """Return a number to four significant digits; what is not finite in words."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "unbounded"
    return f"{value:.4g}"


def cells(name: str, estimate: Estimate) -> tuple[str, ...]:
    """Return name, mean, bounds and number of users in words."""
    low, high = estimate.interval
    return (name, number(estimate.mean), number(low), number(high), str(estimate.n))


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with columns of equal width."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def markdown(report: Report) -> str:
    """Return means, intervals and policies as Markdown."""
    rows = [cells(name, report[name]) for name in report.names]
    notes = "\n".join(f"- {name}: {text}" for name, text in report.policies.items())
    title = f"{report.n_users} users, {report.confidence:.0%} intervals"
    return f"{title}\n\n{table_of(_HEAD, rows)}\n\n{notes}\n"


def text(report: Report) -> str:
    """Return a short table for the terminal."""
    rows = [cells(name, report[name]) for name in report.names]
    return f"Report over {report.n_users} users\n{table_of(_HEAD, rows)}"


def latex(report: Report) -> str:
    """Return means and intervals as a LaTeX table."""
    lines = [r"\begin{tabular}{lrrrr}", r"\toprule", " & ".join(_HEAD) + r" \\", r"\midrule"]
    lines += [
        " & ".join(map(latex_safe, cells(name, report[name]))) + r" \\" for name in report.names
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def latex_safe(words: str) -> str:
    """Return words with the characters that LaTeX takes as commands escaped."""
    for sign in "&%$#_{}":
        words = words.replace(sign, "\\" + sign)
    return words.replace(">", r"$>$").replace("<", r"$<$")


def html(report: Report) -> str:
    """Return means, intervals and policies as an HTML table."""
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(name, report[name]))
        + "</tr>"
        for name in report.names
    )
    notes = "".join(
        f"<li>{escape(name)}: {escape(note)}</li>" for name, note in report.policies.items()
    )
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        f"<p>{report.n_users} users, {report.confidence:.0%} intervals</p><ul>{notes}</ul>"
    )


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, else None."""
    return value if math.isfinite(value) else None


def json_text(report: Report) -> str:
    """Return the report without per-user values as JSON."""
    metrics = [
        {
            "name": name,
            "mean": finite(report[name].mean),
            "low": finite(report[name].interval[0]),
            "high": finite(report[name].interval[1]),
            "standard_error": finite(report[name].standard_error),
            "n": report[name].n,
            "method": report[name].method,
        }
        for name in report.names
    ]
    return json.dumps(
        {
            "users": report.n_users,
            "confidence": report.confidence,
            "metrics": metrics,
            "policies": report.policies,
        }
    )
