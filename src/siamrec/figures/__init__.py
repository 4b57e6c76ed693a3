"""Figures from plain rows: one look for reports, notebooks and pages; needs the extra `plots`."""

from siamrec.figures.drawing import (
    band,
    colours_of,
    intervals,
    lines,
    panels,
    points,
    stacked,
)

__all__ = ["band", "colours_of", "intervals", "lines", "panels", "points", "stacked"]
