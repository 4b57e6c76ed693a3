"""`siamrec plugins`: what is installed, from where, and what is broken."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from siamrec.cli.door import plain


def plugins() -> None:
    """List what is installed, from where, and what is broken."""
    from siamrec.plugins import default_registry  # loads every plugin

    console = Console()
    table = Table("plugin", "from", "kind", "parts")
    broken = []
    for info in default_registry().plugins:
        name, source = plain(info.name), plain(info.source)
        if info.error:
            broken.append(info)
            table.add_row(name, source, "[red]broken[/]", plain(info.error))
        for kind, names in info.parts.items():
            table.add_row(name, source, kind, plain(", ".join(names)))
        if info.observes:
            table.add_row(name, source, "observer", ", ".join(info.observes))
    console.print(table)
    if broken:
        raise typer.Exit(1)
