"""What is drawn: intervals, lines, bands, stacked shares, points; as Plotly figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from siamrec._core.lazy import extra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Okabe and Ito's palette: eight colours that people with any colour vision tell apart.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#F0E442", "#000000")
_INK, _SOFT, _GRID, _BAND = "#1f2933", "#616e7c", "#e4e7eb", "rgba(0, 114, 178, 0.18)"

Interval: TypeAlias = "tuple[str, float, float | None, float | None]"
"""A label, the estimate, and the ends of its interval; None or infinite where unbounded."""
Line: TypeAlias = "tuple[Sequence[float], Sequence[float | None]]"
"""Where along the axis, and how high."""


def colours_of(names: Iterable[str]) -> dict[str, str]:
    """Return a colour for each name, always the same for one order of names."""
    return {name: PALETTE[place % len(PALETTE)] for place, name in enumerate(names)}


def intervals(
    groups: Mapping[str, Sequence[Interval]],
    *,
    axis: str,
    title: str = "",
    form: str = ".4g",
    zero: bool = False,
    colours: Mapping[str, str] | None = None,
) -> Any:
    """Return a figure of estimates with their intervals, a line for each label.

    Args:
        groups: Rows by group; each group has a symbol of its own.
        axis: What the numbers are.
        title: What the figure shows.
        form: How numbers are written, such as `".1%"`.
        zero: Whether 0 is marked.
        colours: Colour of each label.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    figure = _figure()
    rows = [row for group in groups.values() for row in group]
    edge = _edge(rows)
    for (name, group), symbol in zip(groups.items(), _SYMBOLS * len(groups), strict=False):
        centre = [_inside(row[1], edge) for row in group]
        low = [_inside(-math.inf if row[2] is None else row[2], edge) for row in group]
        high = [_inside(math.inf if row[3] is None else row[3], edge) for row in group]
        figure.add_scatter(
            x=centre,
            y=[row[0] for row in group],
            mode="markers",
            name=name,
            marker={
                "symbol": symbol,
                "size": 11,
                "color": [(colours or {}).get(row[0], PALETTE[0]) for row in group],
            },
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [up - at for up, at in zip(high, centre, strict=True)],
                "arrayminus": [at - down for down, at in zip(low, centre, strict=True)],
                "color": _SOFT,
            },
            hovertemplate="%{y}: %{x:" + form + "}<extra>" + name + "</extra>",
        )
    if zero:
        figure.add_vline(x=0, line_dash="dot", line_color=_INK)
    figure.update_xaxes(tickformat=form)
    figure.update_yaxes(autorange="reversed")
    height = 160 + 32 * len({row[0] for row in rows})
    return _styled(figure, x=axis, y="", title=title, height=height, legend=len(groups) > 1)


def points(
    groups: Mapping[str, tuple[float, float]],
    *,
    x: str,
    y: str,
    title: str = "",
    form: tuple[str, str] = (".4g", ".4g"),
    colours: Mapping[str, str] | None = None,
) -> Any:
    """Return a figure of one named point for each pair of numbers.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    figure, known = _figure(), colours or colours_of(groups)
    for name, (across, up) in groups.items():
        figure.add_scatter(
            x=[across],
            y=[up],
            mode="markers",
            name=name,
            marker={"size": 14, "color": known[name]},
            hovertemplate=f"{name}: {y} %{{y:{form[1]}}}, {x} %{{x:{form[0]}}}<extra></extra>",
        )
    figure.update_xaxes(tickformat=form[0])
    figure.update_yaxes(tickformat=form[1], rangemode="tozero")
    return _styled(figure, x=x, y=y, title=title)


def lines(
    groups: Mapping[str, Line], *, x: str, y: str, title: str = "", form: str = ".4g"
) -> Any:
    """Return a figure of lines over one axis.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    figure = _figure()
    for name, colour in colours_of(groups).items():
        across, up = groups[name]
        line = {"color": colour, "width": 2}
        figure.add_scatter(x=list(across), y=_known(up), mode="lines", name=name, line=line)
    figure.update_yaxes(tickformat=form)
    figure.update_layout(hovermode="x unified")
    return _styled(figure, x=x, y=y, title=title, legend=len(groups) > 1)


