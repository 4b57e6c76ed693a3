"""`siamrec improve`: one improvement cycle, with its progress and its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from siamrec.cli.door import SchemaOption, one_line, plain, say, show, url_of
from siamrec.cli.files import paths_of, reads_files, source_of
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.feedback import FileFeedback
    from siamrec.lifecycle import CycleReport, LoopEvent


@reads_files
def improve(
    *,
    feedback: Annotated[
        list[str] | None,
        typer.Option(
            help="Feedback: CSV, JSON, Parquet or Arrow, packed or not; may be repeated."
        ),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Items with texts: CSV, JSON, Parquet or Arrow.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/first"),
    db: Annotated[
        str | None,
        typer.Option(
            help="Database of the event log: a URL, or a SQLite file.",
            show_default="a file in --out",
        ),
    ] = None,
    schema: SchemaOption = None,
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
    positive: Annotated[
        float | None,
        typer.Option(help="Smallest rating that is a like.", show_default="follows the scale"),
    ] = None,
    holdout: Annotated[float, typer.Option(help="Share of users that test.")] = 0.2,
    cold_share: Annotated[float, typer.Option(help="Share of items hidden in training.")] = 0.1,
    k: Annotated[int, typer.Option(help="Length of the lists in replayed traffic.")] = 10,
    serving: Annotated[
        str | None, typer.Option(help="Arm that serves today.", show_default="as registered")
    ] = None,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Go on from the encoder in use, not the base.")
    ] = False,
    max_rejected: Annotated[
        float, typer.Option(help="Largest share of bad rows that is put up with.")
    ] = 0.05,
    arm: Annotated[
        list[str] | None,
        typer.Option(help="Further arm by name, such as ease:l2=300; may be repeated."),
    ] = None,
    items_id: Annotated[str | None, typer.Option(help="Column of item ids in --items.")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Column of --items for the text; may be repeated.")
    ] = None,
    written: dict[str, Any],
) -> None:
    """Run one improvement cycle; without --feedback on simulated data.

    A run that was interrupted goes on when it is called again with the same --out.
    """
    console = Console()
    arguments: dict[str, Any] = {"out": out, "seed": seed, "strategy": strategy}
    judging: dict[str, Any] = {"holdout": holdout, "cold_share": cold_share, "k": k}
    judging |= {"serving": serving, "warm_start": warm_start, "max_rejected": max_rejected}
    with one_line(console, out), paths_of(feedback or []) as files:
        material = _material(files, items, written, items_id, text)
        judging["positive"] = _liked(material.get("source")) if positive is None else positive
        arguments |= {**material, "encoder": model, "store": None if db is None else url_of(db)}
        report = _run(console, arguments, judging, arm or [], schema)
    if report.summary()["data"]["simulated"]:
        console.print("[yellow]Simulated data:[/] users, items and ratings are made up.")
    show(console, report)
    say(console, f"Report: {report.out / 'report.html'}")


def _material(
    feedback: Sequence[Path],
    items: Path | None,
    written: Mapping[str, Any],
    items_id: str | None,
    text: list[str] | None,
) -> dict[str, Any]:
    from siamrec.feedback import read_catalog  # NumPy takes its time

    if not feedback:
        if items is not None:
            raise InvalidParameterError("--items", str(items), "given together with --feedback")
        return {}
    if items is None:
        raise InvalidParameterError(
            "--items", None, "a file with item ids and texts, given together with --feedback"
        )
    source = source_of(feedback, written, ids="text")
    catalog = read_catalog(items, item=items_id, text=text or (), ids=source.ids)
    return {"source": source, "catalog": catalog}


def _liked(source: FileFeedback | None) -> float:
    """Return the smallest rating that is a like, as the scale has it; 1 where nothing is rated."""
    from siamrec.feedback import Scale

    if source is None:
        return 4.0
    scale = source.load().scale if source.scale is None else Scale(*source.scale)
    return 1.0 if scale is None else scale.like


def _run(
    console: Console,
    arguments: dict[str, Any],
    judging: dict[str, Any],
    arms: list[str],
    schema: str | None,
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
        message = event.message + (" (done before)" if event.kind == "skipped" else "")
        progress.update(tasks[event.step], completed=event.done, line=plain(message))
        if event.message and not console.is_terminal:
            say(console, f"{event.step:>10}  {message}")

    with progress:
        loop = ImprovementLoop(
            **arguments,
            judging=Judging(**judging),
            arms=arms,
            host=Host(observers=[tell], schema=schema),
        )
        return loop.run()


def _quiet_libraries() -> None:
    """Model loaders draw progress bars of their own, in the middle of ours."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
