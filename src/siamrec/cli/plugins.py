"""`siamrec plugins` and `siamrec new plugin`: what is installed, and how to begin a plugin."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  Typer reads the annotations
from typing import Annotated

import typer
from rich.console import Console

from siamrec.cli.door import one_line, plain

new = typer.Typer(name="new", help="Begin something of your own.", no_args_is_help=True)
new.callback()(lambda: None)  # one command alone would take the place of the group


def plugins(
    kind: Annotated[
        str | None, typer.Option(help="Only parts of this kind, such as recommender.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Only parts of this name, with their settings.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
    check: Annotated[  # noqa: FBT002
        bool, typer.Option("--check", help="Make every part once; exit code 1 if one is amiss.")
    ] = False,
) -> None:
    """List what is installed, from where, in which version, and what is broken."""
    with one_line(Console()):
        from siamrec.plugins import default_registry  # loads every plugin
        from siamrec.plugins._listing import shown

        told = shown(default_registry(), kind=kind, name=name, as_json=as_json, checks=check)
    for line in told.text.splitlines():
        typer.echo(plain(line).plain)
    if told.amiss:
        raise typer.Exit(1)


@new.command("plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the package and its part: newest-first.")],
    kind: Annotated[
        str, typer.Option(help="What to begin with: recommender, metric, loss, policy, …")
    ] = "recommender",
    folder: Annotated[
        Path | None, typer.Option(help="Where [default: a folder of that name here].")
    ] = None,
) -> None:
    """Write a package with one part, its contract test and its entry point."""
    with one_line(Console()):
        from siamrec.plugins._scaffold import write_plugin  # loads the room of the kind

        target = write_plugin(name, kind=kind, folder=folder)
    typer.echo(f"{target} written. Try it: cd {target} && pip install -e '.[dev]' && pytest")
