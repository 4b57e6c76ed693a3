"""Feedback and catalogues in files: recognised, validated row by row, never trusted."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import polars as pl
import pytest
from typing_extensions import override

from siamrec.errors import InvalidDataError, InvalidParameterError, UnknownNameError
from siamrec.feedback import FileFeedback, read_catalog
from siamrec.testing.feedback import FeedbackSourceContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Feedback

GOOD = "userId,movieId,rating,timestamp\n1,x,5,964982703\n1,y,3.5,964982704\n2,x,1,964982705\n"


class TestFileFeedback(FeedbackSourceContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "feedback.parquet"

    @override
    def make(self, feedback: Feedback) -> FileFeedback:
        frame = pl.DataFrame(
            {
                "user": feedback.users.decode(feedback.user),
                "item": feedback.items.decode(feedback.item),
                "rating": feedback.value,
                # seconds in the year 33658, whose nanoseconds the contract compares
                "time": feedback.time / 1e9,
            }
        )
        frame.write_parquet(self.path)
        return FileFeedback(path=self.path)


def ids(feedback: Feedback) -> list[tuple[str, str, float]]:
    users, items = feedback.users.decode(feedback.user), feedback.items.decode(feedback.item)
    return list(zip(users, items, feedback.value.tolist(), strict=True))


EXPECTED = [("1", "x", 5.0), ("1", "y", 3.5), ("2", "x", 1.0)]


def test_csv_with_movielens_names(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(GOOD)
    loaded = FileFeedback(path=path).load()
    assert ids(loaded.feedback) == EXPECTED
    assert loaded.feedback.time[0] == 964982703 * 10**9
    assert loaded.columns == {
        "user": "userId",
        "item": "movieId",
        "value": "rating",
        "time": "timestamp",
    }
    assert loaded.rejected == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_line_ends_and_byte_order_marks(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace(",", delimiter).replace("\n", "\r\n").encode())
    assert ids(FileFeedback(path=path).load().feedback) == EXPECTED


@pytest.mark.parametrize("kind", ["csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"ratings.{kind}"
    frame = pl.read_csv(GOOD.encode())
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(GOOD.encode()))
    elif kind == "parquet":
        frame.write_parquet(path)
    else:
        text = "\n".join(json.dumps(row) for row in frame.to_dicts()).encode()
        path.write_bytes(gzip.compress(text) if kind.endswith("gz") else text)
    assert ids(FileFeedback(path=path).load().feedback) == EXPECTED


def test_bad_rows_are_set_apart_with_their_reasons(tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text(
        "user,item,rating,date\n"
        "a,1,5,2020-01-01\n"
        ",1,5,2020-01-01\n"
        "b,,5,2020-01-01\n"
        "b,2,nan,2020-01-01\n"
        "b,2,many,2020-01-01\n"
        "b,2,7,2020-01-01\n"
        "b,2,-1,2020-01-01\n"
        "b,2,3,20x0\n"
        "b,2,3,\n"
        "c,2,3\n"
        "d,2,3,2020/02/01T10:00:00+02:00\n"
    )
    loaded = FileFeedback(path=path).load()
    assert ids(loaded.feedback) == [("a", "1", 5.0), ("d", "2", 3.0)]
    assert [(row.row, row.reason) for row in loaded.rejected] == [
        (2, "user is missing"),
        (3, "item is missing"),
        (4, "rating is missing"),
        (5, "rating is not a number: many"),
        (6, "rating is outside [0, 5]: 7"),
        (7, "rating is outside [0, 5]: -1"),
        (8, "time cannot be read: 20x0"),
        (9, "time is missing"),
        (10, "3 values where the header has 4"),
    ]
    assert loaded.rejected[4].data == {
        "user": "b",
        "item": "2",
        "rating": "7",
        "date": "2020-01-01",
    }
    assert loaded.reasons["rating is outside [0, 5]"] == 2
    assert loaded.feedback.time[1] == 1_580_544_000 * 10**9


def test_broken_json_lines_are_set_apart(tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"user": 1, "item": 2, "rating": 3}\n{"user": 1,\n[1, 2]\n')
    loaded = FileFeedback(path=path).load()
    assert ids(loaded.feedback) == [("1", "2", 3.0)]
    assert [row.row for row in loaded.rejected] == [2, 3]
    assert "no JSON" in loaded.rejected[0].reason
    assert not loaded.feedback.has_time


def test_columns_can_be_mapped_and_the_scale_widened(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("who,what,how\na,x,9\n")
    columns = {"user": "who", "item": "what", "value": "how"}
    loaded = FileFeedback(path=path, columns=columns, rating_range=(1, 10)).load()
    assert ids(loaded.feedback) == [("a", "x", 9.0)]


def test_unknown_columns_are_listed_with_the_option(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("who,what\na,x\n")
    with pytest.raises(
        InvalidDataError, match="for the user; found who, what. Name it with --user"
    ):
        FileFeedback(path=path).load()
    with pytest.raises(
        UnknownNameError, match="column for user is named 'woh'. Did you mean 'who'"
    ):
        FileFeedback(path=path, columns={"user": "woh"}).load()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"   \n", "is empty"),
        (bytes(range(256)) * 8, "neither text nor Parquet"),
        (b"PAR1 and no more", "cannot be read as Parquet"),
        (gzip.compress(GOOD.encode())[:-9], "cannot be read"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "feedback.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidDataError, match=message):
        FileFeedback(path=path).load()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="is not a file"):
        FileFeedback(path=tmp_path / "nothing.csv").load()


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="rating_range"):
        FileFeedback(path="x", rating_range=(5, 5))
    with pytest.raises(UnknownNameError, match="column role"):
        FileFeedback(path="x", columns={"usr": "u"})


def test_catalogues_find_their_texts(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text(
        'movieId,title,genres,overview,votes\n1,"Up (2009)",Animation|Drama,A house flies.,10\n'
        "2,Solaris,(no genres listed),,3\n3,,,,\n1,again,,,\n"
    )
    catalog = read_catalog(path)
    assert catalog.items.ids == ("1", "2", "3")
    assert catalog.text == ("Up (2009). Animation, Drama. A house flies.", "Solaris", None)
    assert catalog.attributes["genres"][0] == ("Animation", "Drama")
    assert catalog.attributes["votes"] == ("10", "3", None)
    assert read_catalog(path, text=["title"]).text[0] == "Up (2009)"


def test_catalogues_name_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("key,title\n1,Up\n")
    with pytest.raises(InvalidDataError, match="No column stands for the item; found key, title"):
        read_catalog(path)
    assert read_catalog(path, item="key").items.ids == ("1",)
    with pytest.raises(UnknownNameError, match="column for text is named 'plot'"):
        read_catalog(path, item="key", text=["plot"])
