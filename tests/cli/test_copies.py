"""`siamrec export`, `import`, `backup` and `restore`: what the numbers say is what is there."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.feedback import FileFeedback, read_catalog
from siamrec.lifecycle import Placement, Workspace
from siamrec.storage import Store

if TYPE_CHECKING:
    from pathlib import Path

runner = CliRunner()


def told(*args: object) -> dict[str, Any]:
    """Run a command with --json and return what it printed."""
    found = runner.invoke(app, [*map(str, args), "--json"])
    assert found.exit_code == 0, found.output
    read: dict[str, Any] = json.loads(found.output)
    return read


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A trained workspace with two clicks on a list."""
    place = tmp_path / "shop.db"
    with Workspace(f"sqlite:///{place}", salt="copies") as ws:
        numbers = range(60)
        ws.feedback.write(
            Feedback.of(
                user=[f"u{n % 9}" for n in numbers], item=[f"i{n % 13}" for n in numbers],
                kind="click", time=[10**18 + n for n in numbers],
            )
        )  # fmt: skip
        columns: dict[str, list[Any]] = {
            "stock": [3, None, 0], "new": [True, None, False], "name": ["0123", "a|b", None],
            "genres": [("a", "b"), None, ("c",)], "released": [10**18, None, 5],
            "price": [1.5, 2.0, None],
        }  # fmt: skip
        goods = Catalog(
            items=Vocabulary(("i1", "i2", "neu")), text=("A b", None, "Ü"), attributes=columns
        )
        ws.catalog.write(goods)
        ws.catalog.hide("i2", reason="recalled")
        home = ws.place(
            Placement(name="home", arms={"svd": "pure-svd:factors=2", "top": "popularity"}, k=4)
        )
        ws.activate("home", ws.train("home").release, reason="the first")
        shown = home.recommend("u1", request="r1")
        ws.feedback.click(shown, shown.items[0])
    return place


def test_what_is_exported_is_read_back_equal_and_counted(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = told("export", out, "--db", shop)
    assert (made["events"], made["items"]) == (61, 3)
    with closing(Store(f"sqlite:///{shop}")) as store:
        events, items = store.feedback.read_all(), store.catalog.read()
        counts = store.counts()
    loaded = FileFeedback(path=out / "feedback.parquet").load()
    assert loaded.feedback.fingerprint() == events.fingerprint()
    assert loaded.rejected == ()
    again = read_catalog(out / "catalog.parquet", text=("text",))
    assert again.items.ids == items.items.ids
    assert again.text == items.text
    assert {name: tuple(again.attributes[name]) for name in items.attributes} == {
        name: tuple(column) for name, column in items.attributes.items()
    }
    assert counts["event"] == 61
    refused = runner.invoke(app, ["export", str(out), "--db", str(shop)])
    assert refused.exit_code == 2


def test_an_import_tells_what_the_log_counts(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told("export", out, "--db", shop)
    other = tmp_path / "other.db"
    with Workspace(f"sqlite:///{other}") as ws:
        ws.feedback.write(
            Feedback.of(user=["u0", "u1"], item=["i0", "i1"], kind="click",
                        time=[10**18, 10**18 + 1])
        )  # fmt: skip
    args = ("import", out / "feedback.parquet", "--db", other,
            "--items", out / "catalog.parquet", "--text", "text")  # fmt: skip
    with closing(Store(f"sqlite:///{other}")) as store:
        before = store.counts()
        planned = told(*args, "--dry-run")
        assert store.counts() == before  # nothing was stored
        assert (planned["accepted"], planned["duplicates"], planned["items"]) == (59, 2, 3)
        done = told(*args)
        assert {**planned, "dry": done["dry"]} == done
        after = store.counts()
        assert after["event"] - before["event"] == done["accepted"]
        assert after["catalog_item"] - before["catalog_item"] == done["items"]
        assert done["rows"] == done["accepted"] + done["duplicates"]
        twice = told(*args)
        assert (twice["accepted"], twice["duplicates"], twice["items"]) == (0, 61, 0)
        assert store.counts() == after
        assert store.catalog.read().attributes["hidden"] == (None, "recalled", None)


def test_bad_rows_are_counted_by_reason(shop: Path, tmp_path: Path) -> None:
    rows = ["user,item,value,time", "a,x,4,5", "b,,4,5", "c,x,four,5", "d,x,5,6", "d,x,5,6"]
    file = tmp_path / "bad.csv"
    file.write_text("\n".join(rows))
    args = ("import", file, "--db", shop, "--time-unit", "s")
    planned, done = told(*args, "--dry-run"), told(*args)
    assert planned["rejected"] == done["rejected"]
    assert list(done["rejected"].values()) == [1, 1]
    assert (done["rows"], done["accepted"], done["duplicates"]) == (5, 2, 1)
    whole = tmp_path / "whole.csv"
    whole.write_text("user,item,value,time\n1,2,3,4\n")
    how = ("--time-unit", "s", "--ids", "number")  # a workspace of texts
    for extra in ((), ("--dry-run",)):
        refused = runner.invoke(app, [*map(str, ("import", whole, "--db", shop, *how, *extra))])
        assert refused.exit_code == 2
        assert "like the others" in refused.stderr
    missing = runner.invoke(app, ["import", str(file), "--db", str(tmp_path / "none.db")])
    assert missing.exit_code == 2


def test_a_restored_workspace_serves_the_same(shop: Path, tmp_path: Path) -> None:
    file, other = tmp_path / "b.zip", tmp_path / "elsewhere" / "app.db"
    other.parent.mkdir()
    with Workspace(f"sqlite:///{shop}") as serving:
        home = serving.placement("home")
        home.recommend("u2")
        made = told("backup", file, "--db", shop, "--with-blobs")
        assert made["blobs"] > 0
        home.recommend("u3")  # it goes on, and is no part of the backup
    back = told("restore", file, "--db", other)
    assert back["path"] == made["path"]
    users = [f"u{n}" for n in range(9)]
    with Workspace(f"sqlite:///{shop}") as ws, Workspace(f"sqlite:///{other}") as there:
        for each in (ws, there):
            each.verify()
        served = [
            [each.placement("home").recommend(user, request=f"after {user}", time=2 * 10**18)
             for user in users]
            for each in (ws, there)
        ]  # fmt: skip
        assert served[0] == served[1]
        assert there.placement("home").recommend("u1", request="r1").items
        assert len(there.versions("home")) == len(ws.versions("home"))
        assert there.registry.verify() is not None
    for args in (("restore", file, "--db", other), ("backup", file, "--db", shop)):
        refused = runner.invoke(app, [*map(str, args)])
        assert refused.exit_code == 2
        assert refused.stderr.count("\n") == 1
