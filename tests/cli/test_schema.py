"""A schema of its own, by every command that names a database."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine
from sqlalchemy import inspect as look
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.data import Feedback
from siamrec.errors import InvalidParameterError
from siamrec.lifecycle import Host, ImprovementLoop, Placement, Workspace

if TYPE_CHECKING:
    from pathlib import Path

RUN = CliRunner()


def test_every_command_that_takes_a_database_takes_a_schema() -> None:
    commands = [*app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        commands += group.typer_instance.registered_commands
    names = set()
    for command in commands:
        assert command.callback is not None
        takes = inspect.signature(command.callback).parameters
        assert ("db" in takes) == ("schema" in takes), command.callback.__name__
        names |= {command.callback.__name__} if "db" in takes else set()
    assert {"improve", "recommend", "train", "status", "check", "verify", "erase"} <= names


def test_a_workspace_in_a_schema_by_the_command(postgres_url: str, tmp_path: Path) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS shop CASCADE")
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS copy CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    with Workspace(postgres_url, blobs=tmp_path / "files", salt="t", schema="shop") as ws:
        ws.feedback.write(Feedback.of(user=["a", "b"], item=["x", "y"], kind="click", time=9))
        ws.place(Placement(name="home", arms={"top": "popularity"}, k=2))
        ws.train("home")
    where = ["--db", postgres_url, "--schema", "shop"]
    for given in (
        ["recommend", "a", "--blobs", str(tmp_path / "files"), *where],
        ["export", str(tmp_path / "out"), "--archive", str(tmp_path / "sealed"), *where],
        ["import", str(tmp_path / "out" / "feedback.parquet"), *where],
        ["backup", str(tmp_path / "all.backup"), "--archive", str(tmp_path / "sealed"), *where],
        ["restore", str(tmp_path / "all.backup"), *where[:3], "copy"],
        ["status", "--blobs", str(tmp_path / "files"), *where],
        ["db", "check", *where],
        ["db", "verify", "--archive", str(tmp_path / "sealed"), *where],
        ["db", "upgrade", *where],
        ["db", "erase", "a", "--yes", "--archive", str(tmp_path / "sealed"), *where],
    ):
        done = RUN.invoke(app, given)
        assert done.exit_code == 0, (given, done.output)
    with engine.connect() as connection:
        assert look(connection).get_table_names() == []
    for given in (["status", "--db", postgres_url], ["db", "check", *where[:3], "none"]):
        done = RUN.invoke(app, given)
        assert done.exit_code in {1, 2}
    engine.dispose()


def test_sqlite_has_none_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    done = RUN.invoke(app, ["db", "upgrade", "--db", str(file), "--schema", "shop"])
    assert done.exit_code == 2
    assert "give SQLite a file of its own" in done.output.replace("\n", " ")
    assert not file.exists()
    with pytest.raises(InvalidParameterError, match="schema must be given with the URL"):
        ImprovementLoop(out=tmp_path / "run", encoder="hashing", host=Host(schema="shop"))


def test_a_run_keeps_its_log_in_a_schema(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamrec.lifecycle import _cycle

    class Stop(Exception):  # noqa: N818
        pass

    def stop(*_: object) -> None:
        raise Stop

    monkeypatch.setattr(_cycle.Cycle, "split_summary", stop)
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS learning CASCADE")
        before = set(look(connection).get_table_names())
    given = ["--db", postgres_url, "--schema", "learning", "--model", "hashing"]
    done = RUN.invoke(app, ["improve", "--out", str(tmp_path / "run"), *given])
    assert isinstance(done.exception, Stop)
    with engine.connect() as connection:
        assert set(look(connection).get_table_names()) == before
        assert "event" in look(connection).get_table_names(schema="learning")
    engine.dispose()
