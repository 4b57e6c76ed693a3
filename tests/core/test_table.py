"""Tables: rounded for people, exact for programs, safe on a page."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typing_extensions import override

from siamrec._core.table import Record, Shown, Table, day, number, words
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Mapping

TABLE = Table(
    head=("arm", "share", "95 % interval", "n"),
    rows=(
        ("<b>svd|x</b>", 0.1234567, (0.1, math.inf), 12_345),
        ("graph", None, None, int(np.int64(7))),
    ),
    title="Two arms & more",
    notes=("read with care",),
)


class Seen(Shown):
    @override
    def title(self) -> str:
        return TABLE.title

    @override
    def table(self) -> Table:
        return TABLE


def test_numbers_are_rounded_where_people_read() -> None:
    text = TABLE.text().splitlines()
    assert text[0] == "Two arms & more"
    assert text[2].split() == ["<b>svd|x</b>", "0.1235", "[0.1,", "unbounded]", "12,345"]
    assert text[3].split() == ["graph", "–", "–", "7"]
    assert text[-1] == "read with care"


def test_numbers_are_exact_where_programs_read() -> None:
    read = json.loads(TABLE.json())
    assert read["rows"] == [
        {"arm": "<b>svd|x</b>", "share": 0.1234567, "95 % interval": [0.1, None], "n": 12345},
        {"arm": "graph", "share": None, "95 % interval": None, "n": 7},
    ]
    arrow = TABLE.arrow()
    assert arrow.column("share").to_pylist() == [0.1234567, None]
    assert arrow.column("95 % interval").to_pylist() == [[0.1, math.inf], None]


def test_what_a_stranger_wrote_is_text_on_a_page() -> None:
    assert "<b>" not in TABLE.html()
    assert "&lt;b&gt;svd|x&lt;/b&gt;" in TABLE.html()
    assert "\\|" in TABLE.markdown()
    assert "<b>" not in TABLE.markdown()


def test_numbers_stand_to_the_right() -> None:
    assert TABLE.markdown().splitlines()[3] == "| --- | ---: | ---: | ---: |"
    assert TABLE.html().count('style="text-align:right"') == 9


def test_one_method_gives_every_view() -> None:
    seen = Seen()
    assert repr(seen) == "<Two arms & more>"
    assert str(seen) == seen.to_text() == TABLE.text()
    assert seen._repr_html_() == seen.to_html() == TABLE.html()
    assert seen._repr_markdown_() == seen.to_markdown() == TABLE.markdown()
    assert seen.to_json() == TABLE.json()


def test_one_line_stays_one_line() -> None:
    class Long(Shown):
        @override
        def title(self) -> str:
            return "y\n" * 5_000

        @override
        def table(self) -> Table:
            return Table(head=("a",), rows=((("x" * 10_000),),), title=self.title())

    assert len(repr(Long())) < 500
    assert "\n" not in repr(Long())
    assert len(str(Long()).splitlines()[-1]) <= 200


def test_columns_are_told_apart_by_name() -> None:
    with pytest.raises(InvalidDataError, match=r"must differ, got \('a', 'a'\)"):
        Table(head=("a", "a"), rows=())


def test_latex_takes_no_command_from_a_name() -> None:
    page = Table(head=("a_b",), rows=(("5 % & {x} > 1",), (r"\input{~/x}",))).latex()
    assert r"a\_b" in page
    assert r"\textbackslash{}input\{\textasciitilde{}/x\}" in page
    assert r"5 \% \& \{x\} $>$ 1 \\" in page


@dataclass(frozen=True, repr=False)
class Lap(Record):
    seconds: float
    interval: tuple[float, float]
    by: Mapping[str, float]
    parts: tuple[Lap, ...] = ()
    column: Any = None
    _hidden: int = 0

    @override
    def title(self) -> str:
        return f"Lap of {self.seconds:.0f} seconds"


def test_a_record_is_shown_field_by_field() -> None:
    inner = Lap(1.0, (0.5, 1.5), {})
    lap = Lap(61.23456789, (60.0, 62.0), {"ann": np.float64(0.1)}, (inner,) * 2, np.ones((2, 3)))
    assert repr(lap) == "<Lap of 61 seconds>"
    assert json.loads(lap.to_json())["rows"] == [
        {"field": "seconds", "value": 61.23456789},
        {"field": "interval", "value": [60.0, 62.0]},
        {"field": "by ann", "value": 0.1},
        {"field": "parts", "value": "Lap of 1 seconds, Lap of 1 seconds"},
        {"field": "column", "value": "2 × 3 numbers"},
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="Row 1 of a table must have 1 cells, got 2"):
        Table(head=("a",), rows=((1,), (1, 2)))


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.5, "0.5"), (math.nan, "undefined"), (-math.inf, "unbounded"), (1e-9, "1e-09"), (7, "7")],
)
def test_a_number_in_words(value: float, said: str) -> None:
    assert number(value) == said


def test_other_cells_in_words() -> None:
    assert words(True) == "yes"
    assert words((0.25, 0.75)) == "[0.25, 0.75]"
    assert day(-(2**63) + 1) == "1677-09-21"


HOSTILE = "\x1b[2J\x9b31m[/red]\u202e\x07<b>&[x](javascript:1)"


def test_no_control_code_reaches_a_terminal_or_a_page() -> None:
    table = Table(head=(HOSTILE,), rows=((HOSTILE,),), title=HOSTILE, notes=(HOSTILE,))
    for page in (table.text(), table.markdown(), table.html(), table.latex(), repr(table)):
        assert page.replace("\n", "").isprintable()
    for page in (table.markdown(), table.html()):
        assert "<b>" not in page
    assert "](" not in table.markdown()
    assert json.loads(table.json())["title"] == HOSTILE
    assert str(InvalidDataError(HOSTILE)).isprintable()


def test_letters_of_all_scripts_stay() -> None:
    texts = ("ไทย", "日本語", "فارسی\u200cها", "👩\u200d👧")
    table = Table(head=("text",), rows=tuple((text,) for text in texts))
    for text in texts:
        assert text in table.text()


def test_pairs_are_intervals_only_of_numbers() -> None:
    facts = {"share": (0.1, 0.5), "anchors": (("i0", 0.5), ("i1", 0.25)), "pair": ("a", "b")}
    assert Table.of("x", facts).rows == (
        ("share", (0.1, 0.5)), ("anchors", "i0 0.5, i1 0.25"), ("pair", "a, b"),
    )  # fmt: skip
