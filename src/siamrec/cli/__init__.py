"""The `siamrec` command."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from siamrec import __version__
from siamrec.cli import copies, database, files, improve, plugins, workspace

__all__ = ["app", "main"]

app = typer.Typer(
    name="siamrec",
    help="Turn user feedback into a better recommender, with proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(improve.improve)
app.command()(files.look)
app.command()(workspace.train)
app.command()(workspace.recommend)
app.command()(workspace.status)
app.command()(workspace.work)
app.command()(workspace.jobs)
app.command()(workspace.versions)
app.command()(workspace.rollback)
app.command()(workspace.measure)
app.command("what-if")(workspace.what_if)
app.command()(copies.export)
app.command("import")(copies.import_files)
app.command()(copies.backup)
app.command()(copies.restore)
app.command()(plugins.plugins)
app.add_typer(database.app)
app.add_typer(plugins.new)


def _show_version(asked: bool) -> None:  # noqa: FBT001  Typer hands the option over by position
    if asked:
        typer.echo(f"siamrec {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Turn user feedback into a better recommender, with proof."""


def main() -> None:
    """Run the command."""
    # Idle threads sleep rather than spin: on a busy machine spinning costs several times the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="siamrec")
