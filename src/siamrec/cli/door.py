"""The door of every command: one line for an error, and words of others shown as they are."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from siamrec._core.urls import masked
from siamrec.errors import InvalidParameterError, SiamrecError, spelt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec._core.table import Shown

_BAD_INPUT = 2
_INTERRUPTED = 130


def plain(words: object, style: str = "") -> Text:
    """Return words as text in which brackets are no markup and control codes are spelt out."""
    return Text(spelt(str(words)).replace("\n", "\\n"), style)


def say(console: Console, *parts: object) -> None:
    """Print one line that is not broken; what is not yet styled is shown as it is."""
    texts = (part if isinstance(part, Text) else plain(part) for part in parts)
    console.print(Text.assemble(*texts), highlight=False, soft_wrap=True)


def show(console: Console, result: Shown) -> None:
    """Print a result as its table."""
    for line in result.to_text().splitlines():
        say(console, line)


def tell(console: Console, result: Shown, *, as_json: bool) -> None:
    """Print a result as its table, or as JSON for other programs."""
    if as_json:
        typer.echo(result.to_json())
    else:
        show(console, result)


WorkspaceOption = Annotated[
    str, typer.Option("--db", envvar="SIAMREC_DB", help="Workspace: a URL, or a SQLite file.")
]
BlobsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the files of versions.", show_default="beside a SQLite file"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
SchemaOption = Annotated[
    str | None,
    typer.Option(
        "--schema", envvar="SIAMREC_SCHEMA", help="Schema of PostgreSQL that has the tables."
    ),
]


def url_of(db: str) -> str:
    """Return the URL of a database that was named by a URL or a file.

    Raises:
        siamrec.errors.InvalidParameterError: If it is a URL with a slip: as the name of a file it
            would be shown, password and all.
    """
    if "://" in db:
        return db
    if re.match(r"(?![A-Za-z]:[\\/])[^/]*:.*@", db):
        expected = "a URL such as postgresql://user@host/name, or a SQLite file"
        raise InvalidParameterError("--db", masked(db), expected)
    return f"sqlite:///{db}"


def url_there(db: str, schema: str | None) -> str:
    """Return the URL of a workspace that is there; a mistyped name would make a new one.

    Raises:
        siamrec.errors.InvalidParameterError: If there is none.
    """
    from siamrec.storage import inspected  # SQLAlchemy takes its time

    url = url_of(db)
    found = inspected(url, schema=schema)
    if found.state == "empty":
        expected = "a workspace that is there (siamrec db upgrade makes one)"
        raise InvalidParameterError("--db", found.url, expected)
    return url


@contextmanager
def one_line(console: Console, out: Path | None = None) -> Iterator[None]:
    """Turn errors made on purpose into one line, and an interruption into a way to go on."""
    try:
        yield
    except SiamrecError as error:
        say(Console(stderr=True), plain("Error: ", "red"), error)
        raise typer.Exit(_BAD_INPUT) from None
    except KeyboardInterrupt:
        again = "" if out is None else f" Call again with --out {out} to go on."
        say(console, f"Interrupted.{again}")
        raise typer.Exit(_INTERRUPTED) from None
