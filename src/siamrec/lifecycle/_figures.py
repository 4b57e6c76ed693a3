"""The pictures of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec.figures import band, colours_of, intervals, points, stacked

if TYPE_CHECKING:
    from collections.abc import Mapping


def figures(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return every figure by name.

    Raises:
        siamrec.errors.MissingExtraError: If Plotly is not installed.
    """
    colours = colours_of(summary["arms"])
    return {
        "arms": _arms(summary, colours),
        "tail": _tail(summary, colours),
        "shares": _shares(summary, colours),
        "sequence": _sequence(summary),
    }


def _arms(summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    metric = summary["tuning"]["metric"]
    groups = {}
    for label, table in (("warm items", "arms"), ("cold items", "cold_arms")):
        rows = summary[table]
        names = sorted(rows, key=lambda name: -(summary["arms"][name][metric]["mean"] or 0.0))
        groups[label] = [
            (name, found["mean"] or 0.0, found["low"], found["high"])
            for name in names
            for found in (rows[name][metric],)
        ]
    return intervals(groups, axis=f"{metric} with 95 % interval", form=".2f", colours=colours)


def _tail(summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    metric, tail = summary["tuning"]["metric"], "long_tail_share@10"
    places = {
        name: (rows[tail]["mean"], rows[metric]["mean"])
        for name, rows in summary["arms"].items()
        if tail in rows
    }
    x = "long-tail share of the lists"
    figure = points(places, x=x, y=metric, form=(".0%", ".2f"), colours=colours)
    figure.update_xaxes(range=[-0.04, 1.04])
    return figure


def _shares(summary: Mapping[str, Any], colours: Mapping[str, str]) -> Any:
    over_time = summary["bandit"]["over_time"]
    shares = dict(zip(summary["bandit"]["shares"], over_time["share"], strict=True))
    return stacked(over_time["visit"], shares, x="visit", y="share of choices", colours=colours)


def _sequence(summary: Mapping[str, Any]) -> Any:
    looks = [look for look in summary["experiment"]["looks"] if look["low"] is not None]
    at, estimate, low, high = (
        [look[name] for look in looks] for name in ("visit", "estimate", "low", "high")
    )
    return band(
        *(at, estimate, low, high),
        x="visits",
        y="hit rate, bandit − control",
        name="95 % at every look",
        form="+.3f",
    )
