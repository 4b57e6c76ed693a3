"""What is installed, as lines and as JSON, and what is amiss."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from siamrec._core.book import Book
from siamrec.bandits import Policy
from siamrec.cli import app
from siamrec.errors import PluginError, UnknownNameError
from siamrec.models.recommenders import EASE, Popularity
from siamrec.plugins import Registry, hookimpl
from siamrec.plugins._listing import lines, listing, problems, shown

runner = CliRunner()


class Guest:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Any]:
        return {"fresh": Popularity, "odd": lambda size=3: size, "bad": lambda: 1 / 0}

    @hookimpl
    def siamrec_losses(self) -> dict[str, Any]:
        return {"plain": lambda model: model}

    @hookimpl
    def siamrec_experiment_decided(self, result: object) -> None:
        del result


def test_lines_are_whole_however_long() -> None:
    found = list(lines(listing(Registry(Guest()))))
    assert "Guest" in found
    assert "  recommender: bad, fresh, odd" in found
    assert "  hears: siamrec_experiment_decided" in found
    metrics = next(line for line in found if line.startswith("  metric: "))
    assert len(metrics) > 500
    assert "…" not in metrics


def test_one_kind_and_one_name() -> None:
    registry = Registry(Guest())
    by_kind = listing(registry, kind="pair-generator")
    assert [list(entry["parts"]) for entry in by_kind] == [["pair generator"]]
    by_name = listing(registry, name="ease")
    assert list(lines(by_name))[1:] == [
        f"  recommender ease: {(EASE.__doc__ or '').splitlines()[0]}",
        "    l2=500.0",
        "    positive=None",
        "    max_side=20000",
    ]
    assert by_name[0]["parts"]["recommender"]["ease"]["settings"][0] == "l2=500.0"
    with pytest.raises(UnknownNameError, match="No part is named 'eas'. Did you mean 'ease'"):
        listing(registry, name="eas")
    with pytest.raises(UnknownNameError, match="No kind of part is named 'recomender'"):
        listing(registry, kind="recomender")


def test_every_part_of_the_house_is_well_and_a_guest_s_is_looked_at() -> None:
    assert problems(Registry()) == []
    loss, bad, odd = problems(Registry(Guest()))
    assert loss == "Guest: the loss 'plain': the hook must return a LossSpec"
    assert bad == "Guest: the recommender 'bad': ZeroDivisionError: division by zero"
    assert odd.startswith("Guest: the recommender 'odd': recommender must be a name, settings")


class Opaque:
    @hookimpl
    def siamrec_policies(self) -> dict[str, Any]:
        return {"not-a-policy": dict, "no-call": 5}

    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Any]:
        return {"leaves": sys.exit, "long": endless}


def endless() -> None:
    raise RuntimeError("x" * 3_000)


def test_a_part_whose_settings_cannot_be_told_is_listed_and_amiss() -> None:
    registry = Registry(Opaque())
    guest = listing(registry, kind="policy", name="not-a-policy")[0]
    assert guest["parts"]["policy"]["not-a-policy"]["settings"] == []
    no_call, opaque, leaves, long = sorted(problems(registry))
    assert no_call.startswith("Opaque: the policy 'no-call': The policy 'no-call' is made by 5")
    assert opaque.startswith("Opaque: the policy 'not-a-policy': The policy 'not-a-policy' is ma")
    assert leaves == "Opaque: the recommender 'leaves': SystemExit"
    assert len(long) < 1_100
    told = shown(registry, kind="policy", name=None, as_json=False, checks=True)
    assert opaque in told.amiss
    book: Book[Policy] = Book("policy", {}, contract=Policy)
    book.add("not-a-policy", dict, owner="Opaque")
    for part in ("not-a-policy", "not-a-policy:a=1", {"name": "not-a-policy"}):
        with pytest.raises(PluginError, match="The policy 'not-a-policy' is made by <class 'dic"):
            book.make(part)


def test_the_command_speaks_json_and_tells_versions() -> None:
    done = runner.invoke(app, ["plugins", "--json", "--kind", "hasher"])
    assert done.exit_code == 0, done.output
    house = json.loads(done.output)["plugins"][0]
    assert house["name"] == "siamrec"
    assert "xxh3" in house["parts"]["hasher"]
    assert house["version"]


def test_the_command_refuses_a_name_in_one_line() -> None:
    done = runner.invoke(app, ["plugins", "--name", "eas"])
    assert (done.exit_code, "Did you mean 'ease'" in done.output) == (2, True)


def test_new_plugin_is_a_command(tmp_path: Any) -> None:
    folder = tmp_path / "newest"
    done = runner.invoke(
        app, ["new", "plugin", "newest", "--kind", "metric", "--folder", str(folder)]
    )
    assert done.exit_code == 0, done.output
    assert "pip install -e '.[dev]' && pytest" in done.output
    assert (folder / "src" / "newest" / "part.py").exists()
    again = runner.invoke(
        app, ["new", "plugin", "newest", "--kind", "metric", "--folder", str(folder)]
    )
    assert (again.exit_code, "must be empty" in again.output) == (2, True)
