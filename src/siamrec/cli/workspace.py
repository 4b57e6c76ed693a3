"""`siamrec recommend`, `train`, `status` …: a workspace from the command line."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import asdict
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from siamrec.cli.door import (
    BlobsOption,
    JsonOption,
    SchemaOption,
    WorkspaceOption,
    one_line,
    say,
    tell,
    url_there,
)
from siamrec.errors import InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from siamrec.lifecycle import Workspace

_Placement = Annotated[
    str | None, typer.Option(help="Which placement; not needed where there is one.")
]
_FOR_EVER = 2**62
_Since = Annotated[str | None, typer.Option(help="How far back to look, such as 7d.")]


@contextmanager
def _opened(db: str, schema: str | None, blobs: Path | None) -> Iterator[Workspace]:
    """Open a workspace that is there; one that is not would be made by a mistyped name."""
    from siamrec.lifecycle import Workspace  # torch takes its time

    with Workspace(url_there(db, schema), blobs=blobs, schema=schema) as workspace:
        yield workspace


def _named(workspace: Workspace, placement: str | None) -> str:
    names = workspace.placements()
    if placement is None and len(names) != 1:
        known = ", ".join(names) or "none yet"
        raise MissingInputError("--placement", f"--placement NAME; placements here: {known}")
    return names[0] if placement is None else placement


def _user(workspace: Workspace, text: str) -> Any:
    """Return an id as this workspace has it: a whole number where its users are."""
    try:
        workspace.user(text)
    except InvalidParameterError:
        if not text.lstrip("-").isdecimal():
            raise
        return int(text)
    return text


def recommend(
    users: Annotated[list[str], typer.Argument(help="Ids of users.")],
    db: WorkspaceOption = "siamrec.db",
    placement: _Placement = None,
    k: Annotated[int | None, typer.Option(help="Length of the lists.")] = None,
    request: Annotated[str | None, typer.Option(help="Id of the request.")] = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Serve a list to each user, and log it; nobody has seen it until somebody says so."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        home = workspace.placement(_named(workspace, placement))
        people = [_user(workspace, user) for user in users]
        for shown in home.recommend_many(people, k=k, request=request):
            tell(console, shown, as_json=as_json)


def train(
    db: WorkspaceOption = "siamrec.db",
    placement: _Placement = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a placement's arms, measure them beside what serves, and promote on evidence."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        tell(console, workspace.train(_named(workspace, placement)), as_json=as_json)


def status(
    db: WorkspaceOption = "siamrec.db",
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every placement and what serves there."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        tell(console, workspace, as_json=as_json)


def work(
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", help="Kind of jobs to do, such as retrain; may be repeated."),
    ] = None,
    threads: Annotated[int, typer.Option(help="Jobs that are done at once.")] = 1,
    pause: Annotated[str, typer.Option(help="Rest when there is nothing to do.")] = "10s",
    blobs: BlobsOption = None,
    *,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is left to do, as under cron.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train what is due, let bandits learn, and do the jobs that wait, until told to stop."""
    console, stop = Console(), Event()
    with one_line(console), _told_by(stop), _opened(db, schema, blobs) as workspace:
        until = None if once else _FOR_EVER
        worked = workspace.work(until, kinds=kinds, threads=threads, pause=pause, stop=stop)
        tell(console, worked, as_json=as_json)


@contextmanager
def _told_by(stop: Event) -> Iterator[None]:
    """Let the signals that end a process say so to a worker, which ends when its step is done."""
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(each, lambda *_: stop.set()) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def jobs(
    db: WorkspaceOption = "siamrec.db",
    schema: SchemaOption = None,
    status: Annotated[str | None, typer.Option(help="Such as waiting, running, failed.")] = None,
    n: Annotated[int, typer.Option("-n", help="Most jobs, the newest first.")] = 100,
    blobs: BlobsOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show the newest jobs: what they do, how far they are, and why they failed."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        from siamrec.lifecycle.jobs import jobs_table

        found = workspace.jobs.list(status=cast("Any", status), n=n)
        if as_json:
            for job in found:
                typer.echo(json.dumps(asdict(job)))
        else:
            for line in str(jobs_table(found, workspace.jobs.title())).splitlines():
                say(console, line)


def versions(
    db: WorkspaceOption = "siamrec.db",
    placement: _Placement = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the releases of a placement; the one in use has a mark."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        name = _named(workspace, placement)
        active = workspace.active(name)
        for version in workspace.versions(name):
            if as_json:
                typer.echo(
                    json.dumps(
                        {
                            "number": version.number,
                            "id": version.id,
                            "created": version.created,
                            "active": version.id == active,
                            "metrics": version.manifest["lineage"]["metrics"],
                        }
                    )
                )
            else:
                say(console, "* " if version.id == active else "  ", version.title())


def rollback(
    reason: Annotated[str, typer.Option(help="Why; kept with the change.")],
    db: WorkspaceOption = "siamrec.db",
    placement: _Placement = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Return to the release that served before, in every process at its next request."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        change = workspace.rollback(_named(workspace, placement), reason=reason)
        tell(console, change, as_json=as_json)


def measure(
    metrics: Annotated[list[str], typer.Argument(help="Such as ctr, coverage, gini@10.")],
    db: WorkspaceOption = "siamrec.db",
    by: Annotated[
        list[str] | None, typer.Option(help="Column to slice by, such as arm; may be repeated.")
    ] = None,
    placement: _Placement = None,
    since: _Since = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show metrics of what was seen, whole or by slice."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        found = workspace.measure(metrics, by=by or (), placement=placement, since=since)
        tell(console, found, as_json=as_json)


def what_if(
    policy: Annotated[
        str, typer.Argument(help="A policy such as beta-thompson, or weights: svd=0.7,top=0.3.")
    ],
    db: WorkspaceOption = "siamrec.db",
    placement: _Placement = None,
    since: _Since = None,
    blobs: BlobsOption = None,
    *,
    schema: SchemaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what another policy would have earned on the lists that were seen."""
    console = Console()
    with one_line(console), _opened(db, schema, blobs) as workspace:
        name = _named(workspace, placement)
        asked: Any = policy
        if "=" in policy and ":" not in policy:
            asked = _weights(policy)
        tell(console, workspace.what_if(asked, placement=name, since=since), as_json=as_json)


def _weights(text: str) -> dict[str, float]:
    weights = {}
    for part in text.split(","):
        arm, _, weight = part.partition("=")
        try:
            weights[arm.strip()] = float(weight)
        except ValueError:
            raise InvalidParameterError(
                "policy", text, "weights such as svd=0.7,top=0.3"
            ) from None
    return weights
