"""Labels of users, and the parts that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from siamrec.data.vocabulary import Vocabulary
from siamrec.errors import InvalidDataError, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from siamrec.data.item_columns import ItemNumbers
    from siamrec.data.rankings import Rankings
    from siamrec.data.truth import Truth
    from siamrec.typing import BoolArray

Labels: TypeAlias = "Callable[[Any], str]"
"""A function from user id to label."""


def parts_of(
    rankings: Rankings, truth: Truth | None, by: Any
) -> Iterator[tuple[Any, Rankings, Truth | None]]:
    """Yield label, lists and truth of each part of the users, in order of label.

    Users with a truth but without a list belong to the part of their label.

    Raises:
        siamrec.errors.InvalidDataError: If a user has no label.
    """
    users = rankings.users if truth is None else rankings.users.extend(truth.users)
    labels = dict(zip(users, labels_of(users, by), strict=True))
    for label in ordered(labels.values()):
        shown = np.array([labels[user] == label for user in rankings.users], dtype=bool)
        judged = None
        if truth is not None:
            kept = np.array([labels[user] == label for user in truth.users], dtype=bool)
            judged = _truth_of(truth, kept)
        yield label, _lists_of(rankings, shown), judged


def _lists_of(rankings: Rankings, users: BoolArray) -> Rankings:
    rows = users[rankings.owner]
    return replace(
        rankings,
        users=Vocabulary(tuple(rankings.users.decode(np.flatnonzero(users)))),
        item=rankings.item[rows],
        start=np.concatenate([[0], rankings.length[users]]).cumsum(),
        score=None if rankings.score is None else rankings.score[rows],
        source=None if rankings.source is None else rankings.source[rows],
    )


def _truth_of(truth: Truth, users: BoolArray) -> Truth:
    rows = np.repeat(users, truth.n_judged)
    return replace(
        truth,
        users=Vocabulary(tuple(truth.users.decode(np.flatnonzero(users)))),
        item=truth.item[rows],
        start=np.concatenate([[0], truth.n_judged[users]]).cumsum(),
        grade=truth.grade[rows],
    )


def ordered(labels: Iterable[Any]) -> list[Any]:
    """Return the different labels, those of one type together."""
    return sorted(dict.fromkeys(labels), key=lambda label: (str(type(label)), label))


def labels_of(users: Vocabulary, by: Any) -> list[Any]:
    """Return the label of each user.

    Raises:
        siamrec.errors.InvalidDataError: If a user has no label.
    """
    if isinstance(by, Mapping):
        bare = [id_ for id_ in users if id_ not in by]
        if bare:
            raise InvalidDataError(
                f"by must name every user, got none for {shown(bare[0])} ({len(bare)} such users)."
            )
        return [by[id_] for id_ in users]
    if callable(by):
        return [by(id_) for id_ in users]
    labels = by.tolist() if isinstance(by, np.ndarray) else list(by)
    if len(labels) != len(users):
        raise InvalidDataError(
            f"by must have one label for each of {len(users)} users, got {len(labels)}."
        )
    return labels


def by_history_length(history: Truth, edges: Sequence[int] = (1, 5, 20, 100)) -> Labels:
    """Return a function from user id to the bin of how many items the user has in its history.

    Args:
        history: What each user did before; a user it does not know has length 0.
        edges: Lower bounds of the bins, rising and above 0; the first bin is "below edges[0]".

    Examples:
        >>> from siamrec.data.truth import Truth
        >>> by = by_history_length(Truth.from_lists({"ann": ["a", "b"], "bob": []}), edges=(1, 2))
        >>> by("ann"), by("bob"), by("new user")
        ('2+', '0', '0')
    """
    bounds = [0, *edges]
    if any(high <= low for low, high in pairwise(bounds)):
        raise InvalidDataError(f"edges must rise and be above 0, got {tuple(edges)}.")
    names = [
        f"{low}" if high == low + 1 else f"{low}-{high - 1}" for low, high in pairwise(bounds)
    ]
    names.append(f"{bounds[-1]}+")
    place = np.searchsorted(bounds, history.n_judged, side="right") - 1
    known = {id_: names[code] for id_, code in zip(history.users, place, strict=True)}
    return _labeller(known, names[0])


def by_cold(history: Truth, least: int = 1) -> Labels:
    """Return a function from user id to `"cold"` (short history) or `"warm"`.

    Args:
        history: What each user did before; a user it does not know is cold.
        least: Items from which on a user is warm.
    """
    warm = {
        id_: "warm" if n >= least else "cold"
        for id_, n in zip(history.users, history.n_judged.tolist(), strict=True)
    }
    return _labeller(warm, "cold")


def by_popularity(history: Truth, popularity: ItemNumbers, buckets: int = 3) -> Labels:
    """Return a function from user id to how popular the taste of its history is.

    Args:
        history: What each user did before.
        popularity: Past interactions of each item, in the order of `history.items` or by id.
        buckets: Number of buckets, each with about the same number of users.

    Returns:
        `"taste 1"` (least popular) to `"taste <buckets>"`; `"no history"` without a history.
    """
    if isinstance(popularity, Mapping):
        column = np.array([popularity.get(id_, 0.0) for id_ in history.items], dtype=np.float64)
    else:
        column = np.asarray(popularity, dtype=np.float64)
    owner = np.repeat(np.arange(len(history)), history.n_judged)
    total = np.bincount(owner, column[history.item], minlength=len(history))
    has = np.flatnonzero(history.n_judged > 0)
    mean = total[has] / history.n_judged[has]
    cuts = np.quantile(mean, np.arange(1, buckets) / buckets) if has.size else np.empty(0)
    place = np.searchsorted(cuts, mean, side="right") + 1
    names = {history.users[int(u)]: f"taste {p}" for u, p in zip(has, place, strict=True)}
    return _labeller(names, "no history")


def _labeller(known: Mapping[Any, str], default: str) -> Labels:
    return lambda user: known.get(user, default)
