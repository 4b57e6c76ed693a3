"""A closed book of all kinds of parts, filled once from plugins."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Any, cast, final

import pluggy
from typing_extensions import override

from siamrec._core.book import HOUSE
from siamrec._core.installed import installed_plugins
from siamrec._core.table import Record, Shown, Table, counted
from siamrec.errors import PluginConflictError, PluginError, UnknownNameError, shown
from siamrec.plugins.hookspecs import COMPONENTS, HOOKS, OBSERVERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from siamrec._core.book import Factory

_log = logging.getLogger("siamrec.plugins")

GROUP = "siamrec"
"""Entry-point group in which plugins are found."""

_HOOKS = {component.kind: hook for hook, component in COMPONENTS.items()}


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PluginInfo(Record):
    """One plugin, whether it works or not.

    Attributes:
        name: Its name: that of its entry point, or of its module; `"siamrec"` for the house.
        source: Distribution that it came with; its own name where it was handed in.
        version: Version of the distribution; empty where it was handed in.
        parts: Names of its parts by kind.
        observes: Observer hooks that it implements.
        error: Why it is left out; empty where it works.
    """

    name: str
    source: str
    version: str = ""
    parts: Mapping[str, tuple[str, ...]]
    observes: tuple[str, ...] = ()
    error: str = ""

    @override
    def title(self) -> str:
        n = sum(map(len, self.parts.values()))
        said = f"left out: {self.error}" if self.error else counted(n, "part")
        return f"Plugin {self.name} {self.version}: {said}"


@final
class Registry(Shown):
    """Parts by kind and name, each traceable to the plugin that brought it.

    The house's own parts are always there. A registry is a value: what it is made of is not
    written into the books of the rooms, so that what it knows is known where it is handed in.

    Args:
        plugins: Plugin objects: modules or instances with hook implementations.

    Raises:
        PluginConflictError: If two plugins offer one name for one kind.
        PluginError: If a hook raises, or does not return a mapping by text.

    Examples:
        >>> registry = Registry()
        >>> registry.make("recommender", "ease", l2=200.0)
        EASE(l2=200.0, positive=None, max_side=20000)
        >>> registry.make("recommender", "eas")
        Traceback (most recent call last):
        siamrec.errors.UnknownNameError: No recommender is named 'eas'. Did you mean 'ease', ...
    """

    def __init__(self, *plugins: object) -> None:
        self._manager = pluggy.PluginManager("siamrec")
        for hooks in HOOKS:
            self._manager.add_hookspecs(hooks)
        self._house: dict[str, dict[str, Factory]] = {}
        self._guests: dict[str, dict[str, Factory]] = {kind: {} for kind in _HOOKS}
        self._owner: dict[tuple[str, str], str] = {}
        self._contested: dict[tuple[str, str], tuple[str, ...]] = {}
        self._infos: list[PluginInfo] = []
        for plugin in plugins:
            self._add(plugin, _name_of(plugin), source=_name_of(plugin))

    @override
    def title(self) -> str:
        names = ", ".join(info.name for info in self._infos) or "the house alone"
        return f"Registry: {names}"

    @override
    def table(self) -> Table:
        """Return one row for each plugin."""
        rows = (
            (
                info.name,
                info.source,
                info.version,
                sum(map(len, info.parts.values())),
                info.error or None,
            )
            for info in self.plugins
        )
        head = ("plugin", "source", "version", "parts", "error")
        return Table(head=head, rows=tuple(rows), title=self.title())

    @classmethod
    def installed(cls) -> Registry:
        """Return the registry of the house's parts and of every installed plugin.

        A plugin that cannot be loaded, or takes a name of the house, is left out and reported by
        `plugins`; the others work. A name that two plugins claim is neither's, and both are
        reported; their other parts work.
        """
        registry = cls()
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            registry._add_entry(entry)
        return registry

    def make(self, kind: str, name: str, **settings: Any) -> Any:
        """Build the part of that kind and name.

        Raises:
            UnknownNameError: If there is no such kind or name; the nearest are offered.
            PluginConflictError: If two plugins claim the name.
        """
        return self.factory(kind, name)(**settings)

    def factory(self, kind: str, name: str) -> Factory:
        """Return what builds the part of that kind and name.

        Raises:
            UnknownNameError: If there is no such kind or name; the nearest are offered.
            PluginConflictError: If two plugins claim the name.
        """
        known = self.factories(kind)
        if (kind, name) in self._contested:
            raise PluginConflictError(self._conflict(kind, name))
        if name not in known:
            raise UnknownNameError(kind, name, known)
        return known[name]

    def factories(self, kind: str) -> dict[str, Factory]:
        """Return all factories of one kind by name; loads the room of that kind.

        Raises:
            UnknownNameError: If there is no such kind.
        """
        if kind not in _HOOKS:
            raise UnknownNameError("kind of part", kind, _HOOKS)
        return {**self._house_of(kind), **self._guests[kind]}

    def _house_of(self, kind: str) -> dict[str, Factory]:
        if kind not in self._house:
            self._house[kind] = COMPONENTS[_HOOKS[kind]].book().house()
        return self._house[kind]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the kinds of parts are called."""
        return tuple(sorted(_HOOKS))

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """The house, then every plugin that was found, the broken ones with their error."""
        for kind in _HOOKS:
            self.factories(kind)
        own = {kind: tuple(sorted(self._house[kind])) for kind in self.kinds}
        try:
            number = version("siamrec")
        except PackageNotFoundError:
            number = ""
        house = PluginInfo(name=HOUSE, source=HOUSE, version=number, parts=own)
        return (house, *self._infos)

    def tell(self, hook: str, **news: object) -> None:
        """Tell all observers; what one raises is logged and goes no further.

        Raises:
            UnknownNameError: If there is no such observer hook.
        """
        if hook not in OBSERVERS:
            raise UnknownNameError("observer hook", hook, OBSERVERS)
        for implementation in getattr(self._manager.hook, hook).get_hookimpls():
            arguments = [news[name] for name in implementation.argnames]
            try:
                implementation.function(*arguments)
            except (Exception, SystemExit):  # noqa: BLE001  a guest may raise anything at all
                _log.exception("Plugin %s failed in %s.", implementation.plugin_name, hook)

    def publish(self) -> None:
        """Write the guests' parts into the books of the rooms.

        A part whose name was taken meanwhile, by a host, is left out and reported.
        """
        for (kind, name), owner in self._owner.items():
            try:
                book = COMPONENTS[_HOOKS[kind]].book()
                book.add(name, self._guests[kind][name], owner=owner)
            except Exception as error:  # noqa: BLE001  a guest's part may be anything at all
                self._report(owner, error)
        for kind, name in self._contested:
            book = COMPONENTS[_HOOKS[kind]].book()
            book.contest(name, self._conflict(kind, name))

    def _report(self, plugin: str, error: Exception) -> None:
        said = failure(error)
        _log.warning("Plugin %s is left out in part: %s", plugin, said)
        self._infos = [
            replace(info, error=said) if info.name == plugin else info for info in self._infos
        ]

    def _add_entry(self, entry: EntryPoint) -> None:
        distribution = entry.dist
        source = distribution.name if distribution else entry.value
        number = distribution.version if distribution else ""
        name = entry.name
        try:
            self._add(entry.load(), name, source=source, number=number, alone=False)
        except (Exception, SystemExit) as error:  # noqa: BLE001  a guest may raise anything at all
            said = failure(error)
            _log.warning("Plugin %s (%s %s) is left out: %s", name, source, number, said)
            self._infos.append(
                PluginInfo(name=name, source=source, version=number, parts={}, error=said)
            )

    def _add(
        self, plugin: object, name: str, *, source: str, number: str = "", alone: bool = True
    ) -> None:
        """Take in a plugin, which must be alone with its names or shares none of them."""
        self._manager.register(plugin, name=name)
        try:
            found = {c.kind: self._offers(hook, name) for hook, c in COMPONENTS.items()}
            offers = {kind: factories for kind, factories in found.items() if factories}
            self._refuse_taken(name, offers, alone=alone)
        except BaseException:
            self._manager.unregister(plugin)
            raise
        shared = self._give_up(name, offers)
        for kind, factories in offers.items():
            self._guests[kind].update(factories)
            self._owner.update({(kind, part): name for part in factories})
        observes = tuple(hook for hook in OBSERVERS if self._implementations(hook, name))
        parts = {kind: tuple(sorted(found)) for kind, found in offers.items() if found}
        info = PluginInfo(name=name, source=source, version=number, parts=parts, observes=observes)
        self._infos.append(info)
        for each in shared:
            for owner in self._contested[each]:
                self._report(owner, PluginConflictError(self._conflict(*each)))

    def _implementations(self, hook: str, plugin: str) -> list[Any]:
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return [each for each in found if each.plugin_name == plugin]

    def _offers(self, hook: str, plugin: str) -> dict[str, Factory]:
        offers: dict[str, Factory] = {}
        for implementation in self._implementations(hook, plugin):
            try:
                found = implementation.function()
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"Plugin {plugin!r} failed in {hook}: {failure(error)}"
                ) from error
            if not hasattr(found, "items"):
                raise PluginError(
                    f"Plugin {plugin!r} returned {type(found).__name__} from {hook}, which must "
                    "return factories by name."
                )
            for part in found:
                if not isinstance(part, str):
                    raise PluginError(
                        f"Plugin {plugin!r} returned the name {shown(part)} from {hook}, which "
                        "must be text."
                    )
            offers.update(found)
        return offers

    def _refuse_taken(
        self, plugin: str, offers: Mapping[str, Mapping[str, Factory]], *, alone: bool
    ) -> None:
        """Refuse names of the house; where it must be alone, names of other plugins too."""
        for kind, factories in offers.items():
            taken = self.factories(kind) if alone else self._house_of(kind)
            for name in factories:
                if name in taken:
                    owner = self._owner.get((kind, name), HOUSE)
                    raise PluginConflictError(_both((owner, plugin), kind, name))

    def _give_up(
        self, plugin: str, offers: dict[str, dict[str, Factory]]
    ) -> list[tuple[str, str]]:
        """Take the names that other plugins claim too from all of them, and return those."""
        claimed = [(kind, name) for kind, factories in offers.items() for name in factories]
        shared = [each for each in claimed if each in self._owner or each in self._contested]
        for kind, name in shared:
            del offers[kind][name]
            before = self._contested.get((kind, name))
            if before is None:
                before = (self._owner.pop((kind, name)),)
                del self._guests[kind][name]
                self._infos = [
                    _without(info, kind, name) if info.name == before[0] else info
                    for info in self._infos
                ]
            self._contested[kind, name] = (*before, plugin)
        return shared

    def _conflict(self, kind: str, name: str) -> str:
        return _both(self._contested[kind, name], kind, name)


def failure(error: BaseException) -> str:
    """Return kind and message of what a guest raised, never endless."""
    return str(PluginError(f"{type(error).__name__}: {error}".removesuffix(": ")))


def _both(owners: tuple[str, ...], kind: str, name: str) -> str:
    return f"{' and '.join(map(repr, owners))} both offer the {kind} {name!r}; rename one."


def _without(info: PluginInfo, kind: str, name: str) -> PluginInfo:
    left = {**info.parts, kind: tuple(part for part in info.parts[kind] if part != name)}
    return replace(info, parts={kind: parts for kind, parts in left.items() if parts})


def default_registry() -> Registry:
    """Return the registry of installed plugins, made on first use.

    Raises:
        PluginError: If a plugin asks for it while it is being loaded.
    """
    found = installed_plugins()
    if found is None:
        raise PluginError("The installed plugins are being loaded; ask for them later, on use.")
    return cast("Registry", found)


def found_and_published() -> Registry:
    """Return the registry of installed plugins, with their parts in the books of the rooms."""
    registry = Registry.installed()
    registry.publish()
    return registry


def _name_of(plugin: object) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__name__))
