"""What every recipe has: its name and settings as JSON values, and back."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

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

    Attributes:
        book: The names of its kind.
        doors: For methods that an author writes, what their arguments must be; each is checked
            before the author's code runs, so that every part says no in the same words.
    """

    __slots__ = ()

    book: ClassVar[Names]
    doors: ClassVar[Mapping[str, Mapping[str, type]]] = {}

    @override
    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        for name, kinds in cls.doors.items():
            method = cls.__dict__.get(name)
            # A dataclass with slots makes its class anew from methods that have their door.
            if method is not None and not hasattr(method, "__wrapped__"):
                setattr(cls, name, _with_door(method, kinds))

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


def _with_door(method: Callable[..., Any], kinds: Mapping[str, type]) -> Callable[..., Any]:
    """Return the method behind a check of its arguments; None passes where it is the default."""
    takes = signature(method)
    optional = {name for name, each in takes.parameters.items() if each.default is None}

    @wraps(method)
    def checked(*args: Any, **named: Any) -> Any:
        given = takes.bind_partial(*args, **named).arguments
        for name in given.keys() & kinds.keys():
            if given[name] is not None or name not in optional:
                check.kind(name, given[name], kinds[name])
        return method(*args, **named)

    return checked
