"""Events of many blocks as one value, and what can be judged only when all of them are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from siamrec._core.table import day
from siamrec.data.feedback import Feedback, FeedbackKind
from siamrec.data.times import NANOSECONDS, NO_TIME
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.feedback._meaning import mixed_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from siamrec.typing import BoolArray, CodeArray, Float32Array

_DECADES = 30 * 365 * 86_400 * 10**9
_FEW = 0.01
"""Share of rows that may be set apart as strange; more are a question to ask."""
_SENTINELS = (-1.0, 0.0, 99.0, -99.0, 999.0, -999.0, 9999.0)
"""Numbers that stand for "not rated" in one file or another."""
_UNITS = frozenset(NANOSECONDS)


def coded(column: Any) -> tuple[Vocabulary, CodeArray]:
    """Return the vocabulary of blocks of ids, and the code of each; -1 where there is none."""
    unified = column.unify_dictionaries()
    parts = [
        chunk.indices.fill_null(UNKNOWN).to_numpy(zero_copy_only=False) for chunk in unified.chunks
    ]
    codes = np.concatenate([np.zeros(0, dtype=np.int32), *parts]).astype(np.int32)
    last = unified.chunks[-1].dictionary.to_pylist() if unified.chunks else []
    return Vocabulary(tuple(last)), codes


def assembled(blocks: Sequence[dict[str, Any]]) -> Feedback:
    """Return the events of all blocks, which are empty then: no column is held twice.

    Raises:
        InvalidDataError: If ids are texts in one block and numbers in another.
    """
    import pyarrow as pa  # takes its time

    def numbers(name: str, dtype: Any) -> Any:
        return np.concatenate([block.pop(name).astype(dtype) for block in blocks])

    def chunks(name: str) -> Any:
        return pa.chunked_array(_of_one_kind([block.pop(name) for block in blocks], name))

    first = frozenset(blocks[0])
    users, user = coded(chunks("user"))
    items, item = coded(chunks("item"))
    optional: dict[str, Any] = {}
    if "query" in first:
        optional["queries"], optional["query"] = coded(chunks("query"))
    if "decision" in first:
        optional["decision"] = _decisions(
            _of_one_kind([b["decision"] for b in blocks], "decision")
        )
    if "position" in first:
        optional["position"] = numbers("position", np.int32)
    if "propensity" in first:
        optional["propensity"] = numbers("propensity", np.float64)
    n = len(user)
    context = {
        name.removeprefix("context "): _context([block[name] for block in blocks])
        for name in first
        if name.startswith("context ")
    }
    return Feedback(
        users=users,
        items=items,
        user=user,
        item=item,
        value=numbers("value", np.float32),
        kind=numbers("kind", np.int8),
        time=numbers("time", np.int64),
        weight=numbers("weight", np.float32) if "weight" in first else np.ones(n, np.float32),
        context=context,
        **optional,
    )


def _of_one_kind(parts: list[Any], name: str) -> list[Any]:
    """Return the parts in one type; a part of nulls alone has that of the others."""
    kinds = {part.type for part in parts if part.null_count < len(part)}
    if len(kinds) > 1:
        raise InvalidDataError(mixed_ids(name))
    kind = kinds.pop() if kinds else parts[0].type
    return [part.cast(kind) for part in parts]


def _decisions(parts: list[Any]) -> Any:
    import pyarrow as pa

    column = pa.chunked_array(parts)
    if column.null_count:
        column = column.cast(pa.string()).fill_null("")
    return np.asarray(column.to_pylist()) if len(column) else np.zeros(0, dtype=np.str_)


def _context(parts: list[Any]) -> Any:
    """Columns of context as they are written: texts of CSV stay texts."""
    import pyarrow as pa

    column = (
        pa.chunked_array(parts)
        if len({p.type for p in parts}) == 1
        else pa.chunked_array([part.cast(pa.string()) for part in parts])
    )
    array = column.to_numpy(zero_copy_only=False)
    return array if len(array) else np.zeros(0, dtype=object)


# --- judgements ---------------------------------------------------------------------------------


def one_unit(units: Iterable[str], column: str) -> None:
    """Refuse times that are told in two ways, or that could be of any unit.

    Raises:
        InvalidDataError: If they are.
    """
    told = frozenset(units) - {"small"}
    if len(told) > 1:
        raise InvalidDataError(
            f"The times in {column} are told in several ways: {', '.join(sorted(told))}. "
            "Name the one that is right (--time-unit ms, time_unit='ms'), or mend the file."
        )
    if "small" in units and not told:
        raise InvalidDataError(
            f"The numbers in {column} are too small to tell their unit: name it (--time-unit s, "
            "time_unit='s'), or say how dates are written (--time-format %Y%m%d)."
        )


def far_times(time: Any, units: frozenset[str], column: str) -> BoolArray:
    """Return times that are decades away from the rest, where numbers had to be guessed.

    Raises:
        InvalidDataError: If they are more than a few.
    """
    known = time != NO_TIME
    none: BoolArray = np.zeros(len(time), dtype=np.bool_)
    if not known.any() or not units & _UNITS:
        return none
    middle = int(np.median(time[known]))
    far: BoolArray = known & (np.abs(time.astype(np.float64) - middle) > _DECADES)
    if far.sum() > max(1, _FEW * len(time)):
        raise InvalidDataError(
            f"{int(far.sum()):,} of {len(time):,} times in {column} are decades away from "
            f"the rest, such as {day(int(time[far][0]))} from {day(middle)}. Name their unit "
            "(--time-unit) or mend the file."
        )
    return far


def nothing_times(time: Any) -> BoolArray:
    """Return times that are the first instant of 1970 where the others are decades later."""
    known = time != NO_TIME
    nothing: BoolArray = time == 0
    if not nothing.any() or int(np.median(time[known])) < _DECADES * 2 // 3:
        nothing = np.zeros(len(time), dtype=np.bool_)
    return nothing


def sentinels(value: Float32Array, rated: BoolArray, column: str) -> BoolArray:
    """Return ratings that look like "not rated" written as a number.

    Raises:
        InvalidDataError: If they are more than a few: then they are asked about.
    """
    strange: BoolArray = np.zeros(len(value), dtype=np.bool_)
    ratings = value[rated]
    distinct = np.unique(ratings)
    for sign in _SENTINELS:
        if sign not in distinct or not _stands_apart(sign, distinct[distinct != sign]):
            continue
        own = rated & (value == sign)
        n = int(own.sum())
        if n > max(1, _FEW * ratings.size):
            rest = distinct[distinct != sign]
            raise InvalidDataError(
                f"{n:,} ratings in {column} are {sign:g} while the others go from {rest.min():g} "
                f"to {rest.max():g}: say that it means nothing was rated (--not-rated {sign:g}, "
                f"not_rated=({sign:g},)), or that it is a rating (--scale "
                f"{distinct.min():g}..{distinct.max():g}, scale=(…, …))."
            )
        strange |= own
    return strange


def _stands_apart(sign: float, rest: Float32Array) -> bool:
    """Whether a number is beside the scale of the others."""
    if rest.size < 2:
        return False
    low, high = float(rest.min()), float(rest.max())
    if sign == 0:
        return low >= 1
    return low >= 0 if sign < 0 else sign >= 5 * high


def are_thumbs(value: Float32Array, kind: Any) -> bool:
    """Whether ratings are all 1 or -1, and some are -1."""
    rated = kind == FeedbackKind.RATING
    return bool(
        rated.all() and len(value) and np.isin(value, (-1, 1)).all() and (value == -1).any()
    )
