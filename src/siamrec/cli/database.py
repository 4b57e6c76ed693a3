"""`siamrec db`: look after the database of a store."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from siamrec._core.urls import masked
from siamrec.cli.door import SchemaOption, one_line, plain, say, show, url_of
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.storage import Store

app = typer.Typer(name="db", help="Look after the database of a store.", no_args_is_help=True)

_Db = Annotated[
    str, typer.Option("--db", envvar="SIAMREC_DB", help="Database: a URL, or a SQLite file.")
]
_Archive = Annotated[
    Path | None, typer.Option(help="Folder of sealed files.", show_default="beside a SQLite file")
]


@contextmanager
def _opened(db: str, schema: str | None, archive: Path | None = None) -> Iterator[Store]:
    """Open a database that is there; one that is not would be made by a mistyped name."""
    from siamrec.storage import Store, inspected  # SQLAlchemy takes its time

    url = url_of(db)
    found = inspected(url, schema=schema)
    if found.state == "empty":
        raise InvalidParameterError("--db", found.url, "a database with the tables of siamrec")
    store = Store(url, archive=archive, schema=schema)
    try:
        yield store
    finally:
        store.close()


@app.command()
def upgrade(db: _Db = "siamrec.db", schema: SchemaOption = None) -> None:
    """Bring a database to the newest revision, or make a new one."""
    console = Console()
    with one_line(console):
        from siamrec.storage import Store, inspected

        Store(url_of(db), schema=schema).close()
        found = inspected(url_of(db), schema=schema)
    say(console, f"{found.url}: revision {found.revision}")


@app.command()
def check(db: _Db = "siamrec.db", schema: SchemaOption = None) -> None:
    """Show revision, rows and damage, and change nothing; exit code 1 if something is amiss."""
    console = Console()
    with one_line(console):
        from siamrec.storage import inspected

        found = inspected(url_of(db), schema=schema)
    show(console, found)
    if found.damage or found.state != "current":
        raise typer.Exit(1)


@app.command()
def verify(
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    schema: SchemaOption = None,
    blobs: Annotated[
        Path | None,
        typer.Option(help="Folder of the files of versions.", show_default="beside a SQLite file"),
    ] = None,
    bandits: Annotated[
        str | None,
        typer.Option(help="Function 'module:name' that opens your bandits on the store given."),
    ] = None,
) -> None:
    """Check all that is derived against the log, and events, files and versions as written."""
    console = Console()
    with one_line(console), _opened(db, schema, archive) as store:
        if bandits is not None:
            _named(bandits)(store)
        found = store.verify()
        files = _files_verified(store, blobs) if found.versions else "none"
    for name, n_sums in found.checked.items():
        say(console, f"{name}: {n_sums:,} sums agree with the log")
    for name in found.unchecked:
        say(console, plain(f"{name}: not checked", "yellow"), ", open it with --bandits")
    say(console, f"archive: {found.archived:,} events as sealed")
    say(console, f"log: {found.events:,} events and {found.versions:,} versions as written")
    if files is None:
        say(console, plain("files of versions: not checked", "yellow"), ", name their --blobs")
    else:
        say(console, f"files of versions: {files}")


@app.command("archive")
def archive_events(
    before: Annotated[
        str, typer.Option(help="Date or time such as 2026-01-31, or an age such as 90d.")
    ],
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    schema: SchemaOption = None,
    segment_rows: Annotated[int, typer.Option(help="Most events in one file.")] = 100_000,
) -> None:
    """Move old events into sealed Parquet files; they stay part of the log."""
    console = Console()
    with one_line(console):
        instant = _instant(before)
        with _opened(db, schema, archive) as store:
            sealed = store.archive(instant, segment_rows=segment_rows)
    say(console, f"{sealed.n_events:,} events in {len(sealed.segments)} new files")
    if sealed.held_by:
        say(console, f"Old events wait for {', '.join(sealed.held_by)}.")


@app.command()
def erase(
    user: Annotated[str, typer.Argument(help="Id of the user.")],
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    schema: SchemaOption = None,
    number: Annotated[bool, typer.Option(help="The id is a whole number, not text.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Erase a user from the log and the archive; decisions for the user are kept for nobody."""
    console = Console()
    with one_line(console):
        if number and not user.removeprefix("-").isdecimal():
            raise InvalidParameterError("user", user, "a whole number with --number")
        if not yes:
            typer.confirm(f"Erase {user!r} from {masked(url_of(db))} for ever?", abort=True)
        with _opened(db, schema, archive) as store:
            done = store.erase(int(user) if number else user)
    say(
        console,
        f"{done.n_events:,} events erased, {done.n_segments} files written anew, "
        f"{done.n_redacted} snapshots redacted, {done.n_decisions:,} decisions detached",
    )
    for line in done.remains:
        say(console, plain("Remains: ", "yellow"), line)


def _files_verified(store: Store, blobs: Path | None) -> str | None:
    """Hash the files of all versions; None where it is not known where they are.

    Raises:
        siamrec.errors.ModelLoadError: If some are gone or were changed.
    """
    from siamrec.lifecycle import ModelRegistry
    from siamrec.storage import FolderBlobs

    if blobs is not None:
        files = FolderBlobs(blobs)
    elif store.file is None:
        return None
    else:
        files = FolderBlobs.beside(store.file, "models")
        own = store.file.with_name("registry")  # of a run in a folder of its own
        if not next(files.keys(), None) and own.is_dir():
            files = FolderBlobs(own)
    ModelRegistry(store, files).verify()
    return "as registered"


def _instant(text: str) -> int:
    from siamrec._core.clock import SystemClock, duration

    try:
        stamp = datetime.fromisoformat(text)
    except ValueError:
        return SystemClock().now() - duration("--before", text)
    aware = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1e6) * 1_000


def _named(place: str) -> Any:
    module, _, name = place.partition(":")
    sys.path.insert(0, "")  # as `python -m` does: modules of the folder one is in
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidParameterError("--bandits", place, f"module:function ({error})") from error
    finally:
        sys.path.remove("")
