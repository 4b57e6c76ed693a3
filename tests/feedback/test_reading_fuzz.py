"""Whatever comes through the door, only errors of the house go out; what is written is read."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.feedback.test_reading import READ

from siamrec.errors import SiamrecError
from siamrec.feedback import FileFeedback

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

quiet = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SEEDS = [data for data, *_ in READ.values()]
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
ODD = st.sampled_from(['"', '""', "a,b", "a\nb", 'a"b', "x\n\ny", "'", ";", "::"])
CELLS = WORDS | ODD
HEADS = ["user,item,rating,time\n", '{"user": 1, "item": "x"}\n', "", "user\titem\n", "[{"]
TEXTS = st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))


def tried(path: Path, data: bytes, **given_: Any) -> Any:
    """Return what is read, or the one line that says why not."""
    path.write_bytes(data)
    try:
        return FileFeedback(path=path, **given_).load()
    except SiamrecError as error:
        return str(error)


@quiet
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=6),
    st.floats(0, 2),
)
def test_altered_files_raise_only_errors_of_the_house(
    tmp_path: Path, seed: bytes, changes: list[tuple[float, int]], end: float
) -> None:
    data = bytearray(seed)
    for place, byte in changes:
        data[int(place * (len(data) - 1))] = byte
    del data[int(end * len(data)) :]
    found = tried(tmp_path / "file", bytes(data))
    assert not isinstance(found, str) or "\n" not in found


@quiet
@given(
    st.binary(max_size=200) | TEXTS,
    st.sampled_from(HEADS),
    st.sampled_from(["a.csv", "a.jsonl", "a.json", "a.tsv", "a.gz"]),
)
def test_any_bytes_raise_only_errors_of_the_house(
    tmp_path: Path, tail: bytes, head: str, name: str
) -> None:
    tried(tmp_path / name, head.encode() + tail)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
NAMES = ("user", "item", "rating", "time", "kind", "position", "query")
RECORDS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))


@quiet
@given(st.lists(RECORDS, max_size=5))
def test_any_json_raises_only_errors_of_the_house(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    for text in ("\n".join(map(json.dumps, rows)), json.dumps(rows)):
        found = tried(tmp_path / "a.json", text.encode())
        if not isinstance(found, str):
            assert found.n_rows == len(rows)
            assert len(found.feedback) + len(found.rejected) == len(rows)


@quiet
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.integers(1, 5)), min_size=1, max_size=30),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    line=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    block=st.integers(64, 300),
)
def test_what_csv_writes_is_what_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    rows: list[tuple[str, str, int]],
    delimiter: str,
    line: str,
    quoting: Any,
    block: int,
) -> None:
    """Only a value that itself looks like rows is refused."""
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator=line, quoting=quoting)
    writer.writerow(["user", "item", "rating"])
    writer.writerows(rows)
    monkeypatch.setattr("siamrec.feedback._contents.BLOCK", block)
    data = target.getvalue().encode()
    found = tried(tmp_path / "a.csv", data, delimiter=delimiter, scale=(1, 5))
    expected = [
        (user.strip(), item.strip(), float(value))
        for user, item, value in rows
        if user.strip() and item.strip()
    ]
    if isinstance(found, str):
        assert "rows by themselves" in found if expected else "is missing" in found
        return
    feedback = found.feedback
    users, items = feedback.users.decode(feedback.user), feedback.items.decode(feedback.item)
    assert list(zip(users, items, feedback.value.tolist(), strict=True)) == expected
    assert len(found.rejected) == len(rows) - len(expected)


@quiet
@given(st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=9))
def test_whole_nanoseconds_are_never_rounded(tmp_path: Path, times: list[int]) -> None:
    text = "user,item,at\n" + "".join(f"a,b,{at}\n" for at in times)
    found = tried(tmp_path / "a.csv", text.encode(), columns={"time": "at"}, time_unit="ns")
    assert np.array_equal(found.feedback.time, np.array(times))
