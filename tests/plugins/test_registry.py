"""The registry of parts: built-ins and guests through the same hooks."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from siamrec.data import Rankings, Truth
from siamrec.errors import PluginConflictError, PluginError, UnknownNameError
from siamrec.lifecycle import ROLLED_BACK, LoopEvent
from siamrec.metrics import Suite
from siamrec.models.recommenders import EASE, Popularity
from siamrec.plugins import PluginObserver, Registry, default_registry, hookimpl
from siamrec.plugins import registry as registry_module
from siamrec.testing.recommenders import small_feedback

if TYPE_CHECKING:
    from collections.abc import Callable


class Guest:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Callable[..., Any]]:
        return {"fresh": lambda **settings: Popularity(half_life="30d", **settings)}


class Taken:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Callable[..., Any]]:
        return {"ease": Popularity}


class Wrong:
    @hookimpl
    def siamrec_recommenders(self) -> list[str]:
        return ["ease"]


def test_built_in_parts_come_by_name() -> None:
    registry = Registry()
    assert registry.make("recommender", "ease", l2=3.0) == EASE(l2=3.0)
    assert registry.factory("metric", "ndcg")(k=5).name == "ndcg@5"
    assert {"beta-thompson", "hierarchical-beta"} <= set(registry.factories("policy"))


def test_guests_add_parts() -> None:
    registry = Registry(Guest())
    assert registry.make("recommender", "fresh") == Popularity(half_life="30d")
    assert registry.plugins[-1].parts == {"recommender": ("fresh",)}


def test_a_name_taken_twice_names_both() -> None:
    with pytest.raises(
        PluginConflictError, match="'built in' and 'Taken' both offer the recommender 'ease'"
    ):
        Registry(Taken())


def test_a_hook_must_return_factories_by_name() -> None:
    with pytest.raises(PluginError, match="'Wrong' returned list from siamrec_recommenders"):
        Registry(Wrong())


def test_unknown_names_offer_the_nearest() -> None:
    registry = Registry()
    with pytest.raises(UnknownNameError, match="No policy is named 'beta-tompson'. Did you mean"):
        registry.make("policy", "beta-tompson")
    with pytest.raises(UnknownNameError, match="No kind of part is named 'recomender'. Did you"):
        registry.factories("recomender")
    with pytest.raises(UnknownNameError, match="No observer hook is named"):
        registry.tell("siamrec_nothing")


class Listener:
    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []

    @hookimpl
    def siamrec_alert(self, alert: dict[str, str]) -> None:
        self.heard.append(alert)


class Broken:
    @hookimpl
    def siamrec_alert(self, alert: dict[str, str]) -> None:
        raise RuntimeError(alert["name"])


def test_observers_hear_and_may_not_break_the_host(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    registry = Registry(Broken(), listener)
    with caplog.at_level(logging.ERROR):
        registry.tell("siamrec_alert", alert={"name": "srm"})
    assert listener.heard == [{"name": "srm"}]
    assert "Plugin Broken failed in siamrec_alert" in caplog.text


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group="siamrec")


def test_a_broken_plugin_is_left_out_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        entry("absent", "no_such_module"),
        entry("good", f"{__name__}:Guest"),
        entry("raises", "json:loads_nothing"),
    ]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: found if group else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: Guest() if self.name == "good" else 1 / 0)
    registry = Registry.installed()
    by_name = {info.name: info for info in registry.plugins}
    assert by_name["good"].parts == {"recommender": ("fresh",)}
    assert by_name["absent"].error == "ZeroDivisionError: division by zero"
    assert registry.make("recommender", "fresh") == Popularity(half_life="30d")


def test_the_installed_guest_is_found() -> None:
    pytest.importorskip("siamrec_guest")
    registry = default_registry()
    info = next(info for info in registry.plugins if info.name == "guest")
    assert info.source == "siamrec-guest 1.0.0"
    assert info.parts == {
        "loss": ("absolute-cosine",),
        "metric": ("list_length",),
        "recommender": ("shuffled",),
        "store": ("json-lines",),
    }
    assert info.observes == ("siamrec_alert",)
    arm = registry.make("recommender", "shuffled", seed=3).fit(small_feedback())
    assert len(arm.recommend(["u1"], k=3).lists()["u1"]) == 3
    suite = Suite(["list_length"], extra=registry.factories("metric"))
    lists = Rankings.from_lists({"ann": ["a", "b"], "bob": ["c"]})
    assert suite.evaluate(lists, Truth.from_lists({"ann": ["a"], "bob": ["c"]}))[
        "list_length"
    ].mean == pytest.approx(1.5)


def test_the_default_registry_is_made_once() -> None:
    assert default_registry() is default_registry()


class Everything:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @hookimpl
    def siamrec_model_trained(self, version: str, result: dict[str, Any]) -> None:
        self.heard.append(("trained", (version, result)))

    @hookimpl
    def siamrec_version_activated(self, change: dict[str, Any]) -> None:
        self.heard.append(("activated", change["version"]))

    @hookimpl
    def siamrec_rolled_back(self, change: dict[str, Any]) -> None:
        self.heard.append(("back", change["version"]))

    @hookimpl
    def siamrec_experiment_decided(self, result: dict[str, Any]) -> None:
        self.heard.append(("decided", result["decision"]))


def test_the_news_of_a_loop_reach_plugins() -> None:
    guest = Everything()
    observe = PluginObserver(Registry(guest))
    news: list[tuple[Any, str, dict[str, Any]]] = [
        ("started", "arms", {}),
        ("finished", "arms", {"tuning": {"verdict": "ship"}}),
        ("finished", "register", {"base": "b", "tuned": "t"}),
        ("finished", "experiment", {"decision": "continue"}),
        ("activated", "activate", {"version": "t", "reason": "better"}),
        ("activated", "activate", {"version": "b", "reason": f"{ROLLED_BACK}worse"}),
    ]
    for kind, step, result in news:
        observe(LoopEvent(kind=kind, step=step, result=result))
    assert guest.heard == [
        ("trained", ("t", {"verdict": "ship"})),
        ("decided", "continue"),
        ("activated", "t"),
        ("back", "b"),
    ]
