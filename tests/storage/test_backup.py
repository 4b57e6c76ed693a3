"""Backups: one state of everything, all of it or nothing, and the same log wherever it goes."""

from __future__ import annotations

import json
import threading
import zipfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

from siamrec._core.clock import ManualClock
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    StorageError,
)
from siamrec.storage import FolderBlobs, Store, restored, schema
from siamrec.storage import _engine as engines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ARMS = ("a", "b")


def events(first: int, n: int) -> Feedback:
    numbers = range(first, first + n)
    return Feedback.of(
        user=[f"u{k % 7}" for k in numbers], item=[f"i{k % 11}" for k in numbers],
        value=[0.1 * k for k in numbers], time=[100 + k for k in numbers],
    )  # fmt: skip


def filled(store: Store) -> None:
    """Write something into most tables; some events are archived, and the newest is erased."""
    store.feedback.write(events(0, 300))
    store.feedback.write_events([{"user": "ü'☃\n", "item": 5, "query": "red shoe", "key": "k"}])
    words: dict[str, list[Any]] = {"stock": [3, None], "genres": [("a",), None]}
    store.catalog.write(Catalog(items=Vocabulary(("x", "y")), attributes=words))
    store.catalog.hide("x", reason="recalled")
    store.blocks.add("u1", "i3", "i4")
    store.values.put("placement", "home", {"history": 5})
    store.diary.write("home", "trained", {"n": 1})
    bandit = store.bandit("home", "beta-thompson", ARMS, worker="w")
    for number in range(40):
        decision = bandit.select(unit=f"u{number}")
        bandit.learn(decision.id, reward=float(number % 2))
    store.archive(250, segment_rows=100)
    store.erase("u6")


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of every table but the one of the server."""
    with engines.reading(store._engine) as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(
                    table.select().order_by(*table.primary_key.columns)
                ).all()
            ]
            for table in schema.metadata.sorted_tables
            if table.name != "epoch"
        }


def fresh(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> str:
    """Return the URL of an empty database beside the one that `url` may have made."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'other.db'}"
    address: str = request.getfixturevalue("postgres_url")
    made = create_engine(address, isolation_level="AUTOCOMMIT")
    with made.connect() as connection:
        connection.exec_driver_sql("DROP DATABASE IF EXISTS other WITH (FORCE)")
        connection.exec_driver_sql("CREATE DATABASE other")
    made.dispose()
    return made.url.set(database="other").render_as_string(hide_password=False)


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_everything_comes_back(
    request: pytest.FixtureRequest, url: str, tmp_path: Path, target: str
) -> None:
    clock = ManualClock(5_000)
    source = Store(url, clock=clock, archive=tmp_path / "sealed")
    filled(source)
    blobs = FolderBlobs(tmp_path / "blobs")
    blobs.put_many({"sha256/aa/one": b"1" * 1000, "two": b"\x00\xff"})
    made = source.copies.backup(tmp_path / "b.zip", blobs=blobs)
    assert made.rows["event"] == source.counts()["event"] > 0
    assert (made.sealed, made.blobs) == (source.counts()["segment"], 2)
    assert made.sealed
    place = fresh(request, tmp_path, target)
    away = FolderBlobs(tmp_path / "away")
    if made.engine == "postgresql" and target == "sqlite":
        with pytest.raises(InvalidParameterError, match="a PostgreSQL database, as the backup is"):
            restored(tmp_path / "b.zip", place, blobs=away, archive=tmp_path / "moved")
        return
    with pytest.raises(MissingInputError, match="blobs is needed"):
        restored(tmp_path / "b.zip", place, archive=tmp_path / "moved")
    told = restored(tmp_path / "b.zip", place, blobs=away, archive=tmp_path / "moved")
    assert (told.rows, told.made) == (made.rows, 5_000)
    assert away.get("two") == b"\x00\xff"
    other = Store(place, clock=clock, archive=tmp_path / "moved")
    assert contents(other) == contents(source)
    wanted, found = source.feedback.read_all(), other.feedback.read_all()
    assert found.fingerprint() == wanted.fingerprint()
    bandits = [each.bandit("home", "beta-thompson", ARMS, worker="v") for each in (source, other)]
    drawn = [
        each.draw({}, id=f"d{n}", n=1, unit="u", arms=ARMS, time=6_000)
        for n in range(30)
        for each in bandits
    ]
    assert drawn[::2] == drawn[1::2]  # the same decisions for the same ids
    other.verify()
    again = [each.feedback.write(events(0, 300)) for each in (source, other)]
    assert again[0] == again[1]  # archived and erased keys stay used up
    for each in (source, other):
        each.feedback.write(events(900, 5))
    last = [contents(each)["event"][-1][0] for each in (source, other)]
    assert last[0] == last[1]  # numbers that were given out are never given again
    with pytest.raises(InvalidParameterError, match="an empty database"):
        restored(tmp_path / "b.zip", place, blobs=away, archive=tmp_path / "moved")
    source.close()
    other.close()


