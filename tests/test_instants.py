"""A time is read rightly or refused, at every public door that takes one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import pytest

from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.data import NO_TIME, Feedback, Rankings, Rewards
from siamrec.errors import InvalidParameterError
from siamrec.feedback import MemoryFeedback, QualityWeights
from siamrec.rerank import ItemExposure
from siamrec.storage import Store

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_YEAR = 1_704_067_200_000_000_000
ZONED = datetime(2024, 1, 1, tzinfo=UTC)
NAIVE = datetime(2024, 1, 1)  # noqa: DTZ001


def feedback(time: object) -> Feedback:
    return Feedback.of(user=["a"], item=["x"], time=cast("Any", time))


def bandit() -> ContextualBandit[Any]:
    return ContextualBandit(BetaThompson(), arms=("a", "b"))


def rated(time: object) -> int:
    store = Store("sqlite://")
    store.feedback.rate("ann", "x", 4, time=cast("Any", time))
    return int(store.feedback.read_all().time[0])


def learned(time: object) -> int:
    found = Rewards.of_one("d", 1.0, time=cast("Any", time)).time
    assert found is not None
    return int(found[0])


def since(time: object) -> int:
    (batch,) = MemoryFeedback(feedback([NEW_YEAR])).read(since=cast("Any", time))
    return int(batch.time[0])


def stored_since(time: object) -> int:
    store = Store("sqlite://")
    store.feedback.write(feedback([NEW_YEAR]))
    (batch,) = store.feedback.read(since=cast("Any", time))
    return int(batch.time[0])


def settled(time: object) -> int:
    return bandit().settle(cast("Any", time))


def faded(time: object) -> int:
    return ItemExposure.start().at(cast("Any", time)).time


def shown(time: object) -> int:
    lists = Rankings.from_lists({"ann": ["a"]})
    return ItemExposure.start().plus(lists, time=cast("Any", time)).time


def weighed(time: object) -> int:
    return QualityWeights(half_life="1d")(feedback(NEW_YEAR), now=cast("Any", time)).size


def sealed(time: object) -> object:
    return Store("sqlite://").archive(cast("Any", time))


def looked_back(time: object) -> object:
    return Store("sqlite://").as_of(cast("Any", time))


DOORS: dict[str, Callable[[Any], int]] = {
    "column": lambda time: int(feedback([time]).time[0]),
    "one for all": lambda time: int(feedback(time).time[0]),
    "choice": lambda time: bandit().select({}, time=time).time,
    "choices": lambda time: int(bandit().select_many([{}], time=time).time[0]),
    "reward": learned,
    "rating": rated,
    "since": since,
    "stored since": stored_since,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "time", [NEW_YEAR, np.int64(NEW_YEAR), ZONED, np.datetime64("2024-01-01")]
)
def test_one_instant_however_it_is_written(door: str, time: object) -> None:
    assert DOORS[door](time) == NEW_YEAR


MORE: dict[str, Callable[[Any], object]] = {
    "settle": settled,
    "exposure at": faded,
    "exposure of lists": shown,
    "age of feedback": weighed,
    "archive": sealed,
    "as of": looked_back,
    "expire": lambda time: bandit().expire(time=time),
    "sums": lambda time: bandit().sums(time=time),
    "delays": lambda time: bandit().delay_curve(time=time),
    "learn": lambda time: bandit().learn("d", 1.0, time=time),
    "until": lambda time: list(MemoryFeedback(feedback([NEW_YEAR])).read(until=time)),
    "snapshot": lambda time: Store("sqlite://").snapshots.take(since=time),
}


@pytest.mark.parametrize("door", [*DOORS, *MORE])
@pytest.mark.parametrize("time", [NAIVE, "2024", 1.5, True, 2**63, np.datetime64("2500-01-01")])
def test_what_is_no_instant_is_refused(door: str, time: object) -> None:
    with pytest.raises(InvalidParameterError, match="nanoseconds since 1970"):
        {**DOORS, **MORE}[door](time)


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_columns_of_every_unit(unit: str) -> None:
    column = np.array(["2024-01-01", "NaT"], f"datetime64[{unit}]")
    found = Feedback.of(user=["a", "b"], item=["x", "y"], time=column)
    assert found.time.tolist() == [NEW_YEAR, NO_TIME]


def test_columns_of_frames() -> None:
    assert feedback(pl.Series([NAIVE])).time.tolist() == [NEW_YEAR]
    assert feedback(np.array([7], np.uint32)).time.tolist() == [7]
