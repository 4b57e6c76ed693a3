"""Splitting pairs so that training and validation share no unit, and proving it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from siamrec._core import check
from siamrec._core.hashing import uniforms
from siamrec.data.frames import NO_TIME
from siamrec.data.pairs.columns import PairOrigin
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidDataError, LeakageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from siamrec.data.pairs.columns import PairColumns
    from siamrec.typing import BoolArray


Columns = TypeVar("Columns", bound="PairColumns")
_LATEST = np.iinfo(np.int64).max
UNITS = ("user", "query", "time", "cluster")

_FORBIDDEN: dict[str, tuple[str, ...]] = {
    "user": ("users",),
    "query": ("queries", "pairs"),
    "cluster": ("clusters", "queries", "pairs"),
    "time": ("rows from the future",),
}


def split_masks(
    pairs: PairColumns, *, by: str, fraction: float, seed: int
) -> tuple[tuple[BoolArray, BoolArray], tuple[BoolArray, BoolArray]]:
    """Return the rows and the likes of each side.

    By query and cluster, no row and no like of training holds a text that is held out: as an item
    it would bring back what is to be found. By time, likes go with the side of their time.

    Raises:
        LeakageError: If the two sides overlap in what `by` forbids.
        InvalidDataError: If a side is empty or units are not known.
    """
    check.one_of("by", by, UNITS)
    check.share("fraction", fraction, open_ends=True)
    synthetic = pairs.origin == PairOrigin.SYNTHETIC
    apart = np.zeros(len(pairs), dtype=np.bool_)
    likes = np.zeros(pairs.liked_user.size, dtype=np.bool_)
    if by == "user":
        drawn = _drawn((f"{id_}" for id_ in pairs.users.ids), fraction, seed)
        _require(pairs, known=(pairs.user != UNKNOWN) | synthetic, what="user", by=by)
        valid = np.append(drawn, False)[pairs.user]
        likes = drawn[pairs.liked_user]
        sides = (~likes, likes)
    elif by == "time":
        _require(pairs, known=(pairs.time != NO_TIME) | synthetic, what="time", by=by)
        valid = _latest(pairs, synthetic, fraction)
        sides = _likes_by_time(pairs, valid, earlier=~valid & ~synthetic)
    else:
        names, units = _units(pairs.texts, by)
        held = _drawn(names, fraction, seed)[units]
        held &= np.isin(units, units[pairs.left[~synthetic]])  # a text that is asked with
        valid = held[pairs.left]
        apart = held[pairs.right] & ~valid
        told = _told_only_by(pairs, valid, ~valid & ~apart)
        sides = (~held[pairs.liked_text] & ~told, likes)
    train = ~valid & ~apart  # what was made from a held-out unit is on neither side
    valid = valid & ~synthetic
    if not (train.any() and valid.any()):
        raise InvalidDataError(
            f"A split by {by} must leave rows on both sides, got {int(train.sum())} for training "
            f"and {int(valid.sum())} for validation of {len(pairs)}; change fraction or seed, "
            "or bring more units."
        )
    refuse_leaks(pairs.where(train), pairs.where(valid), by)
    return (train, sides[0]), (valid, sides[1])


def mined_anew(pairs: Columns) -> Columns:
    """Return a side of a split with negatives that only its own likes have a say in."""
    if pairs.miner is None or pairs.negatives is None:
        return pairs
    return replace(pairs, negatives=pairs.miner.mine(pairs).negatives)


def leaks(train: PairColumns, valid: PairColumns) -> dict[str, int]:
    """Return in what two sets of pairs overlap, with counts.

    Args:
        train: PairColumns to learn from.
        valid: PairColumns to judge by.

    Returns:
        `users` in both; `queries`: anchors' texts in both, case and spaces aside; `pairs`: the
        same two texts in either order; `rows from the future`: training rows later than the
        first validation row.

    Examples:
        >>> from siamrec.data import Pairs
        >>> leaks(Pairs.of(["a heist"], ["Heat"]), Pairs.of(["A  heist"], ["Ronin"]))["queries"]
        1
    """
    early = valid.time[valid.time != NO_TIME]
    future = int((train.time > early.min()).sum()) if early.size else 0
    return {
        "users": len(_users(train) & _users(valid)),
        "queries": len(_queries(train) & _queries(valid)),
        "pairs": len(_couples(train) & _couples(valid)),
        "rows from the future": future,
    }


def normalise(text: str) -> str:
    """Return `text` in lower case with single spaces and without punctuation."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip() or text.strip()


