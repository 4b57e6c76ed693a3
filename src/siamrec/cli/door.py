"""The door of every command: one line for an error, and words of others shown as they are."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from siamrec.errors import SiamrecError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec._core.table import Shown

_BAD_INPUT = 2
_INTERRUPTED = 130


def plain(words: object, style: str = "") -> Text:
    """Return words as text in which brackets are no markup and control codes are spelt out."""
    shown = (c if c.isprintable() else ascii(c)[1:-1] for c in str(words))
    return Text("".join(shown), style)


def say(console: Console, *parts: object) -> None:
    """Print one line that is not broken; what is not yet styled is shown as it is."""
    texts = (part if isinstance(part, Text) else plain(part) for part in parts)
    console.print(Text.assemble(*texts), highlight=False, soft_wrap=True)


def show(console: Console, result: Shown) -> None:
    """Print a result as its table."""
    for line in result.to_text().splitlines():
        say(console, line)


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
