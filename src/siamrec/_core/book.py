"""Books of names: each kind of part by name, asked wherever a part is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import getattr_static
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, cast, final

from typing_extensions import TypeVar, get_protocol_members, is_protocol, override

from siamrec._core import settings as read
from siamrec._core.installed import INSTALLED, at, installed_plugins
from siamrec.errors import InvalidParameterError, PluginConflictError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from siamrec._core.recipe import Recipe

PartT = TypeVar("PartT")

Factory: TypeAlias = Callable[..., Any]
"""Makes a part from keyword settings; the same in the hook, the book and the constructor."""

FactoryT = TypeVar("FactoryT", default=Factory)

Named: TypeAlias = str | Mapping[str, Any]
"""A part by name: `"ease"`, `"ease:l2=300"` or `{"name": "ease", "l2": 300}`."""

HOUSE = "siamrec"
"""Owner of the parts that come with the house."""


def lacking(part: object, protocol: type) -> list[str]:
    """Return the members of a protocol that an object lacks; no property is worked out."""
    return sorted(
        name
        for name in get_protocol_members(protocol)
        if getattr_static(part, name, None) is None and not hasattr(part, name)
    )


def named(part: object) -> str | None:
    """Return the name in a part that is given by name, None for one that is an object."""
    if isinstance(part, str):
        return part.partition(":")[0].strip()
    if isinstance(part, Mapping):
        name = part.get("name")
        return name if isinstance(name, str) else None
    return None


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a book.

    Attributes:
        factory: Makes the part, or the address `"module:name"` where it is loaded from on use.
        owner: Who brought it.
    """

    factory: Factory | str
    owner: str

    def load(self) -> Factory:
        """Return the factory."""
        if not isinstance(self.factory, str):
            return self.factory
        return cast("Factory", at(self.factory))

    def makes(self, part: object) -> bool:
        """Whether a part is of the class that stands here, told without loading anything."""
        kind = type(part)
        if isinstance(self.factory, str):
            return self.factory == f"{kind.__module__}:{kind.__qualname__}"
        # what stands here is the class, something that tells the class, or the part itself
        return kind in (self.factory, getattr(self.factory, "kind", None)) or part is self.factory


