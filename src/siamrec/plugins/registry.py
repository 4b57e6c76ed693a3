"""A closed book of named parts, filled once from plugins."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, final

import pluggy

from siamrec.errors import PluginConflictError, PluginError, UnknownNameError
from siamrec.plugins import builtin
from siamrec.plugins.hookspecs import COMPONENTS, HOOKS, OBSERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.metadata import EntryPoint

_log = logging.getLogger("siamrec.plugins")

GROUP = "siamrec"
"""Entry-point group in which plugins are found."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """One plugin, whether it works or not.

    Attributes:
        name: Its name: that of its entry point, or of its module.
        source: Distribution and version it came with; `"built in"` for the house's own.
        parts: Names of its parts by kind.
        observes: Observer hooks that it implements.
        error: Why it is left out; empty where it works.
    """

    name: str
    source: str
    parts: Mapping[str, tuple[str, ...]]
    observes: tuple[str, ...] = ()
    error: str = ""


@final
class Registry:
    """Parts by kind and name, each traceable to the plugin that brought it.

    The house's own parts are always there; they come through the same hooks.

    Args:
        plugins: Plugin objects: modules or instances with hook implementations.

    Raises:
        PluginConflictError: If two plugins offer one name for one kind.
        PluginError: If a hook raises or returns no mapping.

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
        self._parts: dict[str, dict[str, Callable[..., Any]]] = {
            kind: {} for kind in COMPONENTS.values()
        }
        self._owner: dict[tuple[str, str], str] = {}
        self._infos: list[PluginInfo] = []
        self._add(builtin, "built in", source="built in")
        for plugin in plugins:
            self._add(plugin, _name_of(plugin), source=_name_of(plugin))

    @classmethod
    def installed(cls) -> Registry:
        """Return the registry of the house's parts and of every installed plugin.

        A plugin that cannot be loaded, or whose names are taken, is left out and reported by
        `plugins`; the others work.
        """
        registry = cls()
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
            registry._add_entry(entry)
        return registry

    def make(self, kind: str, name: str, **settings: Any) -> Any:
        """Build the part of that kind and name.

        Raises:
            UnknownNameError: If there is no such kind or name; the nearest are offered.
        """
        return self.factory(kind, name)(**settings)

    def factory(self, kind: str, name: str) -> Callable[..., Any]:
        """Return what builds the part of that kind and name.

        Raises:
            UnknownNameError: If there is no such kind or name; the nearest are offered.
        """
        if kind not in self._parts:
            raise UnknownNameError("kind of part", kind, self._parts)
        if name not in self._parts[kind]:
            raise UnknownNameError(kind, name, self._parts[kind])
        return self._parts[kind][name]

    def factories(self, kind: str) -> dict[str, Callable[..., Any]]:
        """Return all factories of one kind by name.

        Raises:
            UnknownNameError: If there is no such kind.
        """
        if kind not in self._parts:
            raise UnknownNameError("kind of part", kind, self._parts)
        return dict(self._parts[kind])

    @property
    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was found, the broken ones with their error."""
        return tuple(self._infos)

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
            except Exception:  # noqa: BLE001  a guest may raise anything at all
                _log.exception("Plugin %s failed in %s.", implementation.plugin_name, hook)

    def _add_entry(self, entry: EntryPoint) -> None:
        distribution = entry.dist
        source = f"{distribution.name} {distribution.version}" if distribution else "unknown"
        try:
            self._add(entry.load(), entry.name, source=source)
        except Exception as error:  # noqa: BLE001  a guest may raise anything at all
            _log.warning("Plugin %s (%s) is left out: %s", entry.name, source, error)
            self._infos.append(
                PluginInfo(
                    name=entry.name,
                    source=source,
                    parts={},
                    error=f"{type(error).__name__}: {error}",
                )
            )

    def _add(self, plugin: object, name: str, *, source: str) -> None:
        self._manager.register(plugin, name=name)
        try:
            offers = {kind: self._offers(hook, name) for hook, kind in COMPONENTS.items()}
            self._refuse_taken(name, offers)
        except Exception:
            self._manager.unregister(plugin)
            raise
        for kind, factories in offers.items():
            self._parts[kind].update(factories)
            self._owner.update({(kind, part): name for part in factories})
        observes = tuple(hook for hook in OBSERVERS if self._implementations(hook, name))
        parts = {kind: tuple(sorted(found)) for kind, found in offers.items() if found}
        self._infos.append(PluginInfo(name=name, source=source, parts=parts, observes=observes))

    def _implementations(self, hook: str, plugin: str) -> list[Any]:
        found = getattr(self._manager.hook, hook).get_hookimpls()
        return [each for each in found if each.plugin_name == plugin]

    def _offers(self, hook: str, plugin: str) -> dict[str, Callable[..., Any]]:
        offers: dict[str, Callable[..., Any]] = {}
        for implementation in self._implementations(hook, plugin):
            found = implementation.function()
            if not hasattr(found, "items"):
                raise PluginError(
                    f"Plugin {plugin!r} returned {type(found).__name__} from {hook}, which must "
                    "return factories by name."
                )
            offers.update(found)
        return offers

    def _refuse_taken(self, plugin: str, offers: Mapping[str, Iterable[str]]) -> None:
        for kind, names in offers.items():
            for name in names:
                if (kind, name) in self._owner:
                    raise PluginConflictError(
                        f"Plugins {self._owner[kind, name]!r} and {plugin!r} both offer the "
                        f"{kind} {name!r}; rename one."
                    )


@cache
def default_registry() -> Registry:
    """Return the registry of installed plugins, made on first use."""
    return Registry.installed()


def _name_of(plugin: object) -> str:
    return str(getattr(plugin, "__name__", type(plugin).__name__))
