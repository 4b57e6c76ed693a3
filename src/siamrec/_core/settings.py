"""Settings of parts as text and as JSON: read, typed by the part's own fields, and written."""

from __future__ import annotations

import ast
import inspect
import math
import re
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, final

from typing_extensions import override

from siamrec.errors import (
    InvalidParameterError,
    MissingInputError,
    PluginError,
    UnknownNameError,
    shown,
)

Factory: TypeAlias = Callable[..., Any]

_WORDS = {"true": True, "false": False, "none": None}
_SCALARS = (bool, int, float, types.NoneType)
_OPENING, _CLOSING = "([{", ")]}"


def parted(kind: str, text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings of `"ease:l2=300,positive=4"`, not typed yet.

    Raises:
        InvalidParameterError: If the text is not of the form.
    """
    name, colon, rest = text.partition(":")
    settings: dict[str, Any] = {}
    for piece in _split(rest):
        key, sign, value = piece.partition("=")
        if not sign or not key.strip().isidentifier() or key.strip() in settings:
            raise InvalidParameterError(kind, text, "a name such as 'name' or 'name:setting=1'")
        settings[key.strip()] = value.strip()
    if colon and not settings:
        raise InvalidParameterError(kind, text, "a name such as 'name' or 'name:setting=1'")
    return name.strip(), settings


def typed(whose: str, factory: Factory, settings: Mapping[str, str]) -> dict[str, Any]:
    """Return settings given as text in the types of the factory's parameters.

    Raises:
        UnknownNameError: If there is no such setting.
        InvalidParameterError: If a text cannot be read as the type.
    """
    require_known(whose, factory, settings)
    hints = _hints(factory)
    return {name: _read(name, text, hints.get(name, Any)) for name, text in settings.items()}


def decoded(whose: str, factory: Factory, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings given as JSON values in the types of the factory's parameters.

    Raises:
        UnknownNameError: If there is no such setting.
        InvalidParameterError: If a value is of another type.
    """
    require_known(whose, factory, settings)
    hints, usual = _hints(factory), _usual(factory)
    return {
        name: _decode(name, value, hints.get(name, Any), usual.get(name))
        for name, value in settings.items()
    }


def called(
    whose: str, factory: Factory, given: Mapping[str, Any], known: Mapping[str, Any]
) -> Any:
    """Return what a factory makes of settings, and of what is known where it takes that.

    Raises:
        MissingInputError: If it needs a setting that is not given.
        PluginError: If its settings cannot be told.
    """
    parameters = _named(parameters_of(whose, factory))
    taken = {name: value for name, value in known.items() if name in parameters}
    settings = {**taken, **given}
    for name, parameter in parameters.items():
        if name not in settings and parameter.default is parameter.empty:
            raise MissingInputError(
                f"{name} of the {whose}", f"'name:{name}=…' or {{'name': …, {name!r}: …}}"
            )
    return factory(**settings)


def parameters_of(whose: str, factory: Factory) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a factory.

    Raises:
        PluginError: If they cannot be told, as of `dict` or of what cannot be called.
    """
    try:
        return tuple(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError) as error:
        raise PluginError(
            f"The {whose} is made by {shown(factory)}, whose settings cannot be told: {error}"
        ) from error


def require_known(whose: str, factory: Factory, settings: Mapping[str, Any]) -> None:
    """Refuse settings that a factory does not take.

    Raises:
        UnknownNameError: If there is one; the nearest are offered.
        PluginError: If its settings cannot be told.
    """
    every = parameters_of(whose, factory)
    if any(each.kind is each.VAR_KEYWORD for each in every):
        return
    parameters = _named(every)
    for name in settings:
        if name not in parameters:
            raise UnknownNameError(f"setting of the {whose}", name, parameters)


def encoded(part: Any) -> dict[str, Any]:
    """Return the settings of a frozen recipe as JSON values.

    Raises:
        InvalidParameterError: If it is no dataclass, or a setting is a live object.
    """
    if not is_dataclass(part):
        raise InvalidParameterError(
            type(part).__name__, part, "a recipe, whose settings can be written"
        )
    return {
        field.name: _encode(f"{type(part).__name__}.{field.name}", getattr(part, field.name))
        for field in fields(part)
        if field.init
    }


def _encode(name: str, value: Any) -> Any:  # noqa: PLR0911  (one kind of value a line)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)  # NumPy's are floats too
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _encode(f"{name}[{key!r}]", each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_encode(f"{name}[{place}]", each) for place, each in enumerate(value)]
    return _encode_object(name, value)


def _encode_object(name: str, value: Any) -> Any:
    if hasattr(value, "to_config"):
        return value.to_config()
    if is_dataclass(value) and not isinstance(value, type):
        return encoded(value)
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "ndim", None) == 0:
        return _encode(name, item())  # a number of NumPy
    raise InvalidParameterError(
        name,
        f"a {type(value).__name__}",
        "a value that can be written as JSON; hand in a live object when the part is made anew",
    )


def _split(text: str) -> list[str]:
    """Return the pieces between commas that stand in no bracket and no quotation marks."""
    pieces, depth, quote, start = [], 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        else:
            depth += (sign in _OPENING) - (sign in _CLOSING)
            if sign == "," and depth == 0:
                pieces.append(text[start:place])
                start = place + 1
    pieces.append(text[start:])
    return [piece for piece in pieces if piece.strip()]


def _read(name: str, text: str, hint: Any) -> Any:
    """Return a text as the value it writes down."""
    kinds = _options(hint)
    if all(kind in {str, types.NoneType} for kind in kinds):
        plain = None if text.lower() == "none" and types.NoneType in kinds else text
        quoted = re.fullmatch(r"(['\"])(.*)\1", text)
        return quoted[2] if quoted else plain
    if text.lower() in _WORDS:
        value: Any = _WORDS[text.lower()]
    else:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = text
    return _decode(name, value, hint)


def _decode(name: str, value: Any, hint: Any, usual: Any = None) -> Any:  # noqa: PLR0911  (one kind a line)
    """Return a JSON value in the type that a parameter asks for; what is open passes."""
    kinds = _options(hint)
    if isinstance(value, Mapping):
        return _decode_mapping(name, value, [*kinds, type(usual)])
    if value is None or Any in kinds:
        return value
    if isinstance(value, bool):
        fits = bool in kinds or not set(kinds) <= set(_SCALARS)
        return _fitting(name, value, kinds, fits=fits)
    if isinstance(value, int) and float in kinds and int not in kinds:
        return float(value)
    if isinstance(value, str) and value in {"inf", "-inf", "nan"} and float in kinds:
        return float(value)
    if not isinstance(value, list | tuple):
        scalar = set(kinds) <= set(_SCALARS)
        return _fitting(name, value, kinds, fits=not scalar or isinstance(value, tuple(kinds)))
    for kind in kinds:
        inside = typing.get_args(kind)
        if (typing.get_origin(kind) or kind) is tuple:
            each = inside[0] if inside else Any
            return tuple(_decode(name, one, each) for one in value)
    return value


def _decode_mapping(name: str, value: Mapping[str, Any], kinds: list[Any]) -> Any:
    """Return the part or the value that a mapping describes; others stay mappings."""
    for kind in kinds:
        if "name" in value and hasattr(kind, "from_config"):
            return kind.from_config(value)
        if isinstance(kind, type) and is_dataclass(kind):
            return kind(**decoded(name, kind, value))
    return value


def _fitting(name: str, value: Any, kinds: list[Any], *, fits: bool) -> Any:
    if not fits:
        words = " or ".join(
            "none" if kind is types.NoneType else getattr(kind, "__name__", str(kind))
            for kind in kinds
        )
        raise InvalidParameterError(name, value, f"of the type {words}")
    return value


def _options(hint: Any) -> list[Any]:
    """Return the types that a hint lets in."""
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        return [kind for each in typing.get_args(hint) for kind in _options(each)]
    if typing.get_origin(hint) is typing.Literal:
        return list(dict.fromkeys(type(each) for each in typing.get_args(hint)))
    return [types.NoneType if hint is None else hint]


def _usual(factory: Factory) -> dict[str, Any]:
    """Return the default of each field of a dataclass."""
    if not is_dataclass(factory):
        return {}
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(factory)
    }


def _named(parameters: Sequence[inspect.Parameter]) -> dict[str, inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each for each in parameters if each.kind in named}


@final
class _Open(type):
    """A type whose name is known to the type checker only: it lets every value in."""

    @override
    def __or__(cls, other: Any) -> Any:
        return Any

    @override
    def __ror__(cls, other: Any) -> Any:
        return Any

    def __getitem__(cls, inside: Any) -> Any:
        return Any


@final
class _Names(dict[str, Any]):
    """Names of a module; those imported for the type checker alone stand for anything."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(sys.modules[module]))

    def __missing__(self, name: str) -> Any:
        builtins: Any = __builtins__
        known = builtins if isinstance(builtins, dict) else vars(builtins)
        return known.get(name, _Open("Open", (), {}))


def _hints(factory: Factory) -> Mapping[str, Any]:
    """Return the types of a factory's parameters; what cannot be told is open."""
    inner = getattr(factory, "func", factory)
    return _hints_of(inner) if isinstance(inner, type) else _told(inner)


@lru_cache(maxsize=1_000)
def _hints_of(kind: type) -> Mapping[str, Any]:
    """Return the types of the settings of a class, found once: it takes milliseconds."""
    # of a class that is no dataclass, for its annotations
    return _told(kind if is_dataclass(kind) else kind.__init__)  # type: ignore[misc]


def _told(inner: Any) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(inner, localns=_Names(inner.__module__))
    except (TypeError, AttributeError, NameError):
        return {}
