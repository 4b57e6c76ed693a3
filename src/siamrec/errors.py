"""Everything siamrec raises on purpose, so that a host can catch one family.

Every error is also the builtin exception that a caller would expect, and carries its
parts as attributes beside the message.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from reprlib import Repr
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "InvalidDataError",
    "InvalidParameterError",
    "LeakageError",
    "MissingCapabilityError",
    "MissingExtraError",
    "MissingInputError",
    "ModelLoadError",
    "NotTrainedError",
    "PluginConflictError",
    "PluginError",
    "RegressionFound",
    "RejectedDataError",
    "SiamrecError",
    "StaleWriteError",
    "StoppedError",
    "StorageError",
    "TrainingDivergedError",
    "UnknownNameError",
    "UnsupportedEstimate",
]


_LIKE = 0.5  # two letters swapped in a word of four still count as near
_LONGEST = 1_000
"""Letters of a message: whole columns and documents belong into no log."""
_COMPARED = 10_000
"""Names that are compared with one that is not known, at most."""


@final
class _Short(Repr):
    """Short, and a number of NumPy as the number it is, also inside of lists and mappings."""

    @override
    def repr1(self, x: Any, level: int) -> str:
        # This floor does without NumPy.
        is_number = type(x).__module__ == "numpy" and getattr(x, "ndim", 1) == 0
        return super().repr1(x.item() if is_number else x, level)


_short = _Short()
_short.maxstring = _short.maxother = 160
_short.maxlong = 60
_short.maxtuple = _short.maxlist = _short.maxdict = _short.maxset = _short.maxfrozenset = 8


class SiamrecError(Exception):
    """Root of every error raised on purpose by siamrec.

    Its message is never endless, and no control code in it reaches a terminal.
    """

    @override
    def __str__(self) -> str:
        message = spelt(super().__str__())
        return message if len(message) <= _LONGEST else message[: _LONGEST - 1] + "…"


def spelt(text: str) -> str:
    r"""Return a text whose control codes, and marks that turn its direction, are spelt out.

    Examples:
        >>> spelt("\x1b[2Jé")
        '\\x1b[2Jé'
    """
    return text if text.isprintable() else _CODES.sub(lambda code: ascii(code[0])[1:-1], text)


_CODES = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""All but line breaks, which are part of tables, and the joiners that letters and emoji need."""


def shown(value: object) -> str:
    """Return a value as messages name it: short, and a number of NumPy as the number it is.

    Examples:
        >>> shown("x" * 1000)[:20], len(shown("x" * 1000)) < 200, shown(list(range(100)))
        ("'xxxxxxxxxxxxxxxxxxx", True, '[0, 1, 2, 3, 4, 5, 6, 7, ...]')
    """
    return _short.repr(value)


class InvalidParameterError(SiamrecError, ValueError):
    """A constructor or call argument is outside its documented range."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        super().__init__(f"{name} must be {expected}, got {shown(value)}.")
        self.name = name
        self.value = value
        self.expected = expected


class InvalidDataError(SiamrecError, ValueError):
    """Columns break the contract of their type (length, dtype, range, NaN)."""


class RejectedDataError(InvalidDataError):
    """Too many rows of an input were bad to go on with the rest."""


class MissingInputError(SiamrecError, ValueError):
    """A computation needs an input that was not given; the message shows how to give it."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"{name} is needed here; pass it as {remedy}.")
        self.name = name
        self.remedy = remedy


def nearest(name: object, known: Iterable[str], *, like: float = _LIKE) -> list[str]:
    """Return at most three of the known names that a name may be a slip of.

    Args:
        name: The name.
        known: Names that there are.
        like: Least likeness in [0, 1]; 1 asks for the same letters.

    Examples:
        >>> nearest("popularty", ["ease", "popularity"])
        ['popularity']
    """
    compared = sorted(map(str, known))[:_COMPARED]
    return get_close_matches(str(name), compared, n=3, cutoff=like)


class UnknownNameError(SiamrecError, LookupError):
    """A name is not known; the message offers the nearest ones."""

    def __init__(self, kind: str, name: object, known: Iterable[object]) -> None:
        self.kind = kind
        self.name = name
        there = {str(each): each for each in known}
        self.known = tuple(sorted(there))
        near = [there[each] for each in nearest(name, self.known)]
        hint = f" Did you mean {', '.join(map(shown, near))}?" if near else ""
        other = there.get(str(name))
        if other is not None and type(other) is not type(name):  # 65 beside "65"
            said = ("a text" if isinstance(each, str) else "a number" for each in (name, other))
            hint = f" It is {next(said)}, and {shown(other)} is {next(said)}."
        listed = ", ".join(self.known[:20]) + (", …" if len(self.known) > 20 else "")
        super().__init__(f"No {kind} is named {shown(name)}.{hint} Known: {listed or '-'}.")


class LeakageError(SiamrecError, ValueError):
    """Training and evaluation data overlap; `overlap` says in what and how much."""

    def __init__(self, message: str, overlap: dict[str, int] | None = None) -> None:
        super().__init__(message)
        self.overlap = dict(overlap or {})


class NotTrainedError(SiamrecError, RuntimeError):
    """A recipe was asked for what only a fitted value can answer."""


class MissingCapabilityError(SiamrecError, NotImplementedError):
    """A model cannot do what it was asked; the message names the models that can."""

    def __init__(self, model: str, capability: str, able: Iterable[str]) -> None:
        self.model = model
        self.capability = capability
        self.able = tuple(sorted(set(able)))
        super().__init__(
            f"{model} does not have the capability {capability}. "
            f"Models that have it: {', '.join(self.able) or '-'}."
        )


class TrainingDivergedError(SiamrecError, ArithmeticError):
    """Training reached a loss that is not finite."""


class ModelLoadError(SiamrecError, OSError):
    """Model files are missing, unreadable or unsafe; the message names a way out."""


class RegressionFound(SiamrecError, AssertionError):  # noqa: N818
    """A metric is worse than its baseline by more than the allowed margin."""


class UnsupportedEstimate(SiamrecError, ArithmeticError):  # noqa: N818
    """The data cannot support the estimate that was asked for; the message says why."""


class StorageError(SiamrecError, OSError):
    """The event log or a registry could not be read or written."""


class StaleWriteError(StorageError):
    """Somebody else changed the value first; read it again and decide anew."""


class StoppedError(SiamrecError, InterruptedError):
    """A worker was told to stop while it had a job, which waits for another worker now."""


class PluginError(SiamrecError, RuntimeError):
    """A plugin is broken or does not fit this version."""


class PluginConflictError(PluginError):
    """Two plugins claim one name."""


class MissingExtraError(SiamrecError, ImportError):
    """An optional dependency is not installed; the message holds the pip line."""

    def __init__(self, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs an extra: pip install 'siamrec[{extra}]'.")
        self.extra = extra
