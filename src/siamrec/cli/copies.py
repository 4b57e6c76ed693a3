"""`siamrec export`, `import`, `backup` and `restore`: a workspace into files and out of them."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from siamrec.cli.door import (
    BlobsOption,
    JsonOption,
    SchemaOption,
    WorkspaceOption,
    one_line,
    tell,
    url_of,
    url_there,
)
from siamrec.cli.files import paths_of, reads_files, source_of
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec.storage import Store

_Archive = Annotated[
    Path | None, typer.Option(help="Folder of sealed files.", show_default="beside a SQLite file")
]


def _files_of(blobs: Path | None, db: str) -> Any:
    """Return the folder of the files of versions."""
    from siamrec.storage import FolderBlobs

    if blobs is not None:
        return FolderBlobs(blobs)
    url = url_of(db)
    if not url.startswith("sqlite:///"):
        raise InvalidParameterError("--blobs", None, "a folder, since the database is no file")
    return FolderBlobs.beside(Path(url.removeprefix("sqlite:///")), "models")


@contextmanager
def _store(db: str, schema: str | None, archive: Path | None) -> Iterator[Store]:
    from siamrec.storage import Store

    url = url_there(db, schema)
    with closing(Store(url, archive=archive, schema=schema)) as store:
        yield store


def export(
    folder: Annotated[Path, typer.Argument(help="Folder for feedback.parquet, catalog.parquet.")],
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    archive: _Archive = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Write all events and items to Parquet files, which `siamrec import` reads."""
    console = Console()
    with one_line(console), _store(db, schema, archive) as store:
        tell(console, store.copies.export(folder), as_json=as_json)


@reads_files
def import_files(
    feedback: Annotated[list[str], typer.Argument(help="Files of events, folders or patterns.")],
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    items: Annotated[Path | None, typer.Option(help="File of items.")] = None,
    items_id: Annotated[str | None, typer.Option(help="Column of item ids in --items.")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Column of --items for the text; may be repeated.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what would be stored.")
    ] = False,
    as_json: JsonOption = False,
    written: dict[str, Any],
) -> None:
    """Store events and items of files, all or nothing; told again they are counted as there."""
    console = Console()
    with one_line(console), paths_of(feedback) as files:
        from siamrec.feedback import read_catalog
        from siamrec.lifecycle import Workspace  # torch takes its time

        url = url_there(db, schema)
        source = source_of(files, written)
        catalog = None
        if items is not None:
            catalog = read_catalog(items, item=items_id, text=text or (), ids=source.ids)
        loaded = source.load()
        with Workspace(url, schema=schema) as workspace:
            told = workspace.feedback.load(loaded, catalog=catalog, dry_run=dry_run)
        tell(console, told, as_json=as_json)


def backup(
    file: Annotated[Path, typer.Argument(help="The new file.")],
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    blobs: BlobsOption = None,
    archive: _Archive = None,
    *,
    with_blobs: Annotated[
        bool, typer.Option("--with-blobs", help="The files of versions too.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write one consistent copy of everything to a file, also while others serve."""
    console = Console()
    with one_line(console), _store(db, schema, archive) as store:
        kept = _files_of(blobs, db) if with_blobs else None
        tell(console, store.copies.backup(file, blobs=kept), as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    blobs: BlobsOption = None,
    archive: _Archive = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Fill an empty database from a backup, all of it or nothing."""
    console = Console()
    with one_line(console):
        from siamrec.storage import restored

        url = url_of(db)
        where = _files_of(blobs, db) if blobs or url.startswith("sqlite:///") else None
        told = restored(file, url, blobs=where, archive=archive, schema=schema)
        tell(console, told, as_json=as_json)