def band(
    at: Sequence[float],
    estimate: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    x: str,
    y: str,
    name: str,
    title: str = "",
    form: str = ".4g",
) -> Any:
    """Return a figure of an estimate that moves, inside the band of its intervals; 0 is marked.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    figure = _figure()
    figure.add_scatter(
        x=[*at, *reversed(at)],
        y=[*high, *reversed(low)],
        fill="toself",
        fillcolor=_BAND,
        line={"width": 0},
        name=name,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=list(at),
        y=list(estimate),
        mode="lines+markers",
        name="estimate",
        line={"color": PALETTE[0], "width": 2},
        hovertemplate="%{x}: %{y:" + form + "}<extra></extra>",
    )
    figure.add_hline(y=0, line={"color": _INK, "width": 1})
    figure.update_yaxes(tickformat=form)
    return _styled(figure, x=x, y=y, title=title)


def stacked(
    at: Sequence[float],
    shares: Mapping[str, Sequence[float]],
    *,
    x: str,
    y: str,
    title: str = "",
    colours: Mapping[str, str] | None = None,
) -> Any:
    """Return a figure of shares that add up to one, over an axis.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    figure, known = _figure(), colours or colours_of(shares)
    for name, share in shares.items():
        figure.add_scatter(
            x=list(at),
            y=list(share),
            mode="lines",
            name=name,
            stackgroup="all",
            line={"width": 0.5, "color": known[name]},
            hovertemplate=f"{name}: %{{y:.1%}}<extra></extra>",
        )
    figure.update_yaxes(tickformat=".0%", range=[0, 1])
    figure.update_layout(hovermode="x unified")
    return _styled(figure, x=x, y=y, title=title)


def panels(
    drawn: Sequence[tuple[str, Sequence[Any], Sequence[float | None], str]],
    *,
    y: str = "",
    beside: bool = False,
) -> Any:
    """Return a figure of several panels, above or beside one another.

    Args:
        drawn: A title, places along the axis, heights, and `"lines"`, `"markers"` or `"steps"`
            for each trace; traces of one title share a panel.
        y: What the heights are, where panels stand beside one another and share them.
        beside: Whether they stand beside one another with one axis of heights.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    subplots = extra("plotly.subplots", extra="plots", purpose="Drawing a figure")
    titles = list(dict.fromkeys(title for title, *_ in drawn))
    shape = {"rows": 1, "cols": len(titles)} if beside else {"rows": len(titles), "cols": 1}
    shared = {"shared_yaxes": True} if beside else {"shared_xaxes": True}
    figure = subplots.make_subplots(**shape, **shared, subplot_titles=titles)
    for title, across, up, mode in drawn:
        place = titles.index(title) + 1
        where = {"row": 1, "col": place} if beside else {"row": place, "col": 1}
        figure.add_scatter(
            x=list(across),
            y=_known(up),
            name=title,
            mode="markers" if mode == "markers" else "lines",
            line_shape="hv" if mode == "steps" else "linear",
            marker={"color": PALETTE[0]},
            line={"color": PALETTE[1] if mode == "steps" else PALETTE[0]},
            **where,
        )
    height = 360 if beside else 120 + 180 * len(titles)
    _styled(figure, x="", y="", title="", height=height, legend=False)
    figure.update_yaxes(title_text=y, col=1)
    figure.update_layout(margin_t=40)
    return figure


_SYMBOLS = ("circle", "diamond-open", "square", "triangle-up")


def _figure() -> Any:
    return extra("plotly.graph_objects", extra="plots", purpose="Drawing a figure").Figure()


def _styled(
    figure: Any, *, x: str, y: str, title: str, height: int = 360, legend: bool = True
) -> Any:
    figure.update_layout(
        template="plotly_white",
        height=height,
        title=title or None,
        margin={"l": 60, "r": 20, "t": 50 if title else 20, "b": 50},
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        showlegend=legend,
        xaxis_title=x,
        yaxis_title=y,
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    return figure


def _edge(rows: Sequence[Interval]) -> float:
    """How far an interval without an end is drawn: beyond everything that has one."""
    numbers = [each for row in rows for each in row[1:] if each is not None]
    sizes = np.abs([each for each in numbers if math.isfinite(each)])
    return 1.2 * float(sizes.max()) if sizes.size and sizes.max() > 0 else 1.0


def _inside(value: float, edge: float) -> float:
    return min(max(value, -edge), edge)


def _known(values: Sequence[float | None]) -> list[float | None]:
    return [None if each is None or not math.isfinite(each) else each for each in values]
