"""Feedback and catalogues in files: recognised, validated row by row, never trusted."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from pyarrow import parquet
from typing_extensions import override

from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    SiamrecError,
    UnknownNameError,
)
from siamrec.feedback import FileFeedback, FileTail, read_catalog
from siamrec.testing.feedback import FeedbackSourceContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.data import Feedback

GOOD = "userId,movieId,rating,timestamp\n1,x,5,964982703\n1,y,3.5,964982704\n2,x,1,964982705\n"


class TestFileFeedback(FeedbackSourceContract):
    """A Parquet file of our own export carries every column, to the nanosecond."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.path = tmp_path / "feedback.parquet"

    @override
    def make(self, feedback: Feedback) -> FileFeedback:
        parquet.write_table(feedback.to_arrow(), self.path)
        return FileFeedback(path=self.path)


def ids(feedback: Feedback) -> list[tuple[Any, Any, float]]:
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
    assert ids(FileFeedback(path=path, ids="text").load().feedback) == EXPECTED
    as_written = FileFeedback(path=path).load().feedback.users.ids
    assert as_written == (("1", "2") if kind == "csv.gz" else (1, 2))


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
        "d,2,3,2020-02-01T10:00:00+02:00\n"
    )
    loaded = FileFeedback(path=path, scale=(0, 5)).load()
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
    assert ids(loaded.feedback) == [(1, 2, 3.0)]
    assert [row.row for row in loaded.rejected] == [2, 3]
    assert "no JSON" in loaded.rejected[0].reason
    assert not loaded.feedback.has_time


def test_columns_can_be_mapped_and_the_scale_widened(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("who,what,how\na,x,9\n")
    columns = {"user": "who", "item": "what", "value": "how"}
    loaded = FileFeedback(path=path, columns=columns, scale=(1, 10)).load()
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
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "cannot be read"),
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
    with pytest.raises(InvalidParameterError, match="scale must be"):
        FileFeedback(path="x", scale=(5, 5))
    with pytest.raises(UnknownNameError, match="column role"):
        FileFeedback(path="x", columns={"usr": "u"})
    odd: list[dict[str, Any]] = [
        {"path": 3}, {"path": []}, {"path": [3]}, {"columns": None}, {"kinds": ["a"]},
        {"kinds": {"a": 3}}, {"marks": {"a": 3}}, {"scale": 5}, {"scale": (1, 2, 3)},
        {"scale": "15"}, {"not_rated": ["a"]}, {"not_rated": 0}, {"header": "user"},
        {"header": ["a", "a"]}, {"decimal": ";"}, {"ids": None}, {"where": 3}, {"format": "no"},
        {"time_unit": "h"}, {"marks": {"a": "dwell/0"}},
    ]  # fmt: skip
    for each in odd:
        with pytest.raises(SiamrecError):
            FileFeedback(**{"path": "x", **each})


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
    assert catalog.attributes["votes"] == (10, 3, None)
    assert read_catalog(path, text=["title"]).text[0] == "Up (2009)"


def test_catalogues_read_numbers_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(
        "item,title,stock,price,code,owner,mixed\n1,a,0,1.50,007,5,1\n2,b,-3,2,100,6,x\n3,c,,,,,\n"
    )
    found = read_catalog(path).attributes
    assert found["stock"] == (0, -3, None)
    assert found["price"] == (1.5, 2.0, None)
    assert found["code"] == ("007", "100", None)  # a number has no leading zero
    assert found["owner"] == ("5", "6", None)  # an id, as those of users are
    assert found["mixed"] == ("1", "x", None)


def test_catalogues_name_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("key,title\n1,Up\n")
    with pytest.raises(InvalidDataError, match="No column stands for the item; found key, title"):
        read_catalog(path)
    assert read_catalog(path, item="key").items.ids == ("1",)
    with pytest.raises(UnknownNameError, match="column for text is named 'plot'"):
        read_catalog(path, item="key", text=["plot"])


def _folder_of_files(folder: Path) -> None:
    (folder / "more").mkdir()
    (folder / "a.csv").write_text(GOOD)
    (folder / "more" / "b.jsonl.gz").write_bytes(
        gzip.compress(b'{"userId": 3, "movieId": "z", "rating": 4, "timestamp": 964982706}\n')
    )
    pl.DataFrame(
        {"userId": ["4"], "movieId": ["x"], "rating": [9.0], "timestamp": [5]}
    ).write_parquet(folder / "c.parquet")
    (folder / "notes.txt").write_text("nothing of interest")


@pytest.mark.parametrize(("pattern", "n_good"), [("", 4), ("*.csv", 3), ("**/*.jsonl.gz", 1)])
def test_folders_and_patterns(tmp_path: Path, pattern: str, n_good: int) -> None:
    _folder_of_files(tmp_path)
    path = str(tmp_path / pattern) if pattern else tmp_path
    loaded = FileFeedback(path=path, ids="text", scale=(0, 5), time_unit="s").load()
    assert len(loaded.feedback) == n_good
    if not pattern:
        (rejected,) = loaded.rejected
        assert (rejected.file, rejected.row) == (str(tmp_path / "c.parquet"), 1)
        assert rejected.reason.startswith("rating is outside")
    with pytest.raises(InvalidDataError, match="has no CSV, JSON, Parquet and Arrow files"):
        FileFeedback(path=tmp_path / "*.tsv").load()


def test_a_tail_takes_whole_new_lines(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    tail = FileTail(FileFeedback(path=tmp_path / "*.jsonl"))
    assert tail.fetch() is None
    lines = [json.dumps({"user": f"u{n}", "item": "x", "rating": n % 6}) + "\n" for n in range(9)]
    log.write_text("".join(lines[:2]) + lines[2][:9])
    first = tail.fetch()
    assert first is not None
    assert first.feedback.users.ids == ("u0", "u1")
    assert tail.fetch() is None
    log.write_text("".join(lines[:4]) + "broken\n")
    again = FileTail(FileFeedback(path=tmp_path / "*.jsonl"), place=tail.place).fetch()
    second = tail.fetch()
    assert second is not None
    assert again is not None
    assert second.feedback.users.ids == again.feedback.users.ids == ("u2", "u3")
    assert [(row.row, row.file) for row in second.rejected] == [(3, str(log))]
    (tmp_path / "other.jsonl").write_text(lines[5])
    log.write_text(lines[8])  # a new file of that name, shorter
    third = tail.fetch()
    assert third is not None
    assert sorted(map(str, third.feedback.users.ids)) == ["u5", "u8"]


def test_a_tail_of_a_table_keeps_its_header(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item")
    tail = FileTail(FileFeedback(path=log))
    assert tail.fetch() is None
    log.write_text("user,item,rating\n")
    assert tail.fetch() is None
    with log.open("a") as file:
        file.write("ann,x,5\n")
    first = tail.fetch()
    with log.open("a") as file:
        file.write("bob,y,4\ncid,z")
    second = tail.fetch()
    assert first is not None
    assert second is not None
    assert (first.feedback.users.ids, second.feedback.users.ids) == (("ann",), ("bob",))
