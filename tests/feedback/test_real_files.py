"""Public data sets as they are distributed, counted by plain Python beside."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING

import pytest

from siamrec.errors import InvalidDataError
from siamrec.feedback import FileFeedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.feedback import LoadedFeedback

pytestmark = pytest.mark.realdata
Row = tuple[str, str, float, int]


def counted(rows: list[Row], loaded: LoadedFeedback) -> None:
    feedback = loaded.feedback
    assert loaded.rejected == ()
    assert loaded.n_rows == len(feedback) == len(rows)
    assert set(feedback.users.ids) == {user for user, *_ in rows}
    assert set(feedback.items.ids) == {item for _, item, *_ in rows}
    assert float(feedback.value.sum(dtype="float64")) == sum(value for *_, value, _ in rows)
    assert feedback.time.tolist() == [at * 10**9 for *_, at in rows]


def plain(path: Path, delimiter: str, *, header: bool) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter=delimiter))[header:]
    return [(user, item, float(value), int(at)) for user, item, value, at in rows]


@pytest.mark.parametrize("name", ["u.data", "u1.base", "u5.test"])
def test_movielens_100k(real_data: Path, name: str) -> None:
    path = real_data / "ml-100k" / name
    loaded = FileFeedback(path=path).load()
    counted(plain(path, "\t", header=False), loaded)
    assert "movielens-100k" in loaded.told["format"]
    assert loaded.scale == (1, 5)


def test_movielens_csv_packed_or_not(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "ml-latest-small" / "ratings.csv"
    rows = plain(path, ",", header=True)
    counted(rows, FileFeedback(path=path).load())
    packed = tmp_path / "ratings.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes(), 1))
    counted(rows, FileFeedback(path=packed).load())
    counted(rows, FileFeedback(path=path.parent, format="movielens").load())
    with pytest.raises(InvalidDataError, match="No column stands for the user"):
        FileFeedback(path=path.parent).load()


def test_the_open_bandit_log_keeps_places_and_propensities(real_data: Path) -> None:
    path = real_data / "obd" / "random" / "all" / "all.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {"user": "user_feature_0", "kind": "view"}
    loaded = FileFeedback(path=path, columns=columns, marks={"click": "click"}).load()
    feedback = loaded.feedback
    clicks = sum(row["click"] == "1" for row in rows)
    assert len(feedback) == len(rows) + clicks
    assert int((feedback.kind == 1).sum()) == clicks
    assert feedback.propensity is not None
    assert feedback.position is not None
    views = feedback.kind == 2
    assert feedback.propensity[views].tolist() == [float(row["propensity_score"]) for row in rows]
    assert feedback.position[views].tolist() == [int(row["position"]) for row in rows]
