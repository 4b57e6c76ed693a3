"""Plugins: hook specifications, and the registry of every part that is installed."""

from siamrec.plugins.hookspecs import hookimpl
from siamrec.plugins.observer import PluginObserver
from siamrec.plugins.registry import PluginInfo, Registry, default_registry

__all__ = ["PluginInfo", "PluginObserver", "Registry", "default_registry", "hookimpl"]
