"""The `siamrec` command."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from siamrec.errors import InvalidParameterError, SiamrecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from siamrec.lifecycle import CycleReport, LoopEvent
    from siamrec.storage import Store

app = typer.Typer(
    name="siamrec",
    help="Turn user feedback into a better recommender, with proof.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

database = typer.Typer(name="db", help="Look after the database of a store.", no_args_is_help=True)
app.add_typer(database)

_HEADS = {"long_tail_share@10": "long tail"}
_BAD_INPUT = 2
_INTERRUPTED = 130


@app.callback()
def _root() -> None:
    """Turn user feedback into a better recommender, with proof."""


@app.command()
def improve(
    feedback: Annotated[
        Path | None, typer.Option(help="Ratings: CSV, JSON lines or Parquet, gzipped or not.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Items with texts: CSV, JSON lines or Parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/first"),
    db: Annotated[
        str | None, typer.Option(help="Database URL of the event log [default: a file in --out].")
    ] = None,
    model: Annotated[
        str, typer.Option(help="Text encoder: a registered name, a hub name or a local path.")
    ] = "all-MiniLM-L6-v2",
    strategy: Annotated[
        str,
        typer.Option(
            help="'adapter' trains a head in seconds; 'full', 'top-layers' and 'lora' the encoder."
        ),
    ] = "adapter",
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 7,
    positive: Annotated[float, typer.Option(help="Smallest rating that is a like.")] = 4.0,
    rating_min: Annotated[float, typer.Option(help="Smallest valid rating.")] = 0.0,
    rating_max: Annotated[float, typer.Option(help="Largest valid rating.")] = 5.0,
    holdout: Annotated[float, typer.Option(help="Share of users that test.")] = 0.2,
    cold_share: Annotated[float, typer.Option(help="Share of items hidden in training.")] = 0.1,
    k: Annotated[int, typer.Option(help="Length of the lists in replayed traffic.")] = 10,
    serving: Annotated[
        str | None, typer.Option(help="Arm that serves today [default: as registered].")
    ] = None,
    max_rejected: Annotated[
        float, typer.Option(help="Largest share of bad rows that is put up with.")
    ] = 0.05,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Further arm by name, such as ease:l2=300; may be repeated."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Column of user ids in --feedback.")] = None,
    item: Annotated[str | None, typer.Option(help="Column of item ids in --feedback.")] = None,
    value: Annotated[str | None, typer.Option(help="Column of ratings in --feedback.")] = None,
    time: Annotated[str | None, typer.Option(help="Column of times in --feedback.")] = None,
    items_id: Annotated[str | None, typer.Option(help="Column of item ids in --items.")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Column of --items for the text; may be repeated.")
    ] = None,
) -> None:
    """Run one improvement cycle; without --feedback on simulated data.

    A run that was interrupted goes on when it is called again with the same --out.
    """
    console = Console()
    arguments: dict[str, Any] = {"out": out, "seed": seed, "strategy": strategy}
    arguments |= {"positive": positive, "holdout": holdout, "cold_share": cold_share, "k": k}
    arguments |= {"serving": serving, "max_rejected": max_rejected, "store": db}
    columns = {"user": user, "item": item, "value": value, "time": time}
    with _one_line(console, out):
        arguments |= _material(feedback, items, columns, (rating_min, rating_max), items_id, text)
        report = _run(console, {**arguments, "encoder": model}, arm or [])
    _show(console, report)


def _material(
    feedback: Path | None,
    items: Path | None,
    columns: Mapping[str, str | None],
    rating_range: tuple[float, float],
    items_id: str | None,
    text: list[str] | None,
) -> dict[str, Any]:
    from siamrec.feedback import FileFeedback, read_catalog  # NumPy takes its time

    if feedback is None:
        if items is not None:
            raise InvalidParameterError("--items", str(items), "given together with --feedback")
        return {}
    if items is None:
        raise InvalidParameterError(
            "--items", None, "a file with item ids and texts, given together with --feedback"
        )
    named = {role: name for role, name in columns.items() if name is not None}
    return {
        "source": FileFeedback(path=feedback, columns=named, rating_range=rating_range),
        "catalog": read_catalog(items, item=items_id, text=text or ()),
    }


def _run(console: Console, arguments: dict[str, Any], arms: list[str]) -> CycleReport:
    with console.status("Loading …"):
        from siamrec.lifecycle import ImprovementLoop  # torch takes seconds

        _quiet_libraries()
    progress = Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}"),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def show(event: LoopEvent) -> None:
        if event.kind == "activated":
            return  # the step's own line says what is in use
        if event.step not in tasks:
            tasks[event.step] = progress.add_task(event.step, total=1.0, line="")
        progress.update(tasks[event.step], completed=event.done, line=event.message)
        if event.message and not console.is_terminal:
            console.print(f"{event.step:>10}  {event.message}", highlight=False, soft_wrap=True)

    with progress:
        return ImprovementLoop(**arguments, arms=arms, observers=[show]).run()


def _quiet_libraries() -> None:
    """Model loaders draw progress bars of their own, in the middle of ours."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _show(console: Console, report: CycleReport) -> None:
    summary = report.summary()
    metric = summary["tuning"]["metric"]
    if summary["data"]["simulated"]:
        console.print("[yellow]Simulated data:[/] users, items and ratings are made up.")
    table = Table(title=f"{summary['split']['held_out_users']:,} held-out users, 95 % intervals")
    table.add_column("arm", no_wrap=True)
    shown = [
        name for name in (metric, "recall@20", "long_tail_share@10") if name in _first(summary)
    ]
    for name in (*shown, f"{metric} cold"):
        table.add_column(_HEADS.get(name, name), justify="right")
    for name, arm in report.arms.items():
        cells = [_cell(arm.metrics[each]) for each in shown]
        cold = _cell(arm.cold[metric]) if metric in arm.cold else "–"
        table.add_row(name, *cells, cold)
    console.print(table)
    colour = "green" if report.verdict == "ship" else "yellow"
    console.print(f"Tuned encoder: [bold {colour}]{report.verdict}[/]")
    for reason in report.reasons:
        console.print(f"  {reason}", highlight=False, soft_wrap=True)
    experiment = report.experiment
    console.print(
        f"A/B test, bandit against {experiment['control']}: [bold]{experiment['decision']}[/]"
    )
    console.print(f"Report: {report.out / 'report.html'}", highlight=False, soft_wrap=True)


