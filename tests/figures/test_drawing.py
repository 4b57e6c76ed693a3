"""Figures hold what they were given, in one look, and are JSON that a page can draw."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from siamrec.figures import band, colours_of, intervals, lines, panels, points, stacked

ROWS = [("svd", 0.5, 0.4, 0.7), ("graph", -0.1, -math.inf, None)]
DRAWN: dict[str, Any] = {
    "intervals": lambda: intervals({"arms": ROWS}, axis="reward", title="Arms", zero=True),
    "points": lambda: points({"svd": (0.1, 0.2), "graph": (0.3, 0.4)}, x="tail", y="ndcg"),
    "lines": lambda: lines({"loss": ([1, 2, 3], [1.0, None, math.nan])}, x="step", y="loss"),
    "band": lambda: band([1, 2], [0.1, 0.2], [0.0, 0.1], [0.3, 0.4], x="n", y="lift", name="95 %"),
    "stacked": lambda: stacked([1, 2], {"a": [0.2, 0.5], "b": [0.8, 0.5]}, x="visit", y="share"),
    "panels": lambda: panels([("loss", [1, 2], [3.0, None], "lines")]),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_a_figure_is_json_without_what_json_cannot_hold(draw: Any) -> None:
    read = json.loads(draw().to_json())
    assert read["data"]
    assert read["layout"]["font"]["family"].startswith("system-ui")


def test_intervals_without_an_end_are_drawn_beyond_all_others() -> None:
    trace = DRAWN["intervals"]().data[0]
    assert list(trace.x) == [0.5, -0.1]
    low, high = trace.error_x["arrayminus"], trace.error_x["array"]
    assert trace.x[0] - low[0] == pytest.approx(0.4)
    assert trace.x[0] + high[0] == pytest.approx(0.7)
    assert trace.x[1] - low[1] == pytest.approx(-1.2 * 0.7)
    assert trace.x[1] + high[1] == pytest.approx(1.2 * 0.7)


def test_no_interval_at_all_is_a_figure_too() -> None:
    assert intervals({"arms": []}, axis="reward").data[0].x == ()


def test_a_name_keeps_its_colour() -> None:
    colours = colours_of(["a", "b"])
    assert len(set(colours.values())) == 2
    trace = points({"b": (1, 2)}, x="x", y="y", colours=colours).data[0]
    assert trace.marker["color"] == colours["b"]


def test_panels_stand_above_or_beside_one_another() -> None:
    drawn = [("a", [1], [1.0], "markers"), ("a", [1], [1.0], "steps"), ("b", [1], [1.0], "lines")]
    beside = panels(drawn, y="metric", beside=True)
    assert [trace.xaxis for trace in beside.data] == ["x", "x", "x2"]
    assert [trace.line["shape"] for trace in beside.data] == ["linear", "hv", "linear"]
    above = panels(drawn)
    assert [trace.yaxis for trace in above.data] == ["y", "y", "y2"]