@final
class Book(Generic[PartT, FactoryT]):
    """The names of one kind of part.

    The house's parts are there from the start, as factories or as addresses that are loaded on
    use. The first name that is not known asks the installed plugins, once in a process; while
    every name is known nothing is looked for.

    Args:
        kind: What one part is called, such as `"recommender"`.
        parts: The house's own: a factory, or its address `"module:name"`, by name.
        contract: What every part is an instance of, or several.
        recipes: The abstract class of the room's recipes, which has this as `book` from then on.
        factories: What a factory of this kind has to be, where it brings more than itself.

    Examples:
        >>> from siamrec._core.clock import ManualClock
        >>> book = Book("clock", {"manual": ManualClock}, contract=ManualClock)
        >>> book.make("manual:start=5").now(), book.make({"name": "manual", "start": 6}).now()
        (5, 6)
        >>> book.make(ManualClock)
        Traceback (most recent call last):
        siamrec.errors.InvalidParameterError: clock must be an object, not its class: call it, ...
        >>> book.make("manual:stat=5")
        Traceback (most recent call last):
        siamrec.errors.UnknownNameError: No setting of the clock 'manual' is named 'stat'. Did ...
    """

    def __init__(
        self,
        kind: str,
        parts: Mapping[str, Any],
        *,
        contract: type | tuple[type, ...],
        recipes: type[Recipe] | None = None,
        factories: type = object,
    ) -> None:
        self.kind = kind
        self._contract = contract if isinstance(contract, tuple) else (contract,)
        self._factories = factories
        self._entries = {name: Entry(factory, HOUSE) for name, factory in parts.items()}
        self._contested: dict[str, str] = {}
        if recipes is not None:
            recipes.book = self

    @override
    def __repr__(self) -> str:
        return f"<Book of {len(self._entries)} names of the kind {self.kind}>"

    def __contains__(self, name: object) -> bool:
        """Whether a name is known, after the plugins have been asked where need be."""
        return self._entry(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> tuple[str, ...]:
        """Return the names known so far, sorted; no plugin is looked for."""
        return tuple(sorted(self._entries))

    def house(self) -> dict[str, FactoryT]:
        """Return the house's own factories by name, loaded."""
        own = {name: entry for name, entry in self._entries.items() if entry.owner == HOUSE}
        return {name: cast("FactoryT", entry.load()) for name, entry in own.items()}

    def add(self, name: str, factory: FactoryT, *, owner: str) -> None:
        """Write a part into the book.

        Args:
            name: Its name: letters, digits, `-` and `_`.
            factory: Makes the part from keyword settings.
            owner: Who brings it; named where two claim one name.

        Raises:
            InvalidParameterError: If the name has other signs in it, or the factory is of
                another kind.
            PluginConflictError: If the name is taken; the message names both owners.
        """
        if not name.replace("-", "").replace("_", "").isalnum():
            raise InvalidParameterError("name", name, "made of letters, digits, '-' and '_'")
        if not self.is_factory(factory):
            raise InvalidParameterError(
                f"the {self.kind} {name!r}", factory, f"a {self.brings_more}"
            )
        with INSTALLED.lock:  # renewed in a forked child
            taken = self._entries.get(name)
            if taken is not None:
                raise PluginConflictError(
                    f"{taken.owner!r} and {owner!r} both offer the {self.kind} {name!r}; "
                    "rename one."
                )
            self._entries = {**self._entries, name: Entry(cast("Factory", factory), owner)}

    def contest(self, name: str, reason: str) -> None:
        """Say why a name is nobody's: whoever asks for it is told, while no part has it."""
        with INSTALLED.lock:
            self._contested = {**self._contested, name: reason}

    def owner(self, name: str) -> str:
        """Return who brought a part; raises as `factory` does."""
        return self._known(name).owner

    def factory(self, name: str) -> FactoryT:
        """Return what makes a part.

        Raises:
            UnknownNameError: If no part has this name; the message offers the nearest ones.
            PluginConflictError: If two plugins claim it; the message names both.
        """
        return cast("FactoryT", self._known(name).load())

    def make(self, part: PartT | Named, **known: Any) -> PartT:
        """Return a part given as an object, by name, or by name with settings.

        Args:
            part: An object of this kind, which is returned as it is; `"ease"`; `"ease:l2=300"`,
                settings parted by commas; or `{"name": "ease", "l2": 300}`.
            known: What the place that asks knows: used for settings that the part has and that
                are not given with the name.

        Raises:
            UnknownNameError: If there is no such name or setting; the nearest are offered.
            PluginError: If two plugins claim the name, or the settings of the part cannot be told.
            InvalidParameterError: If it is of another kind, such as a class for an instance.
            MissingInputError: If a setting that has no default is not given.
        """
        if isinstance(part, str):
            name, given = read.parted(self.kind, part)
            factory = self._maker(name)
            given = read.typed(f"{self.kind} {name!r}", factory, given)
        elif isinstance(part, Mapping) and not self._is_one(part):
            given = dict(part)
            name = given.pop("name", None)
            if not isinstance(name, str):
                raise InvalidParameterError(self.kind, part, self._expected(part))
            factory = self._maker(name)
            given = read.decoded(f"{self.kind} {name!r}", factory, given)
        elif isinstance(part, type):
            raise InvalidParameterError(
                self.kind, part, f"an object, not its class: call it, {part.__name__}()"
            )
        else:
            return self.require(part)
        return self.require(read.called(f"{self.kind} {name!r}", factory, given, known))

    def name_of(self, part: PartT) -> str:
        """Return the name under which the class of a part stands in the book.

        Raises:
            InvalidParameterError: If nobody has registered it.
        """
        for ask in (False, True):
            if ask:
                installed_plugins()
            for name, entry in self._entries.items():
                if entry.makes(part):
                    return name
        raise InvalidParameterError(self.kind, part, "of a class that is registered by name")

    def to_config(self, part: PartT) -> dict[str, Any]:
        """Return name and settings of a part as JSON values; `from_config` gives it back.

        Raises:
            InvalidParameterError: If it is not registered, or a setting is a live object.
        """
        name = self.name_of(part)
        config = {"name": name} if self._holds_parts else {"name": name, **read.encoded(part)}
        if self.make(dict(config)) != part:
            raise InvalidParameterError(self.kind, part, "a recipe that its settings give back")
        return config

    def from_config(self, config: Mapping[str, Any]) -> PartT:
        """Return the part that `to_config` wrote; raises as `make` does."""
        return self.make(dict(config))

    @property
    def _holds_parts(self) -> bool:
        """Whether what stands in the book are the parts themselves, which have no settings."""
        return self._factories in self._contract

    def _maker(self, name: str) -> Factory:
        """Return what makes a part of settings."""
        factory = self._known(name).load()
        return (lambda: factory) if self._holds_parts else factory

    @property
    def brings_more(self) -> str:
        """Name of the class that factories of this kind are of; empty where they make the part."""
        return "" if self._factories is object else self._factories.__name__

    def is_factory(self, factory: object) -> bool:
        """Whether this can stand in the book."""
        return isinstance(factory, self._factories)

    def made_by(self, name: str, factory: Factory) -> PartT:
        """Return what a factory makes of nothing.

        Raises:
            MissingInputError: If it needs a setting.
        """
        return cast("PartT", read.called(f"{self.kind} {name!r}", factory, {}, {}))

    def require(self, part: object) -> PartT:
        """Return a part when it is one of this kind.

        Raises:
            InvalidParameterError: If it is not; what it lacks is named.
        """
        if not self._is_one(part):
            raise InvalidParameterError(self.kind, part, self._expected(part))
        return cast("PartT", part)

    def _is_one(self, part: object) -> bool:
        return not isinstance(part, type) and any(
            not lacking(part, each) if is_protocol(each) else isinstance(part, each)
            for each in self._contract
        )

    def _expected(self, part: object) -> str:
        classes = " or ".join(each.__name__ for each in self._contract)
        said = f"a name, settings with a 'name', or an object that is a {classes}"
        missing = lacking(part, self._contract[0]) if is_protocol(self._contract[0]) else []
        return f"{said} (it lacks {', '.join(missing)})" if missing else said

    def _entry(self, name: object) -> Entry | None:
        if name not in self._entries:
            installed_plugins()
        return self._entries.get(cast("str", name))

    def _known(self, name: str) -> Entry:
        entry = self._entry(name)
        if entry is None and name in self._contested:
            raise PluginConflictError(self._contested[name])
        if entry is None:
            raise UnknownNameError(self.kind, name, self._entries)
        return entry
