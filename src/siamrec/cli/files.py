"""Options of every command that reads feedback from files, and `siamrec look`."""

from __future__ import annotations

import inspect
import json
import shutil
import sys
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console

from siamrec.cli.door import one_line, say, show
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from siamrec.feedback import FileFeedback

_ROLES = (
    "user", "item", "value", "time", "kind", "weight", "position", "propensity", "decision",
    "query", "impressions",
)  # fmt: skip
_PANEL = "How the feedback is written"


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_PANEL)


def _options(
    user: Annotated[str | None, _option("Column of user ids.")] = None,
    item: Annotated[str | None, _option("Column of item ids.")] = None,
    value: Annotated[str | None, _option("Column of ratings.")] = None,
    time: Annotated[str | None, _option("Column of times.")] = None,
    kind: Annotated[
        str | None, _option("Column of kinds of events, or a kind for all rows: click.")
    ] = None,
    weight: Annotated[str | None, _option("Column of weights, such as plays.")] = None,
    position: Annotated[str | None, _option("Column of places in a list, from 1.")] = None,
    propensity: Annotated[str | None, _option("Column of propensities.")] = None,
    decision: Annotated[str | None, _option("Column of ids of decisions.")] = None,
    query: Annotated[str | None, _option("Column of query texts.")] = None,
    impressions: Annotated[
        str | None, _option("Column of lists shown, such as 'N1-1 N2-0'.")
    ] = None,
    columns: Annotated[
        str | None, _option("Names of the columns of a file without a header: user,item,rating.")
    ] = None,
    delimiter: Annotated[str | None, _option("What stands between values; \\t is a tab.")] = None,
    quote: Annotated[
        str | None, _option("What stands around values; '' where quotes are letters.")
    ] = None,
    encoding: Annotated[str | None, _option("How letters are written, if not UTF-8.")] = None,
    decimal: Annotated[str | None, _option("What stands before fractions: . or ,")] = None,
    time_unit: Annotated[
        str | None, _option("What numbers of times count: s, ms, us, ns.")
    ] = None,
    time_format: Annotated[
        str | None, _option("How texts of times are written: %d/%m/%Y %H:%M.")
    ] = None,
    kinds: Annotated[
        str | None, _option("What words of --kind mean: view=view,addtocart=conversion,x=skip.")
    ] = None,
    not_rated: Annotated[
        str | None, _option("Values that say that nothing was rated: 0,-1,99.")
    ] = None,
    scale: Annotated[
        str | None, _option("Smallest and largest rating: 1..10; likes and dislikes follow it.")
    ] = None,
    wide: Annotated[  # noqa: FBT002
        bool, _option("Each further column is an item, each cell a rating.", "--wide")
    ] = False,
    marks: Annotated[
        str | None, _option("Further events of a row: is_like=like,play_ms=dwell/1000.")
    ] = None,
    ids: Annotated[
        str | None, _option("Ids as they are written, or all as text or number.")
    ] = None,
    where: Annotated[
        str | None, _option("Rows to take: \"country == 'TH' and rank < 10\".")
    ] = None,
    format_: Annotated[
        str | None, _option("Known format, such as movielens-100k; else recognised.", "--format")
    ] = None,
) -> dict[str, Any]:
    """Return the options as they were given."""
    return dict(locals())


def reads_files(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of files, which reach it as one mapping `written`."""
    shared = inspect.signature(_options).parameters
    own = inspect.signature(command)

    @wraps(command)
    def run(**given: Any) -> None:
        written = _options(**{name: given.pop(name) for name in shared})
        command(**given, written=written)

    kept = [each for name, each in own.parameters.items() if name != "written"]
    keyword = inspect.Parameter.KEYWORD_ONLY
    hints = {**get_type_hints(command, include_extras=True)}
    hints |= get_type_hints(_options, include_extras=True)
    both = [
        each.replace(kind=keyword, annotation=hints[each.name])
        for each in (*kept, *shared.values())
    ]
    run.__signature__ = own.replace(parameters=both)  # type: ignore[attr-defined]
    run.__annotations__ = {name: hint for name, hint in hints.items() if name != "written"}
    return run


def source_of(
    files: Sequence[Path], written: Mapping[str, Any], *, ids: str = "written"
) -> FileFeedback:
    """Return the source that the options describe.

    Args:
        files: Files, folders or patterns.
        written: The options.
        ids: How ids are read where the options do not say.

    Raises:
        InvalidParameterError: If an option cannot be read.
    """
    from siamrec.feedback import FileFeedback  # NumPy takes its time

    given = {name: value for name, value in written.items() if value is not None}
    delimiter = given.get("delimiter")
    return FileFeedback(
        path=files[0] if len(files) == 1 else list(files),
        columns={role: given[role] for role in _ROLES if role in given},
        header=_listed(given.get("columns")),
        delimiter="\t" if delimiter == "\\t" else delimiter,
        kinds=_pairs("--kinds", given.get("kinds")),
        marks=_pairs("--marks", given.get("marks")),
        not_rated=[_number("--not-rated", each) for each in _listed(given.get("not_rated"))],
        scale=_scale(given.get("scale")),
        wide=written["wide"],
        ids=given.get("ids", ids),
        format=given.get("format_"),
        **{
            name: given[name]
            for name in ("quote", "encoding", "decimal", "time_unit", "time_format", "where")
            if name in given
        },
    )


def _listed(text: str | None) -> list[str]:
    return [] if text is None else [each.strip() for each in text.split(",") if each.strip()]


def _pairs(option: str, text: str | None) -> dict[str, str]:
    pairs = [each.rpartition("=") for each in _listed(text)]
    if not all(name and said for name, _, said in pairs):
        raise InvalidParameterError(option, text, "pairs such as view=view,addtocart=conversion")
    return {name.strip(): said.strip() for name, _, said in pairs}


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidParameterError(option, text, "numbers such as 0,-1,99") from None


def _scale(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    low, dots, high = text.partition("..")
    if not dots:
        raise InvalidParameterError("--scale", text, "two numbers such as 1..10")
    return _number("--scale", low), _number("--scale", high)


@contextmanager
def paths_of(files: Sequence[str]) -> Iterator[list[Path]]:
    """Return files as paths; `-` is what comes through standard input, kept for the time being."""
    if "-" not in files:
        yield [Path(each) for each in files]
        return
    with TemporaryDirectory() as folder:
        inside = Path(folder) / "standard-input"
        with inside.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target)
        yield [inside if each == "-" else Path(each) for each in files]


@reads_files
def look(
    *,
    files: Annotated[
        list[str],
        typer.Argument(help="Files, folders, patterns, or - for standard input."),
    ],
    rows: Annotated[int, typer.Option(help="How many rows to show as read.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    written: dict[str, Any],
) -> None:
    """Show what would be read from files of feedback: columns, kinds, times, bad rows."""
    console = Console()
    with one_line(console), paths_of(files) as paths:
        loaded = source_of(paths, written).load()
        first = loaded.feedback[: max(rows, 0)]
        if as_json:
            told = {"report": json.loads(loaded.to_json()), "first": json.loads(first.to_json())}
            typer.echo(json.dumps(told, ensure_ascii=False))
            return
        show(console, loaded)
        if len(first):
            say(console, "")
            show(console, first)
