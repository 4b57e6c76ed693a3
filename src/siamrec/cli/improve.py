"""`siamrec improve`: one improvement cycle, with its progress and its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from siamrec.cli.door import one_line, say, show
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.lifecycle import CycleReport, LoopEvent


def improve(
    feedback: Annotated[
        Path | None, typer.Option(help="Ratings: CSV, JSON lines or Parquet, gzipped or not.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Items with texts: CSV, JSON lines or Parquet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/first"),
    db: Annotated[
        str | None,
        typer.Option(help="Database URL of the event log.", show_default="a file in --out"),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Text encoder: a registered name, a hub name or a local path.")
    ] = "all-MiniLM-L6-v2",
    strategy: Annotated[
        str,
        typer.Option(
            help="'adapter' trains a head in seconds; 'full', 'top-layers' and 'lora' the encoder;"
            " with settings: lora:rank=8."
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
        str | None, typer.Option(help="Arm that serves today.", show_default="as registered")
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
    arguments: dict[str, Any] = {"out": out, "seed": seed, "strategy": strategy, "store": db}
    judging: dict[str, Any] = {"positive": positive, "holdout": holdout, "cold_share": cold_share}
    judging |= {"k": k, "serving": serving, "max_rejected": max_rejected}
    columns = {"user": user, "item": item, "value": value, "time": time}
    with one_line(console, out):
        arguments |= _material(feedback, items, columns, (rating_min, rating_max), items_id, text)
        report = _run(console, {**arguments, "encoder": model}, judging, arm or [])
    if report.summary()["data"]["simulated"]:
        console.print("[yellow]Simulated data:[/] users, items and ratings are made up.")
    show(console, report)
    say(console, f"Report: {report.out / 'report.html'}")


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


def _run(
    console: Console, arguments: dict[str, Any], judging: dict[str, Any], arms: list[str]
) -> CycleReport:
    with console.status("Loading …"):
        from siamrec.lifecycle import Host, ImprovementLoop, Judging  # torch takes seconds

        _quiet_libraries()
    progress = Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[line]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def tell(event: LoopEvent) -> None:
        if event.kind == "activated":
            return  # the step's own line says what is in use
        if event.step not in tasks:
            tasks[event.step] = progress.add_task(event.step, total=1.0, line="")
        progress.update(tasks[event.step], completed=event.done, line=event.message)
        if event.message and not console.is_terminal:
            say(console, f"{event.step:>10}  {event.message}")

    with progress:
        loop = ImprovementLoop(
            **arguments, judging=Judging(**judging), arms=arms, host=Host(observers=[tell])
        )
        return loop.run()


def _quiet_libraries() -> None:
    """Model loaders draw progress bars of their own, in the middle of ours."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
