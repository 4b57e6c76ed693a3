"""The registry of parts: built-ins and guests through the same hooks."""

from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any

import pytest

from siamrec._core.book import Book
from siamrec.errors import PluginConflictError, PluginError, UnknownNameError
from siamrec.lifecycle import LoopEvent
from siamrec.losses import LOSSES
from siamrec.models import recommenders
from siamrec.models.recommenders import EASE, RECOMMENDERS, Popularity, RecommenderRecipe
from siamrec.plugins import PluginObserver, Registry, default_registry, hookimpl
from siamrec.plugins import registry as registry_module
from siamrec.plugins.hookspecs import COMPONENTS, OBSERVERS

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
        PluginConflictError, match="'siamrec' and 'Taken' both offer the recommender 'ease'"
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
    def siamrec_experiment_decided(self, result: dict[str, str]) -> None:
        self.heard.append(result)


class Broken:
    @hookimpl
    def siamrec_experiment_decided(self, result: dict[str, str]) -> None:
        raise RuntimeError(result["decision"])


def test_observers_hear_and_may_not_break_the_host(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()
    registry = Registry(Broken(), listener)
    with caplog.at_level(logging.ERROR):
        registry.tell("siamrec_experiment_decided", result={"decision": "ship"})
    assert listener.heard == [{"decision": "ship"}]
    assert "Plugin Broken failed in siamrec_experiment_decided" in caplog.text


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


class Rival:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Callable[..., Any]]:
        return {"fresh": EASE, "own": EASE}


class Unnamed:
    @hookimpl
    def siamrec_recommenders(self) -> dict[Any, Any]:
        return {"a": EASE, 3: EASE}


class Fails:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Any]:
        raise KeyError("hook")


class Endless:
    @hookimpl
    def siamrec_recommenders(self) -> dict[str, Any]:
        raise RuntimeError("x" * 3_000)


def install(monkeypatch: pytest.MonkeyPatch, load: dict[str, Callable[[], Any]]) -> None:
    found = [entry(name, f"a:{name}") for name in load]
    monkeypatch.setattr(registry_module, "entry_points", lambda group: found if group else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: load[self.name]())


def leave() -> None:
    raise SystemExit(3)


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_plugin_that_ends_the_program_is_left_out_and_a_person_may_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, {"leaves": leave, "works": Guest})
    registry = Registry.installed()
    assert [info.error for info in registry.plugins] == ["", "SystemExit: 3", ""]
    assert registry.make("recommender", "fresh") == Popularity(half_life="30d")
    install(monkeypatch, {"slow": interrupt})
    with pytest.raises(KeyboardInterrupt):
        Registry.installed()


@pytest.mark.parametrize("third", [False, True])
def test_a_name_that_two_plugins_claim_is_neither_s_and_the_rest_of_both_works(
    monkeypatch: pytest.MonkeyPatch,
    third: bool,  # noqa: FBT001  a row of a table
) -> None:
    book: Book[RecommenderRecipe] = Book("recommender", {}, contract=RecommenderRecipe)
    monkeypatch.setattr(recommenders, "RECOMMENDERS", book)
    install(monkeypatch, {"one": Guest, "two": Rival, **({"zoo": Rival} if third else {})})
    registry = Registry.installed()
    said = f"'one' and 'two'{third * ' and ' + repr('zoo') if third else ''} both offer the"
    registry.publish()
    for ask in (registry.factory, registry.make):
        with pytest.raises(PluginConflictError, match=f"{said} recommender 'fresh'"):
            ask("recommender", "fresh")
    with pytest.raises(PluginConflictError, match=f"{said} recommender 'fresh'"):
        book.make("fresh")
    by_name = {info.name: info for info in registry.plugins}
    assert by_name["one"].parts == {}
    assert said in by_name["one"].error
    assert said in by_name["two"].error or third
    if not third:
        assert by_name["two"].parts == {"recommender": ("own",)}
        assert book.make("own") == EASE()


def test_what_a_hook_does_wrong_is_told_with_its_kind_and_never_endless(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(PluginError, match="'Unnamed' returned the name 3 from siamrec_recomm"):
        Registry(Unnamed())
    with pytest.raises(PluginError, match="'Fails' failed in siamrec_recommenders: KeyError: 'h"):
        Registry(Fails())
    install(monkeypatch, {"endless": Endless, "fails": Fails, "unnamed": Unnamed})
    _, endless, fails, unnamed = Registry.installed().plugins
    assert len(endless.error) <= 1_000
    assert "RuntimeError: xxx" in endless.error
    assert "KeyError: 'hook'" in fails.error
    assert "must be text" in unnamed.error
    assert "KeyError: 'hook'" in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 1_100


def test_a_registry_is_a_value_and_writes_to_no_book() -> None:
    registry = Registry(Guest())
    assert "fresh" in registry.factories("recommender")
    with pytest.raises(UnknownNameError, match="No recommender is named 'fresh'"):
        RECOMMENDERS.make("fresh")


def test_parts_are_written_into_the_books_and_what_a_host_has_taken_is_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    book: Book[RecommenderRecipe] = Book("recommender", {}, contract=RecommenderRecipe)
    monkeypatch.setattr(recommenders, "RECOMMENDERS", book)
    registry = Registry(Guest())
    registry.publish()
    assert book.make("fresh") == Popularity(half_life="30d")
    assert book.owner("fresh") == "Guest"
    registry.publish()
    assert "'Guest' and 'Guest' both offer the recommender 'fresh'" in caplog.text
    assert "PluginConflictError" in registry.plugins[-1].error


class PlainLoss:
    @hookimpl
    def siamrec_losses(self) -> dict[str, Callable[..., Any]]:
        return {"plain": lambda model, pairs=None: model}


def test_a_loss_must_bring_its_columns(caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry(PlainLoss())
    registry.publish()
    assert "the loss 'plain' must be a LossSpec" in caplog.text
    assert "plain" not in LOSSES.names()


def test_the_installed_guest_is_found() -> None:
    pytest.importorskip("siamrec_guest")
    info = next(info for info in default_registry().plugins if info.name == "guest")
    assert (info.source, info.version, info.error) == ("siamrec-guest", "1.0.0", "")
    assert set(info.parts) == {component.kind for component in COMPONENTS.values()}
    assert set(info.observes) == set(OBSERVERS)


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
        ("activated", "activate", {"version": "t", "action": "activated"}),
        ("activated", "activate", {"version": "b", "action": "rolled_back"}),
    ]
    for kind, step, result in news:
        observe(LoopEvent(kind=kind, step=step, result=result))
    assert guest.heard == [
        ("trained", ("t", {"verdict": "ship"})),
        ("decided", "continue"),
        ("activated", "t"),
        ("back", "b"),
    ]
