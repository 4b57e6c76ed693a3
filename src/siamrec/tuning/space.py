"""Settings of a recipe by dotted names, and where to search them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from siamrec.errors import MissingInputError, UnknownNameError
from siamrec.models.recommenders import RecommenderRecipe

if TYPE_CHECKING:
    from siamrec.models.recommenders.search import Range

__all__ = ["default", "space_of", "with_settings"]

RecipeT = TypeVar("RecipeT")


def with_settings(recipe: RecipeT, settings: Mapping[str, Any]) -> RecipeT:
    """Return a recipe with other settings.

    A dotted name reaches into recipes within: `"base.l2"`, or `"arms.ease.l2"` through a mapping.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such setting.

    Examples:
        >>> from siamrec.models.recommenders import EASE, LongTail
        >>> changed = with_settings(LongTail(base=EASE()), {"strength": 0.1, "base.l2": 50.0})
        >>> changed.strength, changed.base.l2
        (0.1, 50.0)
    """
    for name, value in settings.items():
        recipe = _changed(recipe, name.split("."), value)
    return recipe


def _changed(holder: Any, path: list[str], value: Any) -> Any:
    name, *deeper = path
    known = _children(holder)
    if name not in known:
        raise UnknownNameError("setting", name, known)
    new = _changed(known[name], deeper, value) if deeper else value
    if isinstance(holder, Mapping):
        return {**holder, name: new}
    return replace(holder, **{name: new})


def _children(holder: Any) -> dict[str, Any]:
    if isinstance(holder, Mapping):
        return dict(holder)
    if is_dataclass(holder):
        return {field.name: getattr(holder, field.name) for field in fields(holder)}
    return {}


def default(recipe: object, name: str) -> Any:
    """Return the value that a recipe has for a dotted setting.

    Raises:
        siamrec.errors.UnknownNameError: If there is no such setting.
    """
    value: Any = recipe
    for step in name.split("."):
        known = _children(value)
        if step not in known:
            raise UnknownNameError("setting", step, known)
        value = known[step]
    return value


def space_of(recipe: RecommenderRecipe, space: Mapping[str, Range] | None) -> dict[str, Range]:
    """Return the ranges to search: those given, else the recipe's own and its members'.

    Raises:
        siamrec.errors.MissingInputError: If there is none.
        siamrec.errors.UnknownNameError: If a range names no setting.
    """
    if space is None:
        space = dict(_declared(recipe, ""))
    for name in space:
        default(recipe, name)
    if not space:
        raise MissingInputError("space", f"tune({type(recipe).__name__}, ..., space={{...}})")
    return dict(space)


def _declared(recipe: RecommenderRecipe, prefix: str) -> dict[str, Range]:
    found = {f"{prefix}{name}": where for name, where in type(recipe).search_space.items()}
    for name, child in _children(recipe).items():
        inner = child.items() if isinstance(child, Mapping) else [(None, child)]
        for key, value in inner:
            if isinstance(value, RecommenderRecipe):
                path = f"{prefix}{name}." if key is None else f"{prefix}{name}.{key}."
                found |= _declared(value, path)
    return found
