"""What every recipe has: its name and settings as JSON values, and back."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


class Names(Protocol):
    """What a recipe asks of the book of its kind: parts by name, and names of parts."""

    def make(self, part: Any, **known: Any) -> Any:
        """Return a part that is given as an object or by name."""

    def to_config(self, part: Any) -> dict[str, Any]:
        """Return name and settings of a part as JSON values."""

    def from_config(self, config: Mapping[str, Any]) -> Any:
        """Return the part that `to_config` wrote."""


class Recipe(ABC):
    """Settings that can be written down; inherited by the contract of each kind of part.

    Attributes:
        book: The names of its kind.
    """

    __slots__ = ()

    book: ClassVar[Names]

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
            siamrec.errors.InvalidParameterError: If a value is of another type or out of range.
        """
        made: Self = cls.book.from_config(config)
        return made
