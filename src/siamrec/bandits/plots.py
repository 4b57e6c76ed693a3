"""Pictures of what a bandit believes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec._core.lazy import extra

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.bandits._choice import ArmView


def plot_arms(view: Mapping[str, ArmView], title: str) -> Any:
    """Return a plotly figure: mean, 95 % interval and probability of every arm.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    graph = extra("plotly.graph_objects", extra="plots", purpose="Plotting a bandit")
    arms = list(view.values())
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [arm.high - arm.mean for arm in arms],
        "arrayminus": [arm.mean - arm.low for arm in arms],
    }
    figure = graph.Figure(
        [
            graph.Scatter(
                x=list(view),
                y=[arm.mean for arm in arms],
                error_y=bars,
                mode="markers",
                name="expected reward",
            ),
            graph.Bar(
                x=list(view), y=[arm.probability for arm in arms], opacity=0.4, name="probability"
            ),
        ]
    )
    figure.update_layout(title=title)
    return figure
