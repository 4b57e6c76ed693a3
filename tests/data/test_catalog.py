"""Catalogue: texts that may be missing, never silently."""

from __future__ import annotations

import polars as pl
import pytest

from siamrec.data import Catalog, Vocabulary
from siamrec.errors import InvalidDataError, UnknownNameError

FRAME = pl.DataFrame(
    {
        "movieId": [10, 20, 30, 10],
        "title": ["Alien", "Up.", None, "a second row"],
        "overview": ["A ship answers a call.", None, "  ", "x"],
        "genres": ["Horror|Sci-Fi", "Animation", None, ""],
        "votes": [900, 12, None, 0],
    }
)


def test_texts_are_joined_and_missing_ones_stay_missing() -> None:
    catalog = Catalog.from_frame(FRAME, item="movieId", text=["title", "overview"])
    assert catalog.items.ids == (10, 20, 30)
    assert catalog.text == ("Alien. A ship answers a call.", "Up.", None)
    assert catalog.has_text.tolist() == [True, True, False]


def test_attributes_and_lists_travel() -> None:
    catalog = Catalog.from_frame(
        FRAME, item="movieId", text="title", attributes=["votes"], lists={"genres": "|"}
    )
    assert catalog.attributes["votes"] == (900, 12, None)
    assert catalog.attributes["genres"] == (("Horror", "Sci-Fi"), ("Animation",), None)
    assert catalog.to_arrow().column_names == ["item", "text", "votes", "genres"]


def test_aligning_follows_the_given_items() -> None:
    catalog = Catalog.from_frame(FRAME, item="movieId", text="title", attributes=["votes"])
    aligned = catalog.aligned(Vocabulary((20, 99)))
    assert aligned.text == ("Up.", None)
    assert aligned.attributes["votes"] == (12, None)


def test_a_catalogue_without_texts_is_possible() -> None:
    catalog = Catalog(items=Vocabulary(("a", "b")))
    assert catalog.text == (None, None)
    assert len(catalog) == 2


def test_the_fingerprint_follows_the_texts() -> None:
    one, two = (Catalog(items=Vocabulary(("a",)), text=(text,)) for text in ("x", "y"))
    assert one.fingerprint() != two.fingerprint()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="text must have one value for each of the 1 items"):
        Catalog(items=Vocabulary(("a",)), text=("x", "y"))
    with pytest.raises(UnknownNameError, match="column for text is named 'titel'"):
        Catalog.from_frame(FRAME, item="movieId", text="titel")
