"""The bridge from a running loop to plugins that are not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from siamrec.lifecycle import LoopEvent
    from siamrec.plugins.registry import Registry


@final
class PluginObserver:
    """An observer of `ImprovementLoop` that passes its news on to the plugins of a registry.

    Installed plugins hear of everything by themselves; this is for those handed in.

    Args:
        registry: Knows the plugins.

    Examples:
        >>> from siamrec.lifecycle import LoopEvent
        >>> from siamrec.plugins import Registry, hookimpl
        >>> class Listener:
        ...     heard: list[str] = []
        ...
        ...     @hookimpl
        ...     def siamrec_experiment_decided(self, result):
        ...         self.heard.append(result["decision"])
        >>> listener = Listener()
        >>> observer = PluginObserver(Registry(listener))
        >>> observer(LoopEvent(kind="finished", step="experiment", result={"decision": "ship"}))
        >>> listener.heard
        ['ship']
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tuning: dict[str, Any] = {}

    def __call__(self, event: LoopEvent) -> None:
        """Pass one event on, where a hook exists for it."""
        if event.kind == "activated":
            back = event.result["action"] == "rolled_back"
            hook = "siamrec_rolled_back" if back else "siamrec_version_activated"
            self._registry.tell(hook, change=event.result)
        elif event.kind == "finished" and event.step == "arms":
            self._tuning = dict(event.result["tuning"])
        elif event.kind == "finished" and event.step == "register":
            version = event.result["tuned"]
            self._registry.tell("siamrec_model_trained", version=version, result=self._tuning)
        elif event.kind == "finished" and event.step == "experiment":
            self._registry.tell("siamrec_experiment_decided", result=event.result)