def test_a_backup_under_load_is_of_one_instant(
    request: pytest.FixtureRequest, url: str, tmp_path: Path
) -> None:
    source = Store(url, archive=tmp_path / "sealed")
    filled(source)
    stop, failed = threading.Event(), []

    def write() -> None:
        bandit = source.bandit("home", "beta-thompson", ARMS, worker=str(threading.get_ident()))
        first = 1_000
        try:
            while not stop.is_set():
                bandit.learn(bandit.select().id, reward=1.0)
                source.feedback.write(events(first, 10))
                first += 10
        except Exception as error:  # noqa: BLE001  told below
            failed.append(error)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for each in writers:
        each.start()
    made = [source.copies.backup(tmp_path / f"b{n}.zip") for n in range(3)]
    stop.set()
    for each in writers:
        each.join()
    assert failed == []
    assert made[0].rows["event"] < source.counts()["event"]
    for n, told in enumerate(made[::2]):
        engine = "sqlite" if told.engine == "sqlite" else "postgresql"
        (tmp_path / str(n)).mkdir()
        place = fresh(request, tmp_path / str(n), engine)
        restored(told.path, place, archive=tmp_path / f"moved{n}")
        with closing(Store(place, archive=tmp_path / f"moved{n}")) as other:
            other.bandit("home", "beta-thompson", ARMS)
            other.verify()
            assert {name: len(rows) for name, rows in contents(other).items()} == {
                name: count for name, count in told.rows.items() if name != "epoch"
            }
    source.close()


def test_a_broken_backup_leaves_nothing_behind(tmp_path: Path) -> None:
    source = Store(f"sqlite:///{tmp_path}/a.db", archive=tmp_path / "sealed")
    filled(source)
    good = tmp_path / "good.zip"
    source.copies.backup(good)
    with pytest.raises(InvalidParameterError, match="a file that is not there yet"):
        source.copies.backup(good)
    with pytest.raises(StorageError, match="cannot be written"):
        source.copies.backup(tmp_path / "a.db" / "no" / "b.zip")
    place = f"sqlite:///{tmp_path}/b.db"
    changes: dict[str, Callable[[bytes], bytes]] = {
        "tables/fold.jsonl": lambda data: data.replace(b"home", b"hoem"),
        "tables/event.jsonl": lambda data: data[: len(data) // 2],
        "tables/reward.jsonl": lambda _data: b"",
        "manifest.json": lambda data: data.replace(b"siamrec backup", b"something else"),
    }
    for name, change in changes.items():
        broken = tmp_path / "broken.zip"
        with zipfile.ZipFile(good) as old, zipfile.ZipFile(broken, "w") as new:
            for each in old.namelist():
                data = old.read(each)
                new.writestr(each, change(data) if each == name else data)
        with pytest.raises(InvalidDataError):
            restored(broken, place)
        if name != "manifest.json":
            store = Store(place)
            assert sum(store.counts().values()) == 0
            store.close()
    (tmp_path / "text.zip").write_text("no zip")
    for path in ("text.zip", "none.zip"):
        with pytest.raises(InvalidDataError, match="No backup can be read"):
            restored(tmp_path / path, place)
    newer = tmp_path / "newer.zip"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(newer, "w") as new:
        told = {**json.loads(old.read("manifest.json")), "revision": "9999"}
        new.writestr("manifest.json", json.dumps(told))
    with pytest.raises(StorageError, match="newer version"):
        restored(newer, place)
    assert restored(good, place).rows["event"]  # what failed before is in nobody's way
    source.close()
