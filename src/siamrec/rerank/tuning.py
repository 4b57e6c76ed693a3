"""The front between accuracy and diversity, walked on validation data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, Shown, Table, counted, number
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec.data.rankings import Rankings


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Point(Record):
    """One setting and what it reaches.

    Args:
        setting: The setting.
        accuracy: Accuracy of its lists.
        diversity: Diversity of its lists.
        on_front: Whether no other setting is better in one and as good in the other.
    """

    setting: float
    accuracy: float
    diversity: float
    on_front: bool

    @override
    def title(self) -> str:
        found = f"accuracy {number(self.accuracy)}, diversity {number(self.diversity)}"
        return f"Setting {number(self.setting)}: {found}"


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Front(Shown):
    """All settings that were tried.

    Args:
        points: In the order of the settings.
        best: The most diverse setting whose accuracy is within the budget.
        floor: The accuracy that had to be kept.
    """

    points: tuple[Point, ...]
    best: Point
    floor: float

    @override
    def title(self) -> str:
        settings = counted(len(self.points), "setting")
        return f"Trade-off of {settings}, best {number(self.best.setting)}"

    @override
    def table(self) -> Table:
        """Return one row for each setting."""
        rows = tuple((p.setting, p.accuracy, p.diversity, p.on_front) for p in self.points)
        head = ("setting", "accuracy", "diversity", "on front")
        notes = (f"accuracy may not fall below {number(self.floor)}",)
        return Table(head=head, rows=rows, title=self.title(), notes=notes)


def tune_trade_off(
    rerank: Callable[[float], Rankings],
    *,
    settings: Sequence[float],
    accuracy: Callable[[Rankings], float],
    diversity: Callable[[Rankings], float],
    budget: float = 0.01,
    reference: float | None = None,
) -> Front:
    """Return the most diverse setting that costs at most a share of the accuracy.

    Choose on validation users or an earlier time than the final test: the best of many settings
    looks better than it is.

    Args:
        rerank: Makes the lists of one setting, such as
            `lambda t: Pipeline(MMR(trade_off=t)).rerank(candidates, k=10, embeddings=vectors)`.
        settings: Settings to try.
        accuracy: Higher is better, such as a mean NDCG.
        diversity: Higher is better, such as a mean distance within lists.
        budget: Share of the reference accuracy that may be given up, in [0, 1].
        reference: Accuracy to keep; without it, the best among the settings.

    Raises:
        siamrec.errors.InvalidParameterError: If no setting is given or none keeps the accuracy.

    Examples:
        >>> from siamrec.data.rankings import Rankings
        >>> lists = Rankings.from_lists({"ann": ["a"]})
        >>> front = tune_trade_off(
        ...     lambda t: lists,
        ...     settings=[0.5, 1.0],
        ...     accuracy=lambda lists: 0.4,
        ...     diversity=lambda lists: 0.2,
        ... )
        >>> front.best.setting
        0.5
    """
    check.share("budget", budget)
    if not len(settings):
        raise InvalidParameterError("settings", settings, "one or more settings")
    tried = []
    for setting in settings:
        lists = rerank(float(setting))
        tried.append((float(setting), float(accuracy(lists)), float(diversity(lists))))
    table = np.array(tried)
    kept = float(table[:, 1].max()) if reference is None else reference
    floor = kept - budget * abs(kept)
    points = tuple(
        Point(setting=s, accuracy=a, diversity=d, on_front=not _beaten(table, a, d))
        for s, a, d in tried
    )
    allowed = [point for point in points if point.accuracy >= floor]
    if not allowed:
        raise InvalidParameterError(
            "budget", budget, f"enough for a setting to keep accuracy {floor:.6g}"
        )
    best = max(allowed, key=lambda point: (point.diversity, point.accuracy))
    return Front(points=points, best=best, floor=floor)


def _beaten(table: np.typing.NDArray[np.float64], accuracy: float, diversity: float) -> bool:
    """Return whether a setting is as good in both and better in one."""
    as_good = (table[:, 1] >= accuracy) & (table[:, 2] >= diversity)
    better = (table[:, 1] > accuracy) | (table[:, 2] > diversity)
    return bool((as_good & better).any())
