"""What is installed, as lines for a terminal and as JSON values."""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from siamrec import errors
from siamrec._core import check
from siamrec._core.settings import parameters_of
from siamrec.errors import MissingInputError, PluginError, SiamrecError, UnknownNameError
from siamrec.plugins.hookspecs import COMPONENTS
from siamrec.plugins.registry import failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from siamrec.plugins.registry import PluginInfo, Registry

_BOOKS = {component.kind: component for component in COMPONENTS.values()}


def listing(
    registry: Registry, *, kind: str | None = None, name: str | None = None
) -> list[dict[str, Any]]:
    """Return every plugin with its version and parts, as JSON values.

    Args:
        registry: Knows the plugins.
        kind: Only parts of this kind, such as `"recommender"` or `"pair-generator"`.
        name: Only parts of this name, each with its settings.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such kind, or no part of that name.
    """
    kinds = [_kind(kind)] if kind is not None else sorted(_BOOKS)
    found = [_entry(registry, info, kinds, name) for info in registry.plugins]
    if name is not None and not any(entry["parts"] for entry in found):
        known = {part for each in kinds for part in registry.factories(each)}
        raise UnknownNameError("part" if kind is None else _kind(kind), name, known)
    if kind is None and name is None:
        return found
    return [entry for entry in found if entry["parts"] or entry["error"]]


def lines(entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a listing as lines that need no width."""
    for entry in entries:
        version = f" {entry['version']}" if entry["version"] else ""
        origin = "" if entry["name"] == entry["source"] else f" ({entry['source']}{version})"
        yield f"{entry['name']}{origin or version}"
        if entry["error"]:
            yield f"  broken: {entry['error']}"
        for kind, parts in entry["parts"].items():
            if isinstance(parts, list):
                yield f"  {kind}: {', '.join(parts)}"
                continue
            for part, about in parts.items():
                yield f"  {kind} {part}: {about['says']}"
                yield from (f"    {setting}" for setting in about["settings"])
        if entry["observes"]:
            yield f"  hears: {', '.join(entry['observes'])}"


@final
@dataclass(frozen=True, slots=True)
class Told:
    """What to print, and what is amiss."""

    text: str
    amiss: tuple[str, ...]


def shown(
    registry: Registry, *, kind: str | None, name: str | None, as_json: bool, checks: bool
) -> Told:
    """Return a listing as text, and what is amiss; raises as `listing` does.

    Args:
        registry: Knows the plugins.
        kind: As in `listing`.
        name: As in `listing`.
        as_json: Whether the text is JSON.
        checks: Whether every part is made once, beside the plugins being loaded.
    """
    entries = listing(registry, kind=kind, name=name)
    broken = [f"{entry['name']}: {entry['error']}" for entry in entries if entry["error"]]
    amiss = problems(registry) if checks else broken
    if as_json:
        text = json.dumps({"plugins": entries, "problems": amiss}, indent=2)
    else:
        text = "\n".join([*lines(entries), *(f"amiss: {line}" for line in amiss if checks)])
    return Told(text, tuple(amiss))


def problems(registry: Registry) -> list[str]:
    """Return what is wrong with plugins and their parts; every part with defaults is made once."""
    found = [f"{info.name}: {info.error}" for info in registry.plugins if info.error]
    for info in registry.plugins:
        for kind, parts in info.parts.items():
            found += [
                f"{info.name}: the {kind} {errors.shown(part)}: {reason}"
                for part in parts
                if (reason := _problem(registry, kind, part))
            ]
    return found


def _problem(registry: Registry, kind: str, part: str) -> str:
    book, factory = _BOOKS[kind].book(), registry.factory(kind, part)
    try:
        if not book.brings_more:
            book.require(book.made_by(part, factory))
        elif not book.is_factory(factory):
            return f"the hook must return a {book.brings_more}"
    except MissingInputError:
        return ""  # needs a setting that only its user knows
    except SiamrecError as error:
        return str(error)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a guest may raise anything at all
        return failure(error)
    return ""


def _kind(text: str) -> str:
    return check.one_of("kind of part", text.replace("-", " "), _BOOKS)


def _entry(
    registry: Registry, info: PluginInfo, kinds: Sequence[str], name: str | None
) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for kind in kinds:
        chosen = [part for part in info.parts.get(kind, ()) if name in {None, part}]
        if chosen:
            told = {part: _about(registry.factory(kind, part)) for part in chosen}
            parts[kind] = chosen if name is None else told
    return {
        "name": info.name,
        "source": info.source,
        "version": info.version,
        "parts": parts,
        "observes": list(info.observes),
        "error": info.error,
    }


def _about(factory: Any) -> dict[str, Any]:
    """Return the first line of a factory's documentation, and its settings with their defaults."""
    says = (inspect.getdoc(factory) or "").partition("\n")[0]
    try:
        parameters = parameters_of("part", factory)
    except PluginError:  # `problems` tells of those that should have settings
        return {"says": says, "settings": []}
    settings = [
        str(each.replace(annotation=inspect.Parameter.empty)).lstrip("*")
        for each in parameters
        if each.kind in {each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY}
    ]
    return {"says": says, "settings": settings}
