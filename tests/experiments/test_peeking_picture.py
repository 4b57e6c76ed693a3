"""The picture of the page on peeking is the one that its example draws."""

from __future__ import annotations

import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]


def test_the_page_shows_what_the_example_draws() -> None:
    found = runpy.run_path(str(ROOT / "examples" / "peeking.py"))
    drawn = found["picture"]._repr_html_()
    shown = (ROOT / "docs" / "explanation" / "peeking.svg").read_text(encoding="utf-8")
    assert drawn == shown.strip()
    ET.fromstring(drawn)  # noqa: S314 - our own text
    assert found["stopped"]["t-test, read at every look"][-1] > 0.25
    assert found["stopped"]["confidence sequence"][-1] <= 0.05
