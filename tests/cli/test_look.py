"""`siamrec look`: what it shows, every option of files, and one line for what cannot be read."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.cli.files import _options
from siamrec.feedback import FileFeedback

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()
TEXT = "userId,movieId,rating,timestamp\nann,x,5,1767225600\nbob,y,many,1767225601\n"


def look(*arguments: object, **more: Any) -> Any:
    return runner.invoke(app, ["look", *map(str, arguments)], **more)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ratings.csv"
    path.write_text(TEXT)
    return path


def test_it_shows_what_would_be_read(file: Path) -> None:
    result = look(file)
    assert result.exit_code == 0, result.output
    for said in (
        "format", "movielens, by its columns", "userId", "2026-01-01T00:00:00",
        "set apart: rating is not a number", "rating is not a number: many", "ann   x     rating",
    ):  # fmt: skip
        assert said in result.output
    assert "bob" not in result.output.split("Feedback: 1 rating")[-1]


def test_json_holds_the_report_and_the_first_rows(file: Path) -> None:
    result = look(file, "--json", "--rows", 1)
    told = json.loads(result.stdout)
    report = {row["what"]: row["found"] for row in told["report"]["rows"]}
    assert (report["column of user"], report["rows"], report["set apart"]) == ("userId", 2, 1)
    assert [row["user"] for row in told["first"]["rows"]] == ["ann"]


def test_standard_input_is_a_file(file: Path) -> None:
    result = look("-", "--json", input=TEXT)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert "standard-input" in told["report"]["rows"][0]["found"]
    assert told["first"]["rows"][0]["user"] == "ann"
    both = look("-", file, "--json", input=TEXT)
    assert len(json.loads(both.stdout)["first"]["rows"]) == 2


OPTIONS: dict[str, tuple[str, list[str], list[tuple[Any, ...]]]] = {
    "roles": (
        "a;b;c;d\nann;x;4;2026-01-01\n",
        ["--user", "a", "--item", "b", "--value", "c", "--time", "d"],
        [("ann", "x", "rating", 4.0)],
    ),
    "no header": ("ann\tx\t4\n", ["--columns", "user,item,rating"], [("ann", "x", "rating", 4.0)]),
    "a tab by its name": (
        "user\titem\tnote,s\nann\tx\ta,b\n", ["--delimiter", "\\t"], [("ann", "x", "click", 1.0)],
    ),
    "letters": ("user^item\n'a^n'^x\n", ["--delimiter", "^", "--quote", "'"],
                [("a^n", "x", "click", 1.0)]),
    "kinds": (
        "user,item,event\nann,x,see\nann,y,bought\nann,z,noise\n",
        ["--kinds", "see=view,noise=skip"],
        [("ann", "x", "view", 1.0), ("ann", "y", "conversion", 1.0)],
    ),
    "one kind": ("user,item\nann,x\n", ["--kind", "view"], [("ann", "x", "view", 1.0)]),
    "plays": (
        "user,item,plays\nann,x,7\n", ["--kind", "click", "--weight", "plays"],
        [("ann", "x", "click", 1.0)],
    ),
    "not rated": (
        "user,item,score\nann,x,0\nann,y,-1\nann,z,3\n", ["--not-rated", "0,-1"],
        [("ann", "z", "rating", 3.0)],
    ),
    "a scale": (
        "user,item,score\nann,x,0\nann,y,11\n", ["--scale", "0..10"],
        [("ann", "x", "rating", 0.0)],
    ),
    "a wide table": ("user,x,y\nann,,5\n", ["--wide"], [("ann", "y", "rating", 5.0)]),
    "marks": (
        "user,item,like,ms\nann,x,1,2500\n",
        ["--kind", "view", "--marks", "like=like,ms=dwell/1000"],
        [("ann", "x", "view", 1.0), ("ann", "x", "thumb", 1.0), ("ann", "x", "dwell", 2.5)],
    ),
    "lists shown": (
        "user,seen\nann,x-1 y-0\n", ["--impressions", "seen"],
        [
            ("ann", "x", "impression", 1.0),
            ("ann", "x", "click", 1.0),
            ("ann", "y", "impression", 1.0),
        ],
    ),
    "times": (
        "user,item,on\nann,x,31/12/2025\n", ["--time", "on", "--time-format", "%d/%m/%Y"],
        [("ann", "x", "click", 1.0)],
    ),
    "a unit": (
        "user,item,ts\nann,x,12\n", ["--time-unit", "s"], [("ann", "x", "click", 1.0)],
    ),
    "fractions": (
        "user;item;rating\nann;x;3,5\n", ["--decimal", ","], [("ann", "x", "rating", 3.5)],
    ),
    "a filter": (
        "user,item,land\nann,x,TH\nbob,y,LA\n", ["--where", "land == 'LA'"],
        [("bob", "y", "click", 1.0)],
    ),
    "ids": ("user,item\n007,8\n", ["--ids", "number"], [(7, 8, "click", 1.0)]),
    "a format": (
        "user,item,kind,value,weight,time\nann,x,click,1,1,\n", ["--format", "siamrec"],
        [("ann", "x", "click", 1.0)],
    ),
    "more columns": (
        "user,item,a,b,c,d\nann,x,3,0.5,d1,red\n",
        ["--position", "a", "--propensity", "b", "--decision", "c", "--query", "d"],
        [("ann", "x", "click", 1.0)],
    ),
    "an encoding": (
        "user,item\nbób,x\n", ["--encoding", "utf-8"], [("bób", "x", "click", 1.0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_does_what_it_says(name: str, tmp_path: Path) -> None:
    text, arguments, expected = OPTIONS[name]
    path = tmp_path / "log"
    path.write_text(text)
    result = look(path, "--json", *arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["first"]["rows"]
    found = [(row["user"], row["item"], row["kind"], row["value"]) for row in rows]
    assert found == expected


def test_every_setting_of_files_is_an_option() -> None:
    options = set(inspect.signature(_options).parameters)
    settings = {field.name for field in fields(FileFeedback)}
    assert settings - options - {"path", "context", "header", "columns", "format"} == set()
    tried = {
        word for _, arguments, _ in OPTIONS.values() for word in arguments if word[:2] == "--"
    }
    named = {f"--{name.strip('_').replace('_', '-')}" for name in options}
    assert named - tried == set()


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("", [], "is empty"),
        ("who,what\na,b\n", [], "No column stands for the user; .* --user"),
        (TEXT, ["--user", "usrId"], "Did you mean 'userId'"),
        (TEXT, ["--scale", "5"], "--scale must be two numbers such as 1..10"),
        (TEXT, ["--kinds", "view"], "--kinds must be pairs"),
        (TEXT, ["--not-rated", "none"], "--not-rated must be numbers"),
        (TEXT, ["--kinds", "a=vew"], "No kind is named 'vew'. Did you mean 'view'"),
        (TEXT, ["--format", "movelens"], "Did you mean 'movielens"),
        (TEXT, ["--time-unit", "m"], "No time_unit is named 'm'"),
        (TEXT, ["--where", "rating >"], "where|expression"),
        (TEXT, ["--ids", "words"], "No ids is named 'words'"),
    ],
)
def test_what_cannot_be_read_is_one_line(
    text: str, arguments: list[str], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    result = look(path, *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr), result.stderr
    assert result.stdout == ""


def test_control_codes_of_a_header_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("user,item,\x1b[31mred\nann,x,1\n")
    result = look(path)
    assert "\x1b" not in result.output
    assert "\\x1b[31mred" in result.output
