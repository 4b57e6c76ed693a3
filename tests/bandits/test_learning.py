"""How rewards count over time, as one value; what a bandit does is declared at one door."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from siamrec.bandits import BanditDoor, ContextualBandit, DelayCurve, Learning, Limits
from siamrec.errors import InvalidParameterError, MissingInputError
from siamrec.protocols import Bandit
from siamrec.storage import Store
from siamrec.storage.bandit import StoredBandit

ARMS = ("a", "b")


@pytest.mark.parametrize("kind", [ContextualBandit, StoredBandit])
def test_a_bandit_says_nothing_again_that_the_door_says(kind: type) -> None:
    declared = {name for name in vars(BanditDoor) if not name.startswith("_")}
    assert {"select", "select_many", "learn", "snapshot", "describe", "expire"} <= declared
    for name in declared & set(vars(kind)):
        own = inspect.getattr_static(kind, name)
        assert (own.fget if isinstance(own, property) else own).__doc__ is None, name
        assert inspect.getdoc(getattr(kind, name)), name


def test_the_constructor_stays_small() -> None:
    assert len(inspect.signature(ContextualBandit).parameters) <= 12
    assert len(inspect.signature(Store.bandit).parameters) <= 12


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"half_life": "soon"}, "half_life"),
        ({"window": 0}, "window"),
        ({"attribution": "-1d"}, "attribution"),
        ({"delay": "x"}, "delay"),
        ({"reset": 1.0}, "reset"),
        ({"refresh_every": 0}, "refresh_every"),
        ({"half_life": "3d", "window": "3d"}, "window"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"^{name} must be"):
        Learning(**settings)


def test_durations_in_nanoseconds() -> None:
    curve = DelayCurve(after=(1, 2), share=(0.5, 1.0))
    learning = Learning(half_life="2h", attribution=3e-9, delay=curve)
    wanted = {"half_life": 7_200 * 10**9, "window": None, "attribution": 3, "delay": None}
    assert {name: learning.nanoseconds(name) for name in wanted} == wanted


@pytest.mark.parametrize("unread", [{"delay": "1d"}, {"reset": 0.01}, {"refresh_every": 2}])
def test_a_store_takes_no_setting_that_it_does_not_read(unread: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match="left out with a stored bandit"):
        Store("sqlite://").bandit("home", "beta-thompson", ARMS, learning=Learning(**unread))


def test_a_stored_bandit_gives_a_snapshot_that_goes_on_in_memory() -> None:
    store = Store("sqlite://")
    limits = Limits(floor=0.1, holdout=0.2)
    stored = store.bandit("home", "beta-thompson", ARMS, limits=limits)
    for reward in (1.0, 0.0, 1.0):
        stored.learn(stored.select().id, reward)
    assert isinstance(stored, Bandit), "it lacked a snapshot"
    alone = ContextualBandit.restore(stored.snapshot(), stored.policy)
    assert alone.describe() == stored.describe()
    assert alone.memory.settings.limits == limits
    assert sum(share.n for share in stored.imbalance()) == 3


def test_a_decision_is_taken_and_what_is_none_is_refused() -> None:
    bandit: Any = ContextualBandit("beta-thompson", ARMS)
    stored: Any = Store("sqlite://").bandit("home", "beta-thompson", ARMS)
    for each in (bandit, stored):
        decision = each.select()
        assert each.learn(decision, 1.0).applied == 1
        assert each.learn(decision.id, 1.0, time=0).unchanged == 1
        with pytest.raises(InvalidParameterError, match="^rewards must be"):
            each.learn({decision.id: 1.0})
        with pytest.raises(MissingInputError, match="learn\\(decision, reward"):
            each.learn(decision)
        with pytest.raises(InvalidParameterError, match="^decisions must be"):
            each.record(decision.id)


@pytest.mark.parametrize("name", ["context", "limits", "learning"])
def test_values_are_of_their_kind(name: str) -> None:
    given: Any = {name: {"floor": 0.1}}
    with pytest.raises(InvalidParameterError, match=f"^{name} must be"):
        ContextualBandit("beta-thompson", ARMS, **given)