def _units(texts: Sequence[str], by: str) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return the names of the units, by which they are drawn, and the unit of each text."""
    read = normalise if by == "cluster" else _spaced
    names, units = Vocabulary.factorize([read(text) for text in texts])
    return [str(name) for name in names.ids], units


def _spaced(text: str) -> str:
    return " ".join(text.casefold().split())


def _told_only_by(pairs: PairColumns, told: BoolArray, other: BoolArray) -> BoolArray:
    """Likes that are told by rows in `told` and by none in `other`."""
    n = len(pairs.texts)
    liked = pairs.liked_user.astype(np.int64) * n + pairs.liked_text
    found = [np.isin(liked, _said(pairs, rows)) for rows in (told, other)]
    return np.asarray(found[0] & ~found[1], dtype=np.bool_)


def _said(pairs: PairColumns, rows: BoolArray) -> npt.NDArray[np.int64]:
    """Keys of user and text of what positive rows in `rows` say to be liked."""
    rows = rows & (pairs.label >= 0.5) & (pairs.user != UNKNOWN)
    user = pairs.user[rows].astype(np.int64) * len(pairs.texts)
    return np.concatenate([user + pairs.left[rows], user + pairs.right[rows]])


def _likes_by_time(
    pairs: PairColumns, valid: BoolArray, *, earlier: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """Likes before the first row in `valid`, and the others; those of unknown time in neither."""
    if pairs.liked_time is None:
        later = _liked_later(pairs, earlier)
        return ~later, later
    later = pairs.liked_time >= pairs.time[valid].min(initial=_LATEST)
    return ~later & (pairs.liked_time != NO_TIME), later


def _liked_later(pairs: PairColumns, earlier: BoolArray) -> BoolArray:
    """Likes of each user after the last one that a row of `earlier` proves to be before the cut.

    Where likes carry no instant, they still stand in order of time.
    """
    n = len(pairs.texts)
    liked = pairs.liked_user.astype(np.int64) * n + pairs.liked_text
    known = np.flatnonzero(np.isin(liked, _said(pairs, earlier)))
    last = np.full(len(pairs.users), -1, dtype=np.int64)
    np.maximum.at(last, pairs.liked_user[known], known)
    return np.asarray(np.arange(pairs.liked_user.size) > last[pairs.liked_user], dtype=np.bool_)


def _drawn(ids: Iterable[str], fraction: float, seed: int) -> BoolArray:
    return np.asarray(uniforms(ids, f"split-{seed}") < fraction, dtype=np.bool_)


def _latest(pairs: PairColumns, synthetic: BoolArray, fraction: float) -> BoolArray:
    """Rows after the quantile; rows of one instant stay on one side."""
    times = np.sort(pairs.time[~synthetic])
    cut = times[min(times.size - 1, int(np.ceil(times.size * (1 - fraction))))]
    return np.asarray(pairs.time >= cut, dtype=np.bool_)


def _require(pairs: PairColumns, *, known: BoolArray, what: str, by: str) -> None:
    if not known.all():
        raise InvalidDataError(
            f"A split by {by} needs the {what} of every pair that is not synthetic; "
            f"{int((~known).sum())} of {len(pairs)} rows have none."
        )


def refuse_leaks(train: PairColumns, valid: PairColumns, by: str) -> None:
    """Pass when two sides share nothing that a split by `by` parts.

    Raises:
        LeakageError: If they do; `overlap` says in what.
    """
    found = leaks(train, valid)
    if by == "cluster":
        found["clusters"] = len(_queries(train, normalise) & _queries(valid, normalise))
    if by == "time":  # rows of the very first validation instant are in validation by design
        early = valid.time[valid.time != NO_TIME].min(initial=_LATEST)
        found["rows from the future"] = int((train.time >= early).sum())
    overlap = {name: found[name] for name in _FORBIDDEN[by] if found[name]}
    if overlap:
        listed = ", ".join(f"{count} {name}" for name, count in overlap.items())
        raise LeakageError(
            f"Training and validation share {listed}; part them with pairs.split(by={by!r}).",
            overlap,
        )


def _users(pairs: PairColumns) -> set[object]:
    known = np.unique(pairs.user[pairs.user != UNKNOWN])
    return set(pairs.users.decode(known))


def _queries(pairs: PairColumns, read: Callable[[str], str] = _spaced) -> set[str]:
    return {read(pairs.texts[code]) for code in np.unique(pairs.left)}


def _couples(pairs: PairColumns) -> set[frozenset[str]]:
    ends = np.unique(np.stack([pairs.left, pairs.right], axis=1), axis=0)
    return {frozenset((pairs.texts[a], pairs.texts[b])) for a, b in ends.tolist()}
