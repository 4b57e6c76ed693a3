"""The pictures of the report, as Plotly figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec._core.lazy import extra

if TYPE_CHECKING:
    from collections.abc import Mapping

# Okabe and Ito's palette: eight colours that people with any colour vision tell apart.
_PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_INK, _SOFT, _GRID = "#1f2933", "#616e7c", "#e4e7eb"


def figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return every figure by name.

    Raises:
        siamrec.errors.MissingExtraError: If Plotly is not installed.
    """
    graph = extra("plotly.graph_objects", extra="plots", purpose="Drawing the report")
    colours = {name: _PALETTE[n % len(_PALETTE)] for n, name in enumerate(summary["arms"])}
    return {
        "arms": _arms(graph, summary, colours),
        "tail": _tail(graph, summary, colours),
        "shares": _shares(graph, summary, colours),
        "sequence": _sequence(graph, summary),
    }


def _arms(graph: Any, summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    metric = summary["tuning"]["metric"]
    figure = graph.Figure()
    slices = (("warm items", "arms", "circle"), ("cold items", "cold_arms", "diamond-open"))
    for label, table, symbol in slices:
        rows = summary[table]
        names = sorted(rows, key=lambda name: summary["arms"][name][metric]["mean"] or 0.0)
        mean = [rows[name][metric]["mean"] for name in names]
        high = [_gap(rows[name][metric]["high"], m) for name, m in zip(names, mean, strict=True)]
        low = [_gap(m, rows[name][metric]["low"]) for name, m in zip(names, mean, strict=True)]
        figure.add_trace(
            graph.Scatter(
                x=mean,
                y=names,
                mode="markers",
                name=label,
                marker={"symbol": symbol, "size": 11, "color": [colours[n] for n in names]},
                error_x={"type": "data", "array": high, "arrayminus": low, "color": _SOFT},
                hovertemplate="%{y}: %{x:.4f}<extra>" + label + "</extra>",
            )
        )
    return _styled(figure, x=f"{metric} with 95 % interval", y="", height=320)


def _tail(graph: Any, summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    metric, tail = summary["tuning"]["metric"], "long_tail_share@10"
    figure = graph.Figure()
    for name, rows in summary["arms"].items():
        if tail not in rows:
            continue
        figure.add_trace(
            graph.Scatter(
                x=[rows[tail]["mean"]],
                y=[rows[metric]["mean"]],
                mode="markers",
                name=name,
                marker={"size": 14, "color": colours[name]},
                hovertemplate=f"{name}: {metric} %{{y:.4f}}, tail %{{x:.1%}}<extra></extra>",
            )
        )
    figure.update_xaxes(tickformat=".0%", range=[-0.04, 1.04])
    figure.update_yaxes(rangemode="tozero")
    return _styled(figure, x="long-tail share of the lists", y=metric, height=360)


def _shares(graph: Any, summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    over_time = summary["bandit"]["over_time"]
    figure = graph.Figure()
    for name, share in zip(summary["bandit"]["shares"], over_time["share"], strict=True):
        figure.add_trace(
            graph.Scatter(
                x=over_time["visit"],
                y=share,
                mode="lines",
                name=name,
                stackgroup="arms",
                line={"width": 0.5, "color": colours[name]},
                hovertemplate=f"{name}: %{{y:.1%}}<extra></extra>",
            )
        )
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    figure.update_layout(hovermode="x unified")
    return _styled(figure, x="visit", y="share of choices", height=360)


def _sequence(graph: Any, summary: Mapping[str, Any]) -> Any:
    looks = [look for look in summary["experiment"]["looks"] if look["low"] is not None]
    at = [look["visit"] for look in looks]
    figure = graph.Figure()
    figure.add_trace(
        graph.Scatter(
            x=[*at, *reversed(at)],
            y=[*(look["high"] for look in looks), *(look["low"] for look in reversed(looks))],
            fill="toself",
            fillcolor="rgba(0, 114, 178, 0.18)",
            line={"width": 0},
            name="95 % at every look",
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        graph.Scatter(
            x=at,
            y=[look["estimate"] for look in looks],
            mode="lines+markers",
            name="difference",
            line={"color": _PALETTE[0], "width": 2},
            hovertemplate="after %{x} visits: %{y:+.3f}<extra></extra>",
        )
    )
    figure.add_hline(y=0, line={"color": _INK, "width": 1})
    return _styled(figure, x="visits", y="hit rate, bandit − control", height=360)


def _styled(figure: Any, *, x: str, y: str, height: int) -> Any:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        xaxis_title=x,
        yaxis_title=y,
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    return figure


def _gap(upper: float | None, lower: float | None) -> float:
    return 0.0 if upper is None or lower is None else upper - lower
