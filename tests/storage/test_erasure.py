"""Erasing takes the id that it is given or refuses it, and says what it could not reach."""

from __future__ import annotations

import enum
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson
from siamrec.cli import app
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from pathlib import Path

NAME = "zebra-person-77"


class Member(str, enum.Enum):  # noqa: UP042 - its text is another than its value
    """A user as an application may name one."""

    ANN = "ann"


@pytest.fixture
def local(tmp_path: Path) -> Any:
    with closing(Store(f"sqlite:///{tmp_path / 'log.db'}", clock=ManualClock(50))) as store:
        yield store


def written(store: Store, *users: str | int) -> None:
    n = len(users)
    store.feedback.write(Feedback.of(user=list(users), item=["x"] * n, time=list(range(n))))


@pytest.mark.parametrize("user", [Member.ANN, "ann", np.str_("ann"), 7, np.int64(7), np.uint8(7)])
def test_an_id_is_taken_in_whatever_form(store: Store, user: Any) -> None:
    written(store, "ann", "bob")
    written(store, 7, 8)
    assert store.erase(user).n_events == 1
    assert len(store.feedback.read_all()) == 3


@pytest.mark.parametrize(
    "user", [None, True, 5.0, float("nan"), ["ann"], b"ann", "a\0", "a\ud800", 2**70, "x" * 2_000]
)
def test_what_is_no_id_is_refused(store: Store, user: Any) -> None:
    written(store, "ann")
    with pytest.raises(InvalidParameterError, match="user must be one id"):
        store.erase(user)
    assert len(store.feedback.read_all()) == 1


def test_a_user_who_is_written_alike_is_named(store: Store) -> None:
    written(store, "7")
    written(store, 7)
    assert "Events of a user 7 are another's: erase(7)" in store.erase("7").remains[0]
    assert not any("another's" in line for line in store.erase(7).remains)


def test_nothing_of_a_user_is_left_in_any_file(local: Store, tmp_path: Path) -> None:
    written(local, *(NAME if row % 3 == 0 else f"u{row}" for row in range(300)))
    local.feedback.comment(NAME, "x", f"I, {NAME}, live here", time=400)
    bandit = local.bandit("home", BetaThompson(), ("a", "b"))
    bandit.select(unit=NAME)
    local.archive(150)
    done = local.erase(NAME)
    assert (done.n_events, done.n_decisions, done.remains) == (101, 1, ())
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert not [path for path in files if NAME.encode() in path.read_bytes()]
    assert NAME not in local.feedback.read_all().users.ids


def test_a_log_that_a_reader_holds_is_told(local: Store, tmp_path: Path) -> None:
    written(local, NAME, "bob")
    with local._engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM event")
        done = local.erase(NAME)
        assert NAME.encode() in (tmp_path / "log.db-wal").read_bytes()
    assert "write-ahead log could not be emptied" in done.remains[0]
    assert "something may remain in 1 place" in repr(done)
    assert local.erase(NAME).remains == ()
    assert not (tmp_path / "log.db-wal").read_bytes()


def test_versions_that_were_trained_with_a_user_are_named(local: Store, tmp_path: Path) -> None:
    lifecycle = pytest.importorskip("siamrec.lifecycle", exc_type=ImportError)  # needs torch
    registry = lifecycle.ModelRegistry(local, FolderBlobs(tmp_path / "models"))

    def trained(data: str) -> str:
        files = {"a.json": str(len(registry.versions())).encode()}
        return str(registry.register("m", files, lineage=lifecycle.Lineage(data=data)).id)

    clock: Any = local._clock
    before = trained("some events")
    clock.advance(1)
    written(local, "bob", "ann")
    with_ann = local.snapshots.take()
    without = local.snapshots.take(until=1)
    made = [trained(with_ann.id), trained("some events, at an unknown time"), trained("")]
    made.append(trained(without.id))
    done = local.erase("ann")
    assert done.trained == tuple(sorted(made[:2]))
    assert before not in done.trained
    assert "2 versions may have been trained with the user" in done.remains[-1]
    assert "train anew" in done.to_text()
    assert local.erase("ann").trained == ()


def test_the_command_says_what_remains(tmp_path: Path) -> None:
    place = tmp_path / "log.db"
    with closing(Store(f"sqlite:///{place}")) as store:
        written(store, "7")
        written(store, 7)
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["db", "erase", "7", "--yes", "--db", str(place)]
    )
    assert "1 events erased" in done.output
    assert "Remains: Events of a user 7 are another's" in done.output
