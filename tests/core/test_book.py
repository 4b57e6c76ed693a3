"""Books of names: what they hold, how settings are read, when plugins are asked."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, final

import pytest

from siamrec._core import installed as room
from siamrec._core.book import Book, named
from siamrec._core.recipe import Recipe
from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    PluginConflictError,
    UnknownNameError,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Drink(Recipe):
    """What is poured."""


@final
@dataclass(frozen=True, kw_only=True)
class Tea(Drink):
    """A kind with a setting of every type."""

    grams: float = 2.0
    minutes: int | None = 3
    milk: bool = False
    leaf: str = "black"
    steps: tuple[float, ...] = (1.0,)
    into: Drink | None = None
    live: object = None

    def __post_init__(self) -> None:
        self.take_by_name(into=DRINKS)


@final
@dataclass(frozen=True, kw_only=True)
class Water(Drink):
    """A kind with a setting that has no default."""

    litres: float


DRINKS: Book[Drink] = Book("drink", {"tea": Tea, "water": Water}, contract=Drink, recipes=Drink)


class Nobody:
    """Plugins that are not there, and how often they were looked for."""

    def __init__(self, fill: Callable[[], object] = lambda: None) -> None:
        self.asked = 0
        self.fill = fill

    def __call__(self) -> Nobody:
        self.asked += 1
        self.fill()
        return self

    def tell(self, hook: str, **news: object) -> None:
        """Hear nothing."""


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Callable[[Nobody], Nobody]:
    def put(finder: Nobody) -> Nobody:
        monkeypatch.setattr(room.INSTALLED, "find", finder)
        monkeypatch.setattr(room.INSTALLED, "found", None)
        return finder

    return put


def test_a_part_is_taken_as_an_object_by_name_and_with_settings() -> None:
    tea = Tea(grams=3.0)
    assert DRINKS.make(tea) is tea
    assert DRINKS.make("tea") == Tea()
    assert DRINKS.make("tea:grams=3") == tea
    assert DRINKS.make({"name": "tea", "grams": 3}) == tea
    assert type(DRINKS.make("tea:grams=3").grams) is float  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("tea:minutes=none", Tea(minutes=None)),
        ("tea:milk=true,minutes=5", Tea(milk=True, minutes=5)),
        ("tea:leaf=5", Tea(leaf="5")),
        ("tea:leaf='a,b=c'", Tea(leaf="a,b=c")),
        ("tea:steps=(1, 2)", Tea(steps=(1.0, 2.0))),
        ("tea: grams = 1e-1 ", Tea(grams=0.1)),
        ("tea:into=water:litres=1", Tea(into=Water(litres=1.0))),
        ("tea:into='water:litres=1',milk=True", Tea(into=Water(litres=1.0), milk=True)),
        ({"name": "tea", "into": {"name": "water", "litres": 1}}, Tea(into=Water(litres=1.0))),
        ({"name": "tea", "steps": [1, 2]}, Tea(steps=(1.0, 2.0))),
    ],
)
def test_settings_are_typed_by_the_fields(text: Any, made: Tea) -> None:
    found = DRINKS.make(text)
    assert found == made
    assert repr(found) == repr(made)  # 1 and 1.0 are equal, and written differently


def test_what_the_door_knows_fills_what_is_open() -> None:
    assert DRINKS.make("water", litres=2.0, unknown=1) == Water(litres=2.0)
    assert DRINKS.make("water:litres=1", litres=2.0) == Water(litres=1.0)


def test_unknown_names_and_settings_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="No drink is named 'tee'. Did you mean 'tea'"):
        DRINKS.make("tee")
    with pytest.raises(
        UnknownNameError, match="No setting of the drink 'tea' is named 'gram'. Did you mean 'gr"
    ):
        DRINKS.make("tea:gram=3")
    with pytest.raises(UnknownNameError, match="No setting of the drink 'tea' is named 'gram'"):
        DRINKS.make({"name": "tea", "gram": 3})


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (Tea, r"drink must be an object, not its class: call it, Tea\(\)"),
        (3, "drink must be a name, settings with a 'name', or an object that is a Drink, got 3"),
        ({"grams": 3}, "drink must be a name, settings with a 'name'"),
        ("tea:grams", "drink must be a name such as 'name' or 'name:setting=1'"),
        ("tea:", "drink must be a name such as"),
        ("tea:grams=1,grams=2", "drink must be a name such as"),
        ("tea:grams=much", "grams must be of the type float, got 'much'"),
        ("tea:milk=1", "milk must be of the type bool, got 1"),
        ("tea:minutes=2.5", "minutes must be of the type int or none, got 2.5"),
        ({"name": "tea", "grams": True}, "grams must be of the type float, got True"),
    ],
)
def test_what_is_no_part_is_refused_in_one_line(part: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        DRINKS.make(part)


def test_a_setting_without_a_default_is_named() -> None:
    with pytest.raises(MissingInputError, match="litres of the drink 'water' is needed here"):
        DRINKS.make("water")


def test_a_taken_name_names_both_owners() -> None:
    book: Book[Drink] = Book("drink", {"tea": Tea}, contract=Drink)
    book.add("juice", Water, owner="guest")
    with pytest.raises(PluginConflictError, match="'siamrec' and 'guest' both offer the drink 't"):
        book.add("tea", Water, owner="guest")
    with pytest.raises(PluginConflictError, match="'guest' and 'host' both offer"):
        book.add("juice", Water, owner="host")
    with pytest.raises(InvalidParameterError, match="name must be made of letters"):
        book.add("a:b", Water, owner="host")
    assert book.names() == ("juice", "tea")
    assert (book.owner("tea"), book.owner("juice")) == ("siamrec", "guest")
    assert book.house() == {"tea": Tea}


def test_names_of_parts() -> None:
    assert [named(part) for part in ("tea:a=1", {"name": "tea"}, {}, Tea())] == [
        "tea",
        "tea",
        None,
        None,
    ]
    assert DRINKS.name_of(Tea()) == "tea"


def test_settings_are_written_and_read_back() -> None:
    whole = Tea(grams=0.5, minutes=None, milk=True, steps=(1.0, 2.0), into=Water(litres=1.0))
    config = whole.to_config()
    assert config == {
        "name": "tea",
        "grams": 0.5,
        "minutes": None,
        "milk": True,
        "leaf": "black",
        "steps": [1.0, 2.0],
        "into": {"name": "water", "litres": 1.0},
        "live": None,
    }
    assert Tea.from_config(config) == whole


def test_a_live_object_is_named_by_its_field() -> None:
    with pytest.raises(InvalidParameterError, match=r"Tea.live must be a value that can be writ"):
        Tea(live=object()).to_config()


def test_plugins_are_asked_once_and_only_for_unknown_names(
    plugins: Callable[[Nobody], Nobody],
) -> None:
    book: Book[Drink] = Book("drink", {"tea": Tea}, contract=Drink)
    finder = plugins(Nobody(partial(book.add, "juice", Water, owner="guest")))
    book.make("tea")
    assert finder.asked == 0
    assert book.make("juice:litres=1") == Water(litres=1.0)
    with pytest.raises(UnknownNameError):
        book.make("wine")
    assert finder.asked == 1


def test_a_plugin_that_asks_while_it_loads_is_told_that_nobody_knows(
    plugins: Callable[[Nobody], Nobody],
) -> None:
    def asks() -> None:
        with pytest.raises(UnknownNameError):
            DRINKS.make("juice")

    finder = plugins(Nobody(asks))
    assert "wine" not in DRINKS
    assert finder.asked == 1


def test_eight_threads_fill_the_books_once(plugins: Callable[[Nobody], Nobody]) -> None:
    for _ in range(20):
        book: Book[Drink] = Book("drink", {}, contract=Drink)
        finder = plugins(Nobody(partial(book.add, "juice", Water, owner="guest")))
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(book.make, ["juice:litres=1"] * 8))
        assert made == [Water(litres=1.0)] * 8
        assert finder.asked == 1


def test_naming_the_house_s_parts_looks_for_no_plugin() -> None:
    code = (
        "import sys; import siamrec._core.installed as b; from siamrec.metrics import Suite; "
        "from siamrec.bandits import ContextualBandit; Suite(['ndcg@10']); "
        "ContextualBandit('beta-thompson', arms=('a', 'b')); "
        "print(b.INSTALLED.found, 'siamrec.plugins' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["None", "False"]
