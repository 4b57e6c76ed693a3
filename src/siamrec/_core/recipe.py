"""What every recipe has: its name and settings as JSON values, and back."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from typing_extensions import override

from siamrec._core import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class Names(Protocol):
    """What a recipe asks of the book of its kind: parts by name, and names of parts."""

    def make(self, part: Any, **known: Any) -> Any:
        """Return a part that is given as an object or by name."""

    def name_of(self, part: Any) -> str:
        """Return the name that a part is registered under."""

    def to_config(self, part: Any) -> dict[str, Any]:
        """Return name and settings of a part as JSON values."""

    def from_config(self, config: Mapping[str, Any]) -> Any:
        """Return the part that `to_config` wrote."""


class Recipe(ABC):
    """Settings that can be written down; inherited by the contract of each kind of part.

    Numbers of NumPy among them become those of Python.

    Attributes:
        book: The names of its kind.
        doors: For methods that an author writes, what their arguments must be; each is checked
            before the author's code runs, so that every part says no in the same words.
        taken: What is made of an argument of a door, by its name, before the author's code has it.
    """

    __slots__ = ()

    book: ClassVar[Names]
    doors: ClassVar[Mapping[str, Mapping[str, type]]] = {}
    taken: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    @override
    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        for name, kinds in cls.doors.items():
            method = cls.__dict__.get(name)
            # A dataclass with slots makes its class anew from methods that have their door.
            if method is not None and not hasattr(method, "__wrapped__"):
                setattr(cls, name, _with_door(method, kinds, cls.taken))
        begin = cls.__dict__.get("__post_init__")
        if begin is not None and not hasattr(begin, "__wrapped__"):
            setattr(cls, "__post_init__", _after_plain_numbers(begin))  # noqa: B010
        elif not hasattr(cls, "__post_init__"):
            setattr(cls, "__post_init__", _plain_numbers)  # noqa: B010

    def take_by_name(self, **books: Names) -> None:
        """Put parts in the place of names in the fields given, while a recipe is being made."""
        for name, book in books.items():
            part = getattr(self, name)
            if part is not None:
                object.__setattr__(self, name, book.make(part))

    def to_config(self) -> dict[str, Any]:
        """Return name and settings as JSON values, such as `{"name": "ease", "l2": 300.0, …}`.

        Raises:
            siamrec.errors.InvalidParameterError: If a setting is a live object, or nobody has
                registered the class.
        """
        return self.book.to_config(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return the recipe that `to_config` wrote.

        Raises:
            siamrec.errors.UnknownNameError: If the name or a setting is not known.
            siamrec.errors.InvalidParameterError: If a value is of another type or out of range, or
                the name is that of another class.
        """
        made: Self = cls.book.from_config(check.kind("config", config, Mapping))
        return check.kind("config", made, cls)


def _plain_numbers(recipe: Any) -> None:
    """Put numbers of Python in the place of NumPy's: they are equal, and read as what they are."""
    for each in fields(recipe) if is_dataclass(recipe) else ():
        value = getattr(recipe, each.name, None)
        plain = _plain(value)
        if plain is not value:
            object.__setattr__(recipe, each.name, plain)


def _plain(value: Any) -> Any:
    if isinstance(value, np.number | np.bool_):
        return value.item()
    if type(value) is tuple and any(isinstance(each, np.number) for each in value):
        return tuple(map(_plain, value))
    if type(value) is dict and any(isinstance(each, np.number) for each in value.values()):
        return {name: _plain(each) for name, each in value.items()}
    return value


def _after_plain_numbers(begin: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(begin)
    def made(self: Any) -> None:
        _plain_numbers(self)
        begin(self)

    return made


def _with_door(
    method: Callable[..., Any],
    kinds: Mapping[str, type],
    taken: Mapping[str, Callable[[Any], Any]],
) -> Callable[..., Any]:
    """Return the method behind a check of its arguments; None passes where it is the default."""
    takes = signature(method)
    optional = {name for name, each in takes.parameters.items() if each.default is None}

    @wraps(method)
    def checked(*args: Any, **named: Any) -> Any:
        bound = takes.bind_partial(*args, **named)
        given = bound.arguments
        for name in given.keys() & kinds.keys():
            if given[name] is not None or name not in optional:
                check.kind(name, given[name], kinds[name])
                if name in taken:
                    given[name] = taken[name](given[name])
        return method(*bound.args, **bound.kwargs)

    return checked
