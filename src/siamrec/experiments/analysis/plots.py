"""Pictures of reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core.lazy import extra

if TYPE_CHECKING:
    from siamrec.experiments.analysis.report import ExperimentReport


def plot_report(report: ExperimentReport) -> Any:
    """Return a plotly figure: relative difference and interval of every metric.

    Intervals that are not bounded are drawn to the edge.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    graph = extra("plotly.graph_objects", extra="plots", purpose="Plotting a report")
    found = list(report.comparisons.items())
    labels = [f"{metric} ({treatment})" for (metric, treatment), _ in found]
    centre = np.array([each.relative.estimate for _, each in found])
    ends = np.array([each.relative.interval for _, each in found]).reshape(-1, 2)
    known = ends[np.isfinite(ends)]
    edge = 1.2 * float(np.abs(known).max()) if known.size else 1.0
    ends = np.clip(ends, -edge, edge)
    centre = np.clip(centre, -edge, edge)
    figure = graph.Figure(
        graph.Scatter(
            x=centre,
            y=labels,
            mode="markers",
            error_x={
                "type": "data",
                "symmetric": False,
                "array": ends[:, 1] - centre,
                "arrayminus": centre - ends[:, 0],
            },
        )
    )
    figure.add_vline(x=0, line_dash="dot")
    title = report.decision if report.winner is None else f"{report.decision}: {report.winner}"
    figure.update_layout(title=title, xaxis_title="relative difference", xaxis_tickformat="+.1%")
    return figure
