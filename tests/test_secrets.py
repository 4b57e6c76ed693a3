"""No password leaves a door that takes the URL of a database: in no word, value, page or trace."""

from __future__ import annotations

import importlib
import inspect
import traceback
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
import typer
from sqlalchemy import create_engine
from tests.test_house import MODULES
from typer.testing import CliRunner

from siamrec._core.urls import masked
from siamrec.cli import app
from siamrec.data import Feedback
from siamrec.errors import SiamrecError
from siamrec.lifecycle import ImprovementLoop, Workspace
from siamrec.storage import Store, inspected, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = "hunter2-s3cret"  # noqa: S105 - the one that must not be seen

URLS = [
    f"postgres://u:{SECRET}@h/db",
    f"u:{SECRET}@h/db",
    f"postgresql://u:{SECRET}/db",
    f" postgresql://u:{SECRET}@h/db",
    f"postgresql:/u:{SECRET}@h/db",
    f"mysql://u:{SECRET}@h/db",
    f"postgresql+asyncpg://u:{SECRET}@127.0.0.1:1/db",
    f"sqlite+pysqlcipher://:{SECRET}@/x.db",
    f"postgres://h/db?password={SECRET}",
    f"postgres://h/db?password=p@{SECRET}",
    f"postgresql+psycopg://u:{SECRET}@h:bad/db",
    f"postgresql+psycopg://u:{SECRET}@[::1:1/db",
    f"postgresql+psycopg://u:p@ss/{SECRET}@127.0.0.1:1/db",
    f"postgresql+psycopg://u:{SECRET}@127.0.0.1:1/db",
    f"postgresql+psycopg://127.0.0.1:1/db?password={SECRET}&user=u",
    f"postgresql+psycopg://127.0.0.1:1/db?sslpassword={SECRET}",
    f"postgresql+psycopg://127.0.0.1:1/db?passwd={SECRET}",
    f"postgresql+psycopg://127.0.0.1:1/db?options=-c%20x={SECRET}",
]


def _restored(url: str) -> None:
    """Restore a backup of an empty store."""
    with TemporaryDirectory() as folder:
        store = Store("sqlite://")
        store.copies.backup(f"{folder}/b.zip")
        store.close()
        restored(f"{folder}/b.zip", url)


DOORS: dict[str, Callable[[str], Any]] = {
    "siamrec.storage.Store": Store,
    "siamrec.storage.restored": _restored,
    "siamrec.storage.inspected": inspected,
    "siamrec.lifecycle.Workspace": Workspace,
}


def test_every_door_that_takes_a_url_is_tried() -> None:
    found = set()
    for module in (m for m in MODULES if m.count(".") == 1):
        room = importlib.import_module(module)
        for name in getattr(room, "__all__", ()):
            value = getattr(room, name)
            if getattr(value, "__module__", "").startswith(module) and callable(value):
                try:
                    taken = inspect.signature(value).parameters
                except ValueError:
                    continue
                kept = not hasattr(value, "__dataclass_fields__")  # values do not open anything
                if "url" in taken and kept:
                    found.add(f"{module}.{name}")
    assert found == set(DOORS)


def _told(error: BaseException) -> str:
    """Return all that may come to light of an error: words, parts, its trace with the causes."""
    parts = "".join(traceback.format_exception(error)) + f"{vars(error)}"
    while error is not None:
        parts += f"{error} {error!r}"
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return parts


@pytest.mark.filterwarnings("ignore:Query string argument")
@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("door", DOORS)
def test_no_error_tells_a_password(door: str, url: str) -> None:
    with pytest.raises(SiamrecError) as caught:
        DOORS[door](url)
    assert SECRET not in _told(caught.value)


@pytest.mark.parametrize("url", URLS[-5::2])
def test_a_run_tells_no_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SiamrecError) as caught:
        ImprovementLoop(out=tmp_path / "run", store=url, encoder="hashing").run()
    assert SECRET not in _told(caught.value)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def _commands(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*above, name))
        elif any("--db" in each.opts for each in command.params):
            yield (*above, name)


COMMANDS = sorted(_commands(typer.main.get_command(app)))
MORE = {"archive": ["--before", "1d"], "erase": ["x"], "recommend": ["--user", "x"]}
MORE |= {"rollback": ["--reason", "x"]}


@pytest.mark.filterwarnings("ignore:Query string argument")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_prints_a_password(command: tuple[str, ...], tmp_path: Path) -> None:
    assert len(COMMANDS) > 8
    out = ["--out", str(tmp_path / "run")] if command == ("improve",) else []
    for url in URLS[::6] if out else URLS:  # a run makes its data first
        given = [*command, "--db", url, *out, *MORE.get(command[-1], [])]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, given, input="n\n")
        assert SECRET not in done.output, url
        assert isinstance(done.exception, SystemExit), (url, done.exception)


@pytest.mark.parametrize("url", URLS)
def test_a_masked_url_names_the_rest(url: str) -> None:
    assert SECRET not in masked(url).partition(":")[2]
    assert masked("sqlite:////home/a@b/x.db") == "sqlite:////home/a@b/x.db"
    assert masked("postgresql://[::1]:5432/db") == "postgresql://[::1]:5432/db"


def test_what_is_written_is_no_part_of_a_trace(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    with store._engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE event")
    with pytest.raises(SiamrecError) as caught:
        store.feedback.write(Feedback.of(user=[SECRET], item=["x"], time=[1]))
    assert SECRET not in _told(caught.value)
    store.close()


def test_an_engine_of_a_host_is_shown_without_its_password() -> None:
    for url in (
        f"postgresql+psycopg://u:{SECRET}@h/db",
        f"postgresql+psycopg://u:p@ss/{SECRET}@h/db",
        f"postgresql+psycopg://u:p@{SECRET}@h/db",
        f"postgresql+psycopg://h/db?passfile={SECRET}",
    ):
        from siamrec.storage._engine import place_of

        assert SECRET not in place_of(create_engine(url))
