"""Files of every kind: the same events come out of each, and what cannot be read says why."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from siamrec.data import Feedback
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    RejectedDataError,
    SiamrecError,
    UnknownNameError,
)
from siamrec.feedback import FileFeedback, FileTail, read_catalog
from siamrec.testing.sample import COLUMNS, every_column, records_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = [
    ("ann", "boat, red", 5.0, 1767225600),
    ("bób", 'the "car"', 3.5, 1767225661),
    ("用户", "NA", 1.0, 1767225722),
    ("ann", "None", 2.0, 1767225783),
    ("007", "x", 4.5, 1767225844),
]
HEAD = ["user", "item", "rating", "timestamp"]
EXPECTED = [(user, item, value, at * 10**9) for user, item, value, at in ROWS]


def written(delimiter: str = ",", line: str = "\n", *, quoting: int = csv.QUOTE_MINIMAL) -> str:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator=line, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(HEAD)
    writer.writerows(ROWS)
    return target.getvalue()


def objects() -> list[dict[str, Any]]:
    return [dict(zip(HEAD, row, strict=True)) for row in ROWS]


def json_lines(line: str = "\n") -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + line for row in objects())


def zipped(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_csv", ".csv"), text)
    return target.getvalue()


def arrow(kind: Any = None) -> pa.Table:
    table = pa.table(dict(zip(HEAD, map(list, zip(*ROWS, strict=True)), strict=True)))
    if kind is None:
        return table
    return table.set_column(0, "user", table["user"].cast(kind))


def parquet_bytes(table: pa.Table, **settings: Any) -> bytes:
    target = io.BytesIO()
    parquet.write_table(table, target, **settings)
    return target.getvalue()


def arrow_bytes(table: pa.Table, *, stream: bool = False) -> bytes:
    target = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(target, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return target.getvalue()


def feather_bytes(table: pa.Table) -> bytes:
    target = io.BytesIO()
    feather.write_feather(table, target)
    return target.getvalue()


PLAIN = written()
NO_HEAD = PLAIN.split("\n", 1)[1]
READ: dict[str, tuple[bytes, str, dict[str, Any]]] = {
    "csv": (PLAIN.encode(), "a.csv", {}),
    "csv by its content": (PLAIN.encode(), "a.txt", {}),
    "semicolons": (written(";").encode(), "a.csv", {}),
    "tabs": (written("\t").encode(), "a.tsv", {}),
    "bars": (written("|").encode(), "a.csv", {}),
    "a delimiter that is named": (written("^").encode(), "a.csv", {"delimiter": "^"}),
    "a control code": (written("\x01").encode(), "a.csv", {"delimiter": "\x01"}),
    "two letters": (
        "::".join(HEAD).encode()
        + "".join(f"\n{u}::{i}::{v}::{t}" for u, i, v, t in ROWS).encode(),
        "a.dat", {"quote": ""},
    ),
    "three letters": (
        "~|~".join(HEAD).encode()
        + "".join(f"\n{u}~|~{i}~|~{v}~|~{t}" for u, i, v, t in ROWS).encode(),
        "a.dat", {"delimiter": "~|~", "quote": ""},
    ),
    "every value quoted": (written(quoting=csv.QUOTE_ALL).encode(), "a.csv", {}),
    "backslashes before quotes": (PLAIN.replace('""', '\\"').encode(), "a.csv", {}),
    "other quotes": (
        PLAIN.replace('""', "\0").replace('"', "'").replace("\0", '"').encode(),
        "a.csv", {"quote": "'"},
    ),
    "returns and line feeds": (written(line="\r\n").encode(), "a.csv", {}),
    "returns alone": (written(line="\r").encode(), "a.csv", {}),
    "no last line end": (PLAIN.rstrip("\n").encode(), "a.csv", {}),
    "blank lines": (PLAIN.replace("\n", "\n\n").encode(), "a.csv", {}),
    "blanks around": (PLAIN.replace("ann,", "  ann ,").encode(), "a.csv", {}),
    "a byte order mark": (b"\xef\xbb\xbf" + PLAIN.encode(), "a.csv", {}),
    "utf-16": (PLAIN.encode("utf-16"), "a.csv", {}),
    "utf-32": (PLAIN.encode("utf-32"), "a.csv", {}),
    "another encoding": (PLAIN.encode("gb18030"), "a.csv", {"encoding": "gb18030"}),
    "no header": (NO_HEAD.encode(), "a.csv", {"header": HEAD}),
    "gzip": (gzip.compress(PLAIN.encode()), "a.csv.gz", {}),
    "gzip without its name": (gzip.compress(PLAIN.encode()), "a.csv", {}),
    "two gzips, one after the other": (
        gzip.compress(PLAIN[:40].encode()) + gzip.compress(PLAIN[40:].encode()), "a.csv.gz", {},
    ),
    "zip": (zipped(a_csv=PLAIN), "a.zip", {}),
    "a file in a zip": (zipped(a_csv=PLAIN, b_csv="x,y\n1,2\n"), "b.zip", {}),
    "json lines": (json_lines().encode(), "a.jsonl", {}),
    "json lines by their content": (json_lines().encode(), "a.txt", {}),
    "json lines, returns": (json_lines("\r\n").encode(), "a.ndjson", {}),
    "json lines, blank lines": (json_lines("\n\n").encode(), "a.jsonl", {}),
    "json escapes": ("".join(json.dumps(r) + "\n" for r in objects()).encode(), "a.json", {}),
    "json lines in utf-16": (json_lines().encode("utf-16"), "a.jsonl", {}),
    "json lines, gzipped": (gzip.compress(json_lines().encode()), "a.jsonl.gz", {}),
    "a json list": (json.dumps(objects()).encode(), "a.json", {}),
    "a json list, indented": (json.dumps(objects(), indent=2).encode(), "a.json", {}),
    "a json list by its content": (json.dumps(objects()).encode(), "a.txt", {}),
    "a json document": (json.dumps({"meta": {"n": 5}, "data": {"rows": objects()}}).encode(),
                        "a.json", {}),
    "parquet": (parquet_bytes(arrow()), "a.parquet", {}),
    "parquet in small groups": (parquet_bytes(arrow(), row_group_size=2), "a.parquet", {}),
    "parquet by its content": (parquet_bytes(arrow()), "a.bin", {}),
    "parquet with long texts": (
        parquet_bytes(arrow(pa.large_string())), "a.parquet", {},
    ),
    "parquet with dictionaries": (
        parquet_bytes(arrow(pa.dictionary(pa.int8(), pa.string()))), "a.parquet", {},
    ),
    "parquet with bytes": (parquet_bytes(arrow(pa.binary())), "a.parquet", {}),
    "arrow": (arrow_bytes(arrow()), "a.arrow", {}),
    "arrow with views": (arrow_bytes(arrow(pa.string_view())), "a.arrow", {}),
    "an arrow stream": (arrow_bytes(arrow(), stream=True), "a.arrows", {}),
    "arrow, gzipped": (gzip.compress(arrow_bytes(arrow())), "a.arrow.gz", {}),
    "feather": (feather_bytes(arrow()), "a.feather", {}),
}  # fmt: skip


def events_of(feedback: Feedback) -> list[tuple[Any, ...]]:
    users, items = feedback.users.decode(feedback.user), feedback.items.decode(feedback.item)
    values, times = feedback.value.tolist(), feedback.time.tolist()
    return list(zip(users, items, values, times, strict=True))


@pytest.mark.parametrize("kind", READ)
def test_every_kind_of_file_gives_the_same_events(kind: str, tmp_path: Path) -> None:
    data, name, settings = READ[kind]
    path = tmp_path / name
    path.write_bytes(data)
    if kind == "a file in a zip":
        path = path / "a.csv"
    loaded = FileFeedback(path=path, **settings).load()
    assert events_of(loaded.feedback) == EXPECTED
    assert loaded.rejected == ()
    assert loaded.n_rows == len(ROWS)
    assert loaded.columns == {
        "user": "user", "item": "item", "value": "rating", "time": "timestamp"
    }  # fmt: skip


def gz_of_nothing(n: int) -> bytes:
    return gzip.compress(b"user,item\n" + b"a,b\n" * n)


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "nothing": (b"", {}, "is empty"),
    "blanks": (b" \n\n", {}, "is empty"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {}, "neither text nor Parquet"),
    "a database": (b"SQLite format 3\x00" + bytes(99), {}, "read it with SqlFeedback"),
    "bzip2": (b"BZh91AY&SY" + bytes(99), {}, "packed with bzip2"),
    "feather of old": (b"FEA1" + bytes(99), {}, "Feather version 1"),
    "a workbook": (zipped(**{"[Content_Types].xml": "<x/>", "a.xml": "y"}), {}, "save it as CSV"),
    "a zip of several": (zipped(a_csv="user,item\n", b_csv="x,y\n"), {}, "2 files .* name one"),
    "a torn gzip": (gzip.compress(PLAIN.encode(), mtime=0)[:-9], {}, "cannot be read"),
    "a broken gzip": (gzip.compress(PLAIN.encode())[:20] + bytes(60), {}, "cannot be read"),
    "a broken zip": (zipped(a_csv=PLAIN)[:60] + zipped(a_csv=PLAIN)[64:], {}, "cannot be read"),
    "no parquet": (b"PAR1 and no more", {}, "cannot be read as Parquet"),
    "torn parquet": (parquet_bytes(arrow())[:-40], {}, "cannot be read as Parquet"),
    "torn arrow": (arrow_bytes(arrow())[:-40], {}, "cannot be read as Arrow"),
    "arrow with a broken name": (
        arrow_bytes(arrow()).replace(b"timestamp", b"time\xfftamp"), {}, "cannot be read: 'utf-8'",
    ),
    "broken json list": (b'[{"user": 1, "item": 2},', {}, "cannot be read as JSON"),
    "json of numbers": (b"[1, 2, 3]", {}, "must hold one list of records|No column stands"),
    "json of two lists": (
        b'{"a": [{"user": 1}], "b": [{"user": 2}]}', {}, "one list of records, found a, b",
    ),
    "deep json": (b"[" * 100_000, {}, "cannot be read as JSON"),
    "latin-1": ("user,item\nRen\xe9,x\n".encode("latin-1"), {}, r"not UTF-8 \(first in line 2\)"),
    "a latin-1 header": ("us\xe9r,item\na,x\n".encode("latin-1"), {}, "not UTF-8"),
    "a wrong encoding": (PLAIN.encode(), {"encoding": "ascii"}, "not written in ascii"),
    "an unknown encoding": (PLAIN.encode(), {"encoding": "utf-9"}, "encoding must be a name"),
    "a long delimiter": (PLAIN.encode(), {"delimiter": "\n"}, "delimiter must be"),
    "two quotes": (PLAIN.encode(), {"quote": "''"}, "quote must be"),
    "one column": (b"user\nann\nbob\n", {}, "one column only"),
    "no header": (b"12,7,3.5\n13,8,4\n", {}, "has no header.*--columns"),
    "a name twice": (b"user,item,item\na,b,c\n", {}, r"2 columns named 'item' \(columns 2, 3\)"),
    "two users": (b"user,user_id,item\na,1,b\n", {}, "'user' and 'user_id' may each be the user"),
    "two times": (
        b"user,item,timestamp,date\na,b,1,2\n", {}, "'timestamp' and 'date' may each be the time",
    ),
    "an id and no item": (b"id,user,thing\n1,a,b\n", {}, "for the item; found id, user, thing"),
    "an open quote": (
        b'user,item,rating\nann,x,5\nbob,"y,4\ncid,z,3\ndan,w,2\n', {}, "line 3: a quote",
    ),
    "an open quote at the end": (b'user,item\nann,x\nbob,"y\n', {}, "line 3: a quote is opened"),
    "two stray quotes": (
        b'user,item,rating\nann,"x,5\n' + b"bob,y,4\n" * 50 + b'cid,z",3\n', {},
        "line 2: a quote is opened here, and what it encloses are rows",
    ),
    "stray quotes in two rows": (
        b'user,item,rating\nann,x,5\nbob,"x,5\ncid,z",3\n', {}, "line 3: a quote is opened",
    ),
    "a quote that closes within": (b'user,item\nann,"x" y\n', {}, "line 2: .* middle of a value"),
    "two units of time": (
        b"user,item,time\na,b,1767225600\nc,d,1767225600123\n", {}, "ways: ms, s.*--time-unit",
    ),
    "dates as numbers": (b"user,item,date\na,b,20240131\n", {}, "too small to tell their unit"),
    "days of a workbook": (b"user,item,date\na,b,45321\nc,d,45322\n", {}, "too small to tell"),
    "numbers and dates": (
        b"user,item,time\na,b,1767225600\nc,d,2026-01-01\n", {}, "several ways: s, text",
    ),
    "times apart": (
        b"user,item,time\n" + b"a,b,1767225600\n" * 5 + b"c,d,160000000\n" * 4, {},
        "4 of 9 times in time are decades away.*1975-01-26",
    ),
    "many noughts": (
        b"user,item,rating\n" + b"a,b,3\nc,d,5\ne,f,0\n" * 9, {}, "9 ratings .* are 0 .*-rated 0",
    ),
    "many ninety-nines": (
        b"user,item,rating\n" + b"a,b,3\nc,d,5\ne,f,99\n" * 9, {}, "are 99 .*--not-rated 99",
    ),
    "many minus ones": (
        b"user,item,rating\n" + b"a,b,3\nc,d,5\ne,f,-1\n" * 9, {}, "are -1 .*--not-rated -1",
    ),
    "unknown kinds": (
        b"user,item,event\na,b,clik\n", {}, r"'clik' \(nearest: click.*--kinds clik=click",
    ),
    "an unknown column": (PLAIN.encode(), {"columns": {"user": "usr"}}, "Did you mean 'user'"),
    "one column for two roles": (
        PLAIN.encode(), {"columns": {"user": "item", "item": "item"}}, "a column of its own",
    ),
    "a filter on nothing": (PLAIN.encode(), {"where": "stars > 3"}, "named 'stars'"),
    "an unknown mark": (PLAIN.encode(), {"marks": {"liked": "like"}}, "is named 'liked'"),
    "fractions after commas": (
        b"user;item;rating\na;b;3,5\nc;d;4,5\n", {}, "Not one of 2 rows .*--decimal ,",
    ),
    "dates of one country": (
        b"user,item,date\na,b,03/04/2026\n", {}, "Not one of 1 rows .*--time-format",
    ),
    "truths for ratings": (
        b"user,item,rating\na,b,true\n", {}, "Not one of 1 rows .*--kind thumb",
    ),
    "blanks before quotes": (b'"user", "item"\n"a", "b"\n', {}, "a blank stands between ','"),
    "a codec of no letters": (PLAIN.encode(), {"encoding": "rot13"}, "encoding must be a name"),
    "a delimiter that quotes": (PLAIN.encode(), {"delimiter": '"'}, "quote must be another"),
    "a wide table of words": (
        b"user,x,y\na,1,good\n", {"wide": True}, "Not one of 1 rows .* y is not a number: good",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_says_what_to_do(kind: str, tmp_path: Path) -> None:
    data, settings, message = REFUSED[kind]
    path = tmp_path / "feedback"
    path.write_bytes(data)
    with pytest.raises(SiamrecError, match=message) as caught:
        FileFeedback(path=path, **settings).load()
    assert isinstance(caught.value, InvalidDataError | InvalidParameterError | UnknownNameError)
    assert "\n" not in str(caught.value)


# --- one bad row costs one row -------------------------------------------------------------------


def loaded_of(tmp_path: Path, data: str | bytes, name: str = "a.csv", **settings: Any) -> Any:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return FileFeedback(path=path, **settings).load()


def reasons(loaded: Any) -> list[tuple[int, str]]:
    return [(row.row, row.reason) for row in loaded.rejected]


def test_one_bad_line_costs_one_row(tmp_path: Path) -> None:
    long = "x" * 1001
    loaded = loaded_of(
        tmp_path,
        "user,item,rating,time\n"
        "ann,x,5,2026-01-01\n"
        "bob,x,5\n"
        "bob,x,5,2026-01-01,more\n"
        f"{long},x,5,2026-01-01\n"
        "ann,x,1_0,2026-01-01\n"
        "ann,x,1e300,2026-01-01\n"
        "ann,x,inf,2026-01-01\n"
        "ann,x,5,9999-01-01\n"
        "ann,x,5,2026-02-30\n"
        "ann,x,5,03/04/2026\n"
        "\\N,x,5,2026-01-01\n"
        "NA,null,4,2026-01-01T00:00:00.000000001Z\n",
    )
    assert events_of(loaded.feedback) == [
        ("ann", "x", 5.0, 1767225600 * 10**9),
        ("NA", "null", 4.0, 1767225600 * 10**9 + 1),
    ]
    assert reasons(loaded) == [
        (2, "3 values where the header has 4"),
        (3, "5 values where the header has 4"),
        (4, "user is longer than 1,000 letters"),
        (5, "rating is not a number: 1_0"),
        (6, "rating is not a number: 1e300"),
        (7, "rating is not a number: inf"),
        (8, "time cannot be read: 9999-01-01"),
        (9, "time cannot be read: 2026-02-30"),
        (10, "time cannot be read: 03/04/2026"),
        (11, "user is missing"),
    ]


def test_one_bad_object_costs_one_row(tmp_path: Path) -> None:
    good = '{"user": "a", "item": "x", "rating": 4, "extra": {"deep": [1]}}'
    bad = {
        '{"user": "a",': "no JSON",
        "[1, 2]": "no JSON object",
        "7": "no JSON object",
        '{"user": "a", "item": "x", "rating": NaN}': "no JSON: NaN is no JSON",
        '{"user": "a", "user": "b", "item": "x", "rating": 1}': "no JSON: the name 'user' stands",
        '{"user": {"id": 1}, "item": "x", "rating": 1}': "user is an object",
        '{"user": 9223372036854775808, "item": "x", "rating": 1}': "user is beyond 64 bits",
        '{"user": "\\ud800", "item": "x", "rating": 1}': "user is no valid Unicode",
        good + " " + good: "no JSON: Extra data",
        '{"user": "a", "item": "x", "rating": "many"}': "rating is not a number: many",
        '{"user": null, "item": "x", "rating": 1}': "user is missing",
        '{"item": "x", "rating": 1}': "user is missing",
        '{"user": "a", "item": "x", "rating": 1, "far": ' + "[" * 100_000 + "}": "no JSON",
    }  # fmt: skip
    text = good + "\n" + "\n".join(f"{line}\n{good}" for line in bad) + "\n"
    loaded = loaded_of(tmp_path, text, "a.jsonl")
    assert len(loaded.feedback) == len(bad) + 1
    assert set(loaded.feedback.users.ids) == {"a"}
    for place, ((row, reason), said) in enumerate(zip(reasons(loaded), bad.values(), strict=True)):
        assert row == 2 * place + 2
        assert reason.startswith(said)


def test_one_line_that_is_not_utf8_costs_one_row(tmp_path: Path) -> None:
    text = "user,item\nbób,x\nann,y\nR\ufffd,z\ncid,ż\n"
    loaded = loaded_of(tmp_path, text.encode().replace("\ufffd".encode(), b"\xff"))
    assert loaded.feedback.users.ids == ("bób", "ann", "cid")
    assert reasons(loaded) == [(3, "not valid UTF-8")]


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ('user,item,note\nann,x,"one\ntwo\n\nthree"\nbob,y,\n', 2),
        ('user,item,note\nann,x,"one, two, and three\nfour, five, six"\nbob,y,"a\nb"\n', 2),
        ('user,item,rating,note\nann,x,5,"it said: 5, 4\nand ""7, 8"" too"\nbob,y,3,\n', 2),
        ('user,item,5" disc\nann,x,5" disc\nbob,y,a "good" one\ncid,z,"quoted"\n', 3),
    ],
)
def test_line_breaks_and_quotes_that_belong_to_a_value(text: str, n: int, tmp_path: Path) -> None:
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == n + 1
    loaded = loaded_of(tmp_path, text)
    assert (len(loaded.feedback), loaded.rejected) == (n, ())


@pytest.mark.parametrize("kind", ["csv", "quoted", "jsonl"])
def test_blocks_do_not_change_what_is_read(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        (f"u{n % 37}", f"i,{n % 11}" if n % 5 else f'a"{n}\nb', n % 5 + 1) for n in range(3000)
    ]
    target = io.StringIO(newline="")
    if kind == "jsonl":
        lines = [json.dumps({"user": u, "item": i, "rating": r}) + "\n" for u, i, r in rows]
    else:
        writer = csv.writer(
            target, lineterminator="\n", quoting=csv.QUOTE_ALL if kind == "quoted" else 0
        )
        lines = []
        for row in rows:
            target.seek(0)
            target.truncate()
            writer.writerow(row)
            lines.append(target.getvalue())
    head = "" if kind == "jsonl" else "user,item,rating\n"
    text = head + "".join(lines[:1500]) + "lone\n" + "".join(lines[1500:])
    whole = loaded_of(tmp_path, text, f"a.{kind}")
    monkeypatch.setattr("siamrec.feedback._contents.BLOCK", 777)
    parts = loaded_of(tmp_path, text, f"a.{kind}")
    assert events_of(parts.feedback) == events_of(whole.feedback)
    assert reasons(parts) == reasons(whole)
    users = whole.feedback.users.decode(whole.feedback.user)
    items = whole.feedback.items.decode(whole.feedback.item)
    assert list(zip(users, items, whole.feedback.value.tolist(), strict=True)) == rows
    assert [row for row, _ in reasons(whole)] == [1501]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("siamrec.feedback._contents.FREE", 1 << 20)
    with pytest.raises(InvalidDataError, match="becomes more than .* from .* bytes"):
        loaded_of(tmp_path, gz_of_nothing(3_000_000), "a.csv.gz")
    assert len(loaded_of(tmp_path, gz_of_nothing(3_000), "a.csv.gz").feedback) == 3_000


def test_files_that_differ_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,item,rating\na,x,1\n")
    (tmp_path / "b.csv").write_text("user,item,stars\nb,y,1\n")
    with pytest.raises(
        InvalidDataError, match=r"b\.csv has other columns than .*a\.csv: it lacks"
    ):
        FileFeedback(path=tmp_path).load()
    (tmp_path / "b.csv").write_text("rating,user,item\n1,b,y\n")
    loaded = FileFeedback(path=tmp_path).load()
    assert loaded.feedback.users.ids == ("a", "b")
    again = FileFeedback(path=[tmp_path / "b.csv", tmp_path / "a.csv"]).load()
    assert again.feedback.users.ids == ("b", "a")


def test_numbers_and_texts_are_not_one_id(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"user": 5, "item": "x"}\n')
    (tmp_path / "b.jsonl").write_text('{"user": "5", "item": "x"}\n')
    with pytest.raises(InvalidDataError, match="texts in one place and whole numbers in another"):
        FileFeedback(path=tmp_path).load()
    assert FileFeedback(path=tmp_path, ids="text").load().feedback.users.ids == ("5",)
    csv_file = tmp_path / "c.csv"
    csv_file.write_text("user,item\n007,1\n8,2\nx,3\n")
    loaded = FileFeedback(path=csv_file, ids="number").load()
    assert loaded.feedback.users.ids == (7, 8)
    assert reasons(loaded) == [(3, "user is no id: x")]


MIXED = (
    '{"user": "a", "item": "x"}\n{"user": true, "item": "x"}\n{"user": 1.5, "item": "x"}\n'
    '{"user": ["a"], "item": "x"}\n{"user": "b", "item": "y"}\n'
)


@pytest.mark.parametrize("as_lines", [True, False])
def test_a_value_of_another_kind_is_no_text_id(tmp_path: Path, *, as_lines: bool) -> None:
    text = MIXED if as_lines else f"[{','.join(MIXED.splitlines())}]"
    loaded = loaded_of(tmp_path, text, "a.jsonl" if as_lines else "a.json")
    assert loaded.feedback.users.ids == ("a", "b")
    assert reasons(loaded) == [
        (2, "user is no id: true"),
        (3, "user is no id: 1.5"),
        (4, 'user is no id: ["a"]'),
    ]


def test_numbers_and_texts_are_not_one_id_within_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"user": 1.0, "item": "x"}\n{"user": "1", "item": "y"}\n{"user": 1, "item": 2}'
    )
    with pytest.raises(InvalidDataError, match="texts in one place and whole numbers in another"):
        FileFeedback(path=path).load()
    loaded = FileFeedback(path=path, ids="text").load()
    assert loaded.feedback.users.ids == ("1",)
    path.write_text(
        '{"user": 1.0, "item": "x"}\n{"user": true, "item": "y"}\n{"user": 1, "item": "x"}'
    )
    loaded = FileFeedback(path=path).load()
    assert loaded.feedback.users.ids == (1,)
    assert reasons(loaded) == [(2, "user is no id: true")]


# --- what columns mean ---------------------------------------------------------------------------


def test_whole_numbers_of_time_are_exact(tmp_path: Path) -> None:
    exact = 1767225600123456789
    assert int(float(exact)) != exact
    for name, number, said in (("ns", exact, exact), ("us", exact // 1000, exact // 1000 * 1000)):
        text = f"user,item,ts\na,b,{number}\nc,d,{number + 1}\n"
        loaded = loaded_of(tmp_path, text)
        assert loaded.feedback.time.tolist()[0] == said
        assert loaded.told["times are told as"] == name
    decimal = loaded_of(tmp_path, "user,item,ts\na,b,1767225600.123456789\nc,d,1767225601\n")
    assert decimal.feedback.time.tolist() == [exact, 1767225601 * 10**9]
    before = loaded_of(tmp_path, "user,item,ts\na,b,-1767225600.5\n", time_unit="s")
    assert before.feedback.time.tolist() == [-1767225600_500_000_000]


def test_times_are_told_in_many_ways(tmp_path: Path) -> None:
    at = 1767225600 * 10**9
    for text in (
        "2026-01-01", "2026/01/01", "2026-01-01 00:00", "2026-01-01T00:00:00.000Z",
        "2026-01-01 00:00:00 UTC", "2026-01-01 00:00:00+00", "2026-01-01T07:00:00+07:00",
        "2026-01-01T07:00+0700", "1767225600", "1767225600.0", "1767225600000",
        "1.7672256e9",
    ):  # fmt: skip
        loaded = loaded_of(tmp_path, f"user,item,time\na,b,{text}\nc,d,NaT\n")
        assert loaded.feedback.time.tolist() == [at], text
        assert reasons(loaded) == [(2, "time is missing")]
    text = "user,item,time\n" + "a,b,2026-01-01\n" * 3 + "a,c,1970-01-01\n" * 2
    nothing = loaded_of(tmp_path, text)
    assert len(nothing.feedback) == 3
    assert nothing.reasons == {"time is that of nothing": 2}


def test_files_put_one_after_the_other(tmp_path: Path) -> None:
    loaded = loaded_of(tmp_path, "user,item\nann,x\nuser,item\nbob,y\n")
    assert loaded.feedback.users.ids == ("ann", "bob")
    assert reasons(loaded) == [(2, "the header stands here again")]


def test_units_and_forms_of_time_can_be_named(tmp_path: Path) -> None:
    day = 86_400 * 10**9
    named = loaded_of(tmp_path, "user,item,ts\na,b,7\nc,d,86400\n", time_unit="s")
    assert named.feedback.time.tolist() == [7 * 10**9, day]
    form = loaded_of(tmp_path, "user,item,date\na,b,19700102\nc,d,x\n", time_format="%Y%m%d")
    assert form.feedback.time.tolist() == [day]
    assert reasons(form) == [(2, "time cannot be read: x")]
    zone = loaded_of(
        tmp_path, "user,item,date\na,b,02/01/1970 01:00 +0100\n", time_format="%d/%m/%Y %H:%M %z"
    )
    assert zone.feedback.time.tolist() == [day]


def test_a_strange_time_or_rating_costs_its_row(tmp_path: Path) -> None:
    rows = "".join(f"u{n},x,{n % 5 + 1},{1767225600 + n}\n" for n in range(300))
    loaded = loaded_of(
        tmp_path, f"user,item,rating,ts\n{rows}a,x,99,1767225600\nb,x,3,0\nc,x,3,7\n"
    )
    assert len(loaded.feedback) == 300
    assert reasons(loaded) == [
        (301, "rating stands apart from the others: 99"),
        (302, "time is that of nothing: 1970-01-01T00:00:00"),
        (303, "time is decades away from the rest: 1970-01-01T00:00:07"),
    ]
    assert loaded.scale == (1, 5)


@pytest.mark.parametrize(
    ("values", "settings", "scale", "like"),
    [
        ("3 5 1", {}, (1, 5), 4), ("2.5 0.5", {}, (0.5, 5), 4), ("9 2", {}, (1, 10), 8),
        ("80 20", {}, (0, 100), 80), ("0 1 1", {}, (0, 1), 0.8), ("-3 7", {}, (-10, 10), 5),
        ("3 5", {"scale": (1, 10)}, (1, 10), 8), ("250 100", {}, (100, 250), 212.5),
    ],
)  # fmt: skip
def test_likes_follow_the_scale(
    values: str, settings: dict[str, Any], scale: tuple[float, float], like: float, tmp_path: Path
) -> None:
    rows = "".join(f"u,x{n},{value}\n" for n, value in enumerate(values.split()))
    found = loaded_of(tmp_path, f"user,item,rating\n{rows}", **settings).scale
    assert tuple(found) == scale
    assert found.like == like


def test_fractions_may_stand_after_a_comma(tmp_path: Path) -> None:
    text = "user;item;rating;ts\na;b;3,5;1767225600,25\nc;d;4;1767225601\n"
    loaded = loaded_of(tmp_path, text, decimal=",")
    assert loaded.feedback.value.tolist() == [3.5, 4]
    assert loaded.feedback.time.tolist()[0] == 1767225600_250_000_000


def test_not_rated_is_no_rating(tmp_path: Path) -> None:
    text = "user,item,rating\na,x,0\nb,x,5\nc,x,-1\nd,x,99\ne,x,1\n"
    loaded = loaded_of(tmp_path, text, not_rated=(0, -1, 99))
    assert loaded.feedback.value.tolist() == [5, 1]
    assert (loaded.left_out, loaded.rejected) == ({"not rated": 3}, ())
    kept = loaded_of(tmp_path, text, scale=(-1, 99)).feedback
    assert kept.value.tolist() == [0, 5, -1, 99, 1]


def test_thumbs_are_told_in_many_ways(tmp_path: Path) -> None:
    for values in ("1 -1 1", "up down up", "true false true", "like dislike 👍"):
        rows = "".join(f"u,x{n},{value}\n" for n, value in enumerate(values.split()))
        loaded = loaded_of(tmp_path, f"user,item,score\n{rows}", columns={"kind": "thumb"})
        assert loaded.feedback.value.tolist() == [1, -1, 1]
        assert set(loaded.feedback.kind.tolist()) == {3}
    guessed = loaded_of(tmp_path, "user,item,score\na,x,1\nb,x,-1\n")
    assert guessed.told["kind of all"].startswith("thumb")
    assert set(guessed.feedback.kind.tolist()) == {3}
    text = "user,item,score\na,x,2\na,y,1\n"
    odd = loaded_of(tmp_path, text, columns={"kind": "thumb"})
    assert reasons(odd) == [(1, "thumb is neither 1 nor -1: 2")]


def test_kinds_by_word(tmp_path: Path) -> None:
    text = (
        "user,item,action,value\na,x,view,\na,x,Add-To-Cart,\na,x,rating,4\na,x,like,\n"
        "a,x,dwell,12.5\na,x,noise,\na,x,rating,\na,x,,\n"
    )
    loaded = loaded_of(tmp_path, text, kinds={"noise": "skip"})
    kinds, values = loaded.feedback.kind.tolist(), loaded.feedback.value.tolist()
    assert list(zip(kinds, values, strict=True)) == [
        (2, 1), (5, 1), (0, 4), (3, 1), (4, 12.5)
    ]  # fmt: skip
    assert reasons(loaded) == [(7, "value is missing"), (8, "kind is missing")]
    assert loaded.left_out == {"of a kind to skip": 1}


def test_a_count_of_impressions_is_no_list_of_items(tmp_path: Path) -> None:
    """A column of that name is a list of what was shown only where no other is the item."""
    loaded = loaded_of(tmp_path, "user,item,impressions\na,x,5\nb,y,6\n")
    assert loaded.feedback.items.ids == ("x", "y")
    assert loaded.unused == ("impressions",)
    alone = loaded_of(tmp_path, "user,impressions\na,x-1 y-0\n")
    assert alone.feedback.items.ids == ("x", "y")
    assert alone.feedback.kind.tolist() == [7, 1, 7]


def test_yes_and_no_are_no_ratings(tmp_path: Path) -> None:
    """By whichever door they come: they are thumbs, once somebody says so."""
    lines = '{"user":"a","item":"x","rating":true}\n{"user":"b","item":"y","rating":false}\n'
    table = pa.table({"user": ["a", "b"], "item": ["x", "y"], "rating": [True, False]})
    text = "user,item,rating\na,x,true\nb,y,false\n"
    files: list[tuple[str | bytes, str]]
    files = [(lines, "a.jsonl"), (parquet_bytes(table), "a.parquet"), (text, "a.csv")]
    for content, name in files:
        with pytest.raises(RejectedDataError, match=r"Say that they are thumbs \(--kind thumb\)"):
            loaded_of(tmp_path, content, name)
        thumbs = loaded_of(tmp_path, content, name, columns={"kind": "thumb"})
        assert thumbs.feedback.value.tolist() == [1.0, -1.0]


def test_lists_of_what_was_shown(tmp_path: Path) -> None:
    text = "user,shown\na,x-1 y-0\nb, p  q\nc,x-1 q\nd,\ne,a-b-0\n"
    loaded = loaded_of(tmp_path, text, columns={"impressions": "shown"})
    users = loaded.feedback.users.decode(loaded.feedback.user)
    items = loaded.feedback.items.decode(loaded.feedback.item)
    kinds = loaded.feedback.kind.tolist()
    assert list(zip(users, items, kinds, strict=True)) == [
        ("a", "x", 7), ("a", "x", 1), ("a", "y", 7), ("b", "p", 7), ("b", "q", 7), ("e", "a-b", 7)
    ]  # fmt: skip
    assert loaded.feedback.position is not None
    assert loaded.feedback.position.tolist() == [1, 1, 2, 1, 2, 1]
    assert reasons(loaded) == [(3, "impressions are written in two ways: x-1 q")]
    lists = pa.table({"user": ["a", "b"], "shown": [["x-1", "y-0"], None]})
    typed = loaded_of(
        tmp_path, parquet_bytes(lists), "a.parquet", columns={"impressions": "shown"}
    )
    assert typed.feedback.kind.tolist() == [7, 1, 7]


def test_marks_of_a_row(tmp_path: Path) -> None:
    text = "user,item,liked,vote,ms\na,x,true,-1,500\nb,x,no,0,\nc,x,perhaps,1,1\nd,x,1,1,-3\n"
    marks = {"liked": "like", "vote": "thumb", "ms": "dwell/1000"}
    loaded = loaded_of(tmp_path, text, columns={"kind": "view"}, marks=marks)
    users = loaded.feedback.users.decode(loaded.feedback.user)
    found = zip(users, loaded.feedback.kind.tolist(), loaded.feedback.value.tolist(), strict=True)
    assert list(found) == [("a", 2, 1), ("a", 3, 1), ("a", 3, -1), ("a", 4, 0.5), ("b", 2, 1)]
    assert reasons(loaded) == [
        (3, "liked is not a number: perhaps"), (4, "dwell is below 0: -3")
    ]  # fmt: skip


def test_plays_are_a_strength(tmp_path: Path) -> None:
    loaded = loaded_of(
        tmp_path, "user,item,plays\na,x,300\na,y,1\na,z,-1\n",
        columns={"weight": "plays", "kind": "click"},
    )  # fmt: skip
    assert loaded.feedback.weight.tolist() == [300, 1]
    assert set(loaded.feedback.kind.tolist()) == {1}
    assert reasons(loaded) == [(3, "weight is below 0 or too large: -1")]


def test_a_wide_table(tmp_path: Path) -> None:
    loaded = loaded_of(
        tmp_path, "user,x,y,z\na,5,,99\nb,,3,1\n,1,1,1\n", wide=True, not_rated=(99,)
    )
    users = loaded.feedback.users.decode(loaded.feedback.user)
    items = loaded.feedback.items.decode(loaded.feedback.item)
    assert list(zip(users, items, loaded.feedback.value.tolist(), strict=True)) == [
        ("a", "x", 5.0), ("b", "y", 3.0), ("b", "z", 1.0)
    ]  # fmt: skip
    assert reasons(loaded) == [(3, "user is missing")]
    assert set(loaded.feedback.kind.tolist()) == {0}
    odd = loaded_of(tmp_path, "user,1,2\na,5,7\nb,3,x\nc,1,\n", wide=True, scale=(1, 5))
    assert odd.feedback.items.ids == ("1",)
    assert reasons(odd) == [(1, "rating is outside [1, 5]: 7"), (2, "2 is not a number: x")]
    named = loaded_of(tmp_path, "user,item,rating\na,5,3\n", wide=True).feedback
    assert named.items.ids == ("item", "rating")


def test_rows_can_be_chosen(tmp_path: Path) -> None:
    text = "user,item,rating,country,place\n7,x,5,TH,1\n8,x,4,LA,2\n9,x,3,TH,30\n7,y,2,TH,x\n"
    loaded = loaded_of(tmp_path, text, where="country == 'TH' and place < 10")
    assert loaded.feedback.users.ids == ("7",)
    assert loaded.left_out == {"left out by the filter": 3}
    assert len(loaded_of(tmp_path, text, where="user == '7'").feedback) == 2
    assert len(loaded_of(tmp_path, text, where="rating >= 3").feedback) == 3


def test_paths_reach_into_objects(tmp_path: Path) -> None:
    rows = [
        {"who": {"id": "a"}, "data": {"rating": 3, "meta": {"item": "x"}}, "a.b": 1},
        {"who": {"id": "b"}, "data": {"rating": 4.5, "meta": {"item": "y"}}, "a.b": 2},
        {"who": {"id": "c"}, "data": None},
    ]
    columns = {"user": "who.id", "item": "data.meta.item", "value": "data.rating"}
    text = "".join(json.dumps(row) + "\n" for row in rows)
    for name, data in (("a.jsonl", text), ("a.json", json.dumps(rows))):
        loaded = loaded_of(tmp_path, data, name, columns=columns, context=["a.b"])
        assert loaded.feedback.users.ids == ("a", "b")
        assert loaded.feedback.value.tolist() == [3, 4.5]
        assert loaded.feedback.context["a.b"].tolist() == [1, 2]
        assert reasons(loaded) == [(3, "item is missing")]
    table = pa.Table.from_pylist(rows[:2])
    typed = loaded_of(tmp_path, parquet_bytes(table), "a.parquet", columns=columns)
    assert typed.feedback.value.tolist() == [3, 4.5]


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    loaded = loaded_of(tmp_path, "id,user,item,colour\n1,a,x,red\n")
    assert loaded.unused == ("id", "colour")
    told = dict(loaded.table().rows)
    assert told["columns not used"] == "id, colour"
    assert told["kind of all"] == "click"


# --- our own exports -----------------------------------------------------------------------------

EXPORTS: dict[str, Callable[[pa.Table], bytes]] = {
    "parquet": parquet_bytes,
    "arrow": arrow_bytes,
    "feather": feather_bytes,
    "csv": lambda table: pl.DataFrame(table).write_csv(None).encode(),
    "jsonl": lambda table: pl.DataFrame(table).write_ndjson(None).encode(),
    "json": lambda table: json.dumps(table.to_pylist(), default=str).encode(),
}


@pytest.mark.parametrize("numbers", [False, True], ids=["texts", "numbers"])
@pytest.mark.parametrize("kind", EXPORTS)
def test_an_own_export_is_read_back_column_by_column(
    kind: str, tmp_path: Path, *, numbers: bool
) -> None:
    feedback = every_column(numbers=numbers)
    if kind in {"csv", "json", "jsonl"}:  # text tells microseconds, or what its writer tells
        known = feedback.time // 10**6 * 10**6
        feedback = Feedback.from_frame(
            feedback.to_arrow().set_column(
                5,
                "time",
                pa.array(known, pa.timestamp("ns", "UTC"), mask=feedback.time < -(10**18)),
            ),
            **{name: name for name in COLUMNS[2:-1]},
            context=["device"],
        )
    path = tmp_path / f"export.{kind}"
    path.write_bytes(EXPORTS[kind](feedback.to_arrow()))
    ids: Any = "number" if numbers and kind == "csv" else "written"
    loaded = FileFeedback(path=path, ids=ids).load()
    assert loaded.rejected == ()
    assert records_of([loaded.feedback]) == records_of([feedback])
    assert "siamrec" in loaded.told["format"]


def test_an_event_is_one_event_from_a_file_and_from_a_frame(tmp_path: Path) -> None:
    table = arrow().append_column("seen", pa.array([1, None, 3, 4, 5], pa.int16()))
    framed = Feedback.from_frame(table, value="rating", time="timestamp", position="seen")
    path = tmp_path / "a.parquet"
    parquet.write_table(table, path)
    filed = FileFeedback(path=path, columns={"position": "seen"}).load().feedback
    assert filed.fingerprint() == framed.fingerprint()
    assert np.array_equal(filed.position, framed.position)  # type: ignore[arg-type]


# --- catalogues and tails ------------------------------------------------------------------------


def test_a_catalogue_row_that_is_broken_is_told(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("id,title\n1,Up\n2,Down,more\n")
    with pytest.raises(InvalidDataError, match="1 rows that cannot be read, the first is row 2"):
        read_catalog(path)
    path.write_text('id;title;genres\n1;"A ""B""\nC";x|y\n2;NA;\n')
    catalog = read_catalog(path)
    assert catalog.text == ('A "B"\nC. x, y', "NA")
    parquet.write_table(
        pa.table({"item": [1, 2], "title": ["a", None]}), tmp_path / "items.parquet"
    )
    assert read_catalog(tmp_path / "items.parquet").items.ids == (1, 2)
    assert read_catalog(tmp_path / "items.parquet", ids="text").items.ids == ("1", "2")


def test_a_tail_waits_for_the_end_of_a_quoted_value(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text('user,item,note\nann,x,a\nbob,y,"one\n')
    tail = FileTail(FileFeedback(path=log))
    first = tail.fetch()
    assert first is not None
    assert first.feedback.users.ids == ("ann",)
    assert tail.fetch() is None
    with log.open("a") as file:
        file.write('two"\ncid,z,\n')
    second = tail.fetch()
    assert second is not None
    assert second.feedback.users.ids == ("bob", "cid")


def test_a_tail_begins_anew_where_a_file_was_replaced_by_a_longer_one(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\nann,x\n")
    tail = FileTail(FileFeedback(path=log))
    assert tail.fetch() is not None
    log.write_text("user,item\nbob,y\ncid,z\ndan,w\n")
    again = FileTail(FileFeedback(path=log), place=json.loads(json.dumps(tail.place))).fetch()
    assert again is not None
    assert again.feedback.users.ids == ("bob", "cid", "dan")


def test_a_name_that_comes_late_is_seen(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"user": f"u{n}", "item": "x"} for n in range(6000)]
    rows.append({"user": "late", "item": "y", "rating": 4})
    text = "".join(json.dumps(row) + "\n" for row in rows)
    assert loaded_of(tmp_path, text, "a.jsonl").columns["value"] == "rating"


def test_parquet_that_becomes_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"user": ["a"] * 200_000, "item": ["x"] * 200_000})
    data = parquet_bytes(table)
    assert len(loaded_of(tmp_path, data, "a.parquet").feedback) == 200_000
    monkeypatch.setattr("siamrec.feedback._parquet._MANY", 1000)
    with pytest.raises(InvalidDataError, match="becomes 200,000 rows"):
        loaded_of(tmp_path, data, "a.parquet")
