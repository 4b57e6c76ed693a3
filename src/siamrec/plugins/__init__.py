"""Plugins: hook specifications, and the registry of every part that is installed.

Names are loaded on first use: a plugin that imports `hookimpl` waits for nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from siamrec.plugins.hookspecs import hookimpl

if TYPE_CHECKING:
    from siamrec.plugins.observer import PluginObserver as PluginObserver
    from siamrec.plugins.registry import PluginInfo as PluginInfo
    from siamrec.plugins.registry import Registry as Registry
    from siamrec.plugins.registry import default_registry as default_registry

_HOMES = {
    "PluginInfo": "registry",
    "PluginObserver": "observer",
    "Registry": "registry",
    "default_registry": "registry",
}

__all__ = ["PluginInfo", "PluginObserver", "Registry", "default_registry", "hookimpl"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'siamrec.plugins' has no attribute {name!r}")
    return getattr(import_module(f"siamrec.plugins.{_HOMES[name]}"), name)
