"""The one slot of the process: how the installed plugins are found, and what was found."""

from __future__ import annotations

import os
from importlib import import_module
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol, cast, final

if TYPE_CHECKING:
    from collections.abc import Callable


class Plugins(Protocol):
    """What knows the installed plugins."""

    def tell(self, hook: str, **news: object) -> None:
        """Tell all observers."""
        ...


@final
class Installed:
    """The one slot of the process: how the installed plugins are found, and what was found."""

    def __init__(self) -> None:
        self.find: Callable[[], Plugins] | None = None
        self.found: Plugins | None = None
        self.asking = False
        self.lock = RLock()

    def ask(self) -> Plugins | None:
        """Find the plugins once; a plugin that asks while it is being loaded gets None."""
        with self.lock:
            if self.found is None and self.find is not None and not self.asking:
                self.asking = True
                try:
                    self.found = self.find()
                finally:
                    self.asking = False
            return self.found

    def unlock(self) -> None:
        """Give a forked child a lock of its own: who held it is in the parent."""
        self.lock, self.asking = RLock(), False


INSTALLED = Installed()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=INSTALLED.unlock)


def find_plugins_at(address: str) -> None:
    """Say what finds the installed plugins and writes their parts into the books.

    Args:
        address: Address `"module:name"` of a function; loaded when a name is first asked for that
            no book has.
    """
    INSTALLED.find = lambda: cast("Plugins", at(address)())


def installed_plugins() -> Plugins | None:
    """Return what knows the installed plugins, found on first use; None while they load."""
    return INSTALLED.ask()


def tell_plugins(hook: str, **news: object) -> None:
    """Tell the installed plugins that something happened, through one of their observer hooks."""
    plugins = installed_plugins()
    if plugins is not None:
        plugins.tell(hook, **news)


def at(address: str) -> Any:
    """Return what stands at an address `"module:name"`."""
    module, _, name = address.partition(":")
    return getattr(import_module(module), name)
