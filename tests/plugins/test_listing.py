"""What is installed, as lines and as JSON, and what is amiss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from siamrec.cli import app
from siamrec.errors import UnknownNameError
from siamrec.models.recommenders import EASE, Popularity
from siamrec.plugins import Registry, hookimpl
from siamrec.plugins._listing import lines, listing, problems

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
