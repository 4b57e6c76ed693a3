"""The command as a whole: help, version, completion, plugins, and the door that all share."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

import siamrec
from siamrec.bandits import BetaThompson
from siamrec.cli import app
from siamrec.cli.door import one_line, plain, say
from siamrec.errors import InvalidDataError
from siamrec.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner(env={"COLUMNS": "200"})


def command(*arguments: str, **environment: str) -> str:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "siamrec", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return done.stdout


def test_the_version_is_that_of_the_package() -> None:
    assert command("--version") == f"siamrec {siamrec.__version__}\n"
    assert runner.invoke(app, ["--version"]).output == f"siamrec {siamrec.__version__}\n"


def test_help_names_every_command() -> None:
    said = runner.invoke(app, ["--help"]).output
    assert all(word in said for word in ("improve", "plugins", "db", "--version", "completion"))
    assert "--max-rejected" in runner.invoke(app, ["improve", "--help"]).output


@pytest.mark.parametrize(
    ("arguments", "default"),
    [
        (("improve", "--help"), "a file in --out"),
        (("improve", "--help"), "as registered"),
        (("db", "verify", "--help"), "beside a SQLite file"),
    ],
)
def test_help_tells_what_is_taken_when_nothing_is_given(
    arguments: tuple[str, ...], default: str
) -> None:
    assert f"[default: ({default})]" in runner.invoke(app, arguments).output


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["improve", "--help"]])
def test_who_only_asks_waits_for_no_array(arguments: list[str]) -> None:
    code = (
        "import sys; from siamrec.cli import app; app(sys.argv[1:], standalone_mode=False)\n"
        "sys.stderr.write(str({'torch', 'numpy', 'sqlalchemy', 'pluggy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr == "set()"


@pytest.mark.parametrize(
    ("typed", "offered"), [("siamrec impr", "improve"), ("siamrec db v", "verify")]
)
def test_the_shell_completes_commands(typed: str, offered: str) -> None:
    asked = {"_SIAMREC_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    assert command(**asked, COMP_CWORD=str(typed.count(" "))).strip() == offered


def test_plugins_are_listed() -> None:
    result = runner.invoke(app, ["plugins"])
    assert result.exit_code == 0
    assert "  recommender: attention-mf, bias" in result.output
    assert "recommender" in result.output


def test_words_of_others_are_no_markup_and_move_no_cursor() -> None:
    assert plain("[/red] \x1b[2J a\nb \udc80 ä").plain == r"[/red] \x1b[2J a\nb \udc80 ä"
    console = Console(width=20)
    with console.capture() as shown:
        say(console, plain("Damaged: ", "red"), "[bold] in a line that is longer than the screen")
    assert shown.get() == "Damaged: [bold] in a line that is longer than the screen\n"


def test_an_error_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, one_line(Console()):
        raise InvalidDataError("column 'a\nb\x1b[31m' has no [name].")
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "Error: column 'a\\nb\\x1b[31m' has no [name].\n"


def test_a_bandit_may_be_named_like_markup(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path / 'log.db'}")
    bandit = store.bandit("[/red]", BetaThompson(), ("a", "b"))
    bandit.learn(bandit.select(unit="ann").id, reward=1.0)
    store.close()
    done = runner.invoke(app, ["db", "verify", "--db", str(tmp_path / "log.db")])
    assert (done.exit_code, "bandit:[/red]: not checked" in done.output) == (0, True)
