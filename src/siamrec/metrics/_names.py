"""The language of metric names: `stem(setting=value,rel>=4)@{5,10}`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from siamrec._core import settings
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec._core.book import Book
    from siamrec.metrics.base import AnyMetric, MetricFactory

Setting: TypeAlias = str | int | float | bool | None

_FORM = re.compile(
    r"^\s*(?P<stem>[A-Za-z_][\w-]*)\s*"
    r"(?:\((?P<settings>[^()]*)\))?\s*"
    r"(?:@\s*(?P<k>\d+|\{\s*\d+(?:\s*,\s*\d+)*\s*\}))?\s*$"
)
_WORDS: dict[str, Setting] = {"true": True, "false": False, "none": None}


def expand(text: str) -> list[str]:
    """Return one name for each cut-off: `"recall@{5,10}"` is `recall@5` and `recall@10`.

    Raises:
        siamrec.errors.InvalidParameterError: If the name is not of the form.
    """
    stem, given, cuts = _parts(text)
    inside = f"({given})" if given else ""
    return [f"{stem}{inside}{'' if cut is None else f'@{cut}'}" for cut in cuts]


def build(text: str, factories: Mapping[str, MetricFactory], book: Book[AnyMetric]) -> AnyMetric:
    """Return the metric of one name: made by one of `factories`, else by the book's.

    Raises:
        siamrec.errors.UnknownNameError: If the stem is not known; nearest names are offered.
        siamrec.errors.InvalidParameterError: If a setting is unknown or out of range.
    """
    stem, listed, cuts = _parts(text)
    factory = factories[stem] if stem in factories else book.factory(stem)
    given: dict[str, Setting] = dict(_setting(text, part) for part in _split(listed))
    if cuts[0] is not None:
        given["k"] = cuts[0]
    try:
        metric: AnyMetric = factory(**given)
    except TypeError as error:
        raise InvalidParameterError(
            "metric", text, f"a name whose settings {stem!r} knows ({error})"
        ) from error
    return metric


def has_settings(text: str) -> bool:
    """Whether a text is a name with settings as all parts take them: `"ndcg:k=5"`."""
    return text.partition(":")[0].strip().isidentifier() and ":" in text


def with_settings(
    text: str, factories: Mapping[str, MetricFactory], book: Book[AnyMetric]
) -> AnyMetric:
    """Return the metric of `"ndcg:k=5"`; raises as `Book.make` does."""
    stem, given = settings.parted("metric", text)
    if stem not in factories:
        return book.make(text)
    whose, factory = f"metric {stem!r}", factories[stem]
    return book.require(settings.called(whose, factory, settings.typed(whose, factory, given), {}))


def _parts(text: str) -> tuple[str, str, list[int | None]]:
    form = _FORM.match(text)
    if form is None:
        raise InvalidParameterError(
            "metric", text, "a name such as 'ndcg@10', 'recall@{5,10}' or 'ndcg(gain=exp)@10'"
        )
    given = ",".join(part.strip() for part in _split(form["settings"] or ""))
    cuts = [int(cut) for cut in re.findall(r"\d+", form["k"] or "")]
    return form["stem"].lower(), given, [*cuts] or [None]


def _split(given: str) -> list[str]:
    return [part for part in given.split(",") if part.strip()]


def _setting(text: str, part: str) -> tuple[str, Setting]:
    sign = ">=" if ">=" in part else "="
    name, found, value = (piece.strip() for piece in part.partition(sign))
    if not found or not name or not value or (sign == ">=" and name != "rel"):
        raise InvalidParameterError(
            "metric", text, "a name with settings such as 'gain=exp' or 'rel>=4'"
        )
    return name, _value(value)


def _value(text: str) -> Setting:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