def _first(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", next(iter(summary["arms"].values())))


def _cell(measured: Any) -> str:
    low, high = measured.interval
    return f"{measured.mean:.3f} [dim]{low:.3f}–{high:.3f}[/]"


@app.command()
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
    with _one_line(Console()):
        from siamrec.plugins import default_registry  # loads every plugin
        from siamrec.plugins._listing import shown

        told = shown(default_registry(), kind=kind, name=name, as_json=as_json, checks=check)
    typer.echo(told.text)
    if told.amiss:
        raise typer.Exit(1)


new = typer.Typer(name="new", help="Begin something of your own.", no_args_is_help=True)
new.callback()(lambda: None)  # one command alone would take the place of the group
app.add_typer(new)


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
    with _one_line(Console()):
        from siamrec.plugins._scaffold import write_plugin  # loads the room of the kind

        target = write_plugin(name, kind=kind, folder=folder)
    typer.echo(f"{target} written. Try it: cd {target} && pip install -e '.[dev]' && pytest")


_Db = Annotated[
    str, typer.Option("--db", envvar="SIAMREC_DB", help="Database: a URL, or a SQLite file.")
]
_Archive = Annotated[
    Path | None, typer.Option(help="Folder of sealed files [default: beside a SQLite file].")
]


def _url(db: str) -> str:
    return db if "://" in db else f"sqlite:///{db}"


@contextmanager
def _opened(db: str, archive: Path | None = None) -> Iterator[Store]:
    """Open a database that is there; one that is not would be made by a mistyped name."""
    from siamrec.storage import Store, inspected  # SQLAlchemy takes its time

    found = inspected(_url(db))
    if found.state == "empty":
        raise InvalidParameterError("--db", db, "a database with the tables of siamrec")
    store = Store(_url(db), archive=archive)
    try:
        yield store
    finally:
        store.close()


@database.command()
def upgrade(db: _Db = "siamrec.db") -> None:
    """Bring a database to the newest revision, or make a new one."""
    console = Console()
    with _one_line(console):
        from siamrec.storage import Store, inspected

        Store(_url(db)).close()
        found = inspected(_url(db))
    console.print(f"{found.url}: revision {found.revision}", highlight=False, soft_wrap=True)


@database.command()
def check(db: _Db = "siamrec.db") -> None:
    """Show revision, rows and damage, and change nothing; exit code 1 if something is amiss."""
    console = Console()
    with _one_line(console):
        from siamrec.storage import inspected

        found = inspected(_url(db))
    said = {
        "current": "is up to date",
        "old": f"is older than {found.newest}: run `siamrec db upgrade`",
        "newer": "was made by a newer version of siamrec: upgrade siamrec",
        "empty": "has no tables of siamrec: run `siamrec db upgrade`",
    }[found.state]
    console.print(
        f"{found.url}: revision {found.revision} {said}", highlight=False, soft_wrap=True
    )
    table = Table("table", "rows")
    for name, n_rows in found.counts.items():
        table.add_row(name, f"{n_rows:,}")
    if found.counts:
        console.print(table)
    for line in found.damage:
        console.print(f"[red]Damaged:[/] {line}", highlight=False, soft_wrap=True)
    if found.damage or found.state != "current":
        raise typer.Exit(1)


@database.command()
def verify(
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    bandits: Annotated[
        str | None,
        typer.Option(help="Function 'module:name' that opens your bandits on the store given."),
    ] = None,
) -> None:
    """Check that all derived state is the fold of the log, and sealed files are as sealed."""
    console = Console()
    with _one_line(console), _opened(db, archive) as store:
        if bandits is not None:
            _named(bandits)(store)
        found = store.verify()
    for name, n_sums in found.checked.items():
        console.print(f"{name}: {n_sums:,} sums agree with the log", highlight=False)
    for name in found.unchecked:
        console.print(f"[yellow]{name}: not checked[/], open it with --bandits", highlight=False)
    console.print(f"archive: {found.archived:,} events as sealed", highlight=False)


@database.command("archive")
def archive_events(
    before: Annotated[
        str, typer.Option(help="Date or time such as 2026-01-31, or an age such as 90d.")
    ],
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    segment_rows: Annotated[int, typer.Option(help="Most events in one file.")] = 100_000,
) -> None:
    """Move old events into sealed Parquet files; they stay part of the log."""
    console = Console()
    with _one_line(console):
        instant = _instant(before)
        with _opened(db, archive) as store:
            sealed = store.archive(instant, segment_rows=segment_rows)
    console.print(f"{sealed.n_events:,} events in {len(sealed.segments)} new files")
    if sealed.held_by:
        console.print(f"Old events wait for {', '.join(sealed.held_by)}.", soft_wrap=True)


@database.command()
def erase(
    user: Annotated[str, typer.Argument(help="Id of the user.")],
    db: _Db = "siamrec.db",
    archive: _Archive = None,
    number: Annotated[bool, typer.Option(help="The id is a whole number, not text.")] = False,  # noqa: FBT002
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Erase a user from the log and the archive; decisions for the user are kept for nobody."""
    console = Console()
    with _one_line(console):
        if number and not user.removeprefix("-").isdecimal():
            raise InvalidParameterError("user", user, "a whole number with --number")
        if not yes:
            typer.confirm(
                f"Erase {user!r} from {_url(db).rpartition('@')[2]} for ever?", abort=True
            )
        with _opened(db, archive) as store:
            done = store.erase(int(user) if number else user)
    console.print(
        f"{done.n_events:,} events erased, {done.n_segments} files written anew, "
        f"{done.n_redacted} snapshots redacted, {done.n_decisions:,} decisions detached",
        highlight=False,
        soft_wrap=True,
    )


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


@contextmanager
def _one_line(console: Console, out: Path | None = None) -> Iterator[None]:
    """Turn errors made on purpose into one line, and an interruption into a way to go on."""
    try:
        yield
    except SiamrecError as error:
        line = Text.assemble(("Error: ", "red"), str(error))
        Console(stderr=True).print(line, highlight=False, soft_wrap=True)
        raise typer.Exit(_BAD_INPUT) from None
    except KeyboardInterrupt:
        again = "" if out is None else f" Call again with --out {out} to go on."
        console.print(f"Interrupted.{again}")
        raise typer.Exit(_INTERRUPTED) from None


def main() -> None:
    """Run the command."""
    # Idle threads sleep rather than spin: on a busy machine spinning costs several times the work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="siamrec")
