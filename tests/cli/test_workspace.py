"""A workspace from the command line: every command, as a table and as JSON, and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from siamrec import Workspace
from siamrec.cli import app
from siamrec.lifecycle import Placement, Retraining
from siamrec.simulation import World

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("workspace") / "app.db"
    world = World(n_users=120, n_items=60, ratings_per_user=20).simulate(np.random.default_rng(4))
    with Workspace(f"sqlite:///{path}", salt="command") as ws:
        ws.feedback.write(world.feedback)
        ws.catalog.write(world.catalog)
        ws.place(Placement(name="home", arms={"svd": "pure-svd:factors=4", "top": "popularity"}))
    return path


def run(db: Path, *words: str) -> Any:
    return runner.invoke(app, [*words, "--db", str(db)], env={"COLUMNS": "300"})


def test_a_day_with_the_command(db: Path) -> None:
    assert "no release serves yet" in run(db, "recommend", "person-0001").output
    trained = run(db, "train", "--json")
    assert trained.exit_code == 0, trained.output
    assert json.loads(trained.output)["verdict"] == "promoted"
    shown = run(db, "recommend", "person-0001", "person-0002", "--k", "3", "--json")
    first, second = map(json.loads, shown.output.splitlines())
    assert (first["user"], len(second["items"])) == ("person-0001", 3)
    again = run(db, "recommend", "person-0001", "--request", "r", "--json").output
    assert run(db, "recommend", "person-0001", "--request", "r", "--json").output == again
    with Workspace(f"sqlite:///{db}") as ws:
        for each in (first, second):
            ws.feedback.seen(each["id"])
        ws.feedback.click(first["id"], first["items"][0])
    assert "home" in run(db, "status").output
    measured = run(db, "measure", "ctr", "coverage", "--by", "arm", "--since", "1d")
    assert measured.exit_code == 0, measured.output
    assert "ctr" in measured.output
    early = run(db, "what-if", "svd=1", "--json")
    assert early.exit_code == 2
    assert "a window that is over" in early.output
    (row,) = run(db, "versions", "--json").output.splitlines()
    assert json.loads(row)["active"]
    assert "* Version 1" in run(db, "versions").output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("recommend", "person-0001", "person-0001"), "users"),
        (("train", "--placement", "hom"), "No placement is named 'hom'"),
        (("rollback", "--reason", "bad luck"), "no earlier version"),
        (("measure", "crt"), "No metric is named 'crt'"),
        (("what-if", "svd=much"), "weights such as"),
        (("what-if", "beta-thomson"), "beta-thompson"),
    ],
)
def test_bad_input_is_one_line(db: Path, words: tuple[str, ...], told: str) -> None:
    done = run(db, *words)
    assert done.exit_code == 2
    assert told in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_a_mistyped_database_is_not_made(tmp_path: Path) -> None:
    done = run(tmp_path / "no.db", "status")
    assert (done.exit_code, "There is no database" in done.output) == (2, True)
    assert not (tmp_path / "no.db").exists()


def test_a_worker_trains_what_is_due_and_tells_what_it_did(db: Path) -> None:
    with Workspace(f"sqlite:///{db}") as ws:
        ws.place(
            Placement(name="due", arms={"top": "popularity"}, retraining=Retraining(every="6h"))
        )
        left = ws.store.jobs.start("of-a-newer-release", key="x")
    worked = run(db, "work", "--once", "--json")
    assert worked.exit_code == 0, worked.output
    rows = {row["what"]: row["n"] for row in json.loads(worked.output)["rows"]}
    assert (rows["started"], rows["done"]) == (1, 1)
    assert "No new event" in run(db, "status").output
    told = [json.loads(line) for line in run(db, "jobs", "--json").output.splitlines()]
    assert [(each["kind"], each["status"]) for each in told if each["id"] != left.id] == [
        ("retrain", "done")
    ]
    assert "of-a-newer-release wait for a handler" in run(db, "work", "--once").output
    assert run(db, "jobs", "--status", "waiting").output.count("waiting") == 1
    for words in (("work", "--kind", "retrian", "--once"), ("jobs", "--status", "runing")):
        refused = run(db, *words)
        assert refused.exit_code == 2
        assert "Did you mean" in refused.output


def test_a_worker_ends_when_it_is_told_to(db: Path) -> None:
    command = [sys.executable, "-m", "siamrec", "work", "--db", str(db), "--pause", "60s"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        with Workspace(f"sqlite:///{db}") as ws:
            job = ws.jobs.start("settle", key="told")
            for _ in range(600):
                if ws.jobs.get(job.id).status == "done":
                    break
                Event().wait(0.1)
            assert ws.jobs.get(job.id).status == "done"
        worker.terminate()
        out, _ = worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert "1 job done" in out
