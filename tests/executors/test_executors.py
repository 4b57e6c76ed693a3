"""Executors: the same results in the same order wherever the calls run."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.errors import InvalidParameterError
from siamrec.executors import Here, Processes, Threads
from siamrec.experiments import Margin, Mean, Plan, null_check, simulate_power
from siamrec.expressions import Expression
from siamrec.protocols import Executor

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = [Here(), Threads(), Threads(3), Processes(2)]


def one_above(x: int) -> int:
    return x + 1


def refuse(x: int) -> int:
    if x == 3:
        raise KeyError(x)
    return x


def whose(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("executor", EVERY, ids=repr)
def test_results_come_in_the_order_of_the_inputs(executor: Executor) -> None:
    assert isinstance(executor, Executor)
    assert list(executor.map(one_above, range(20))) == list(range(1, 21))
    assert list(executor.map(one_above, [])) == []


@pytest.mark.parametrize("executor", EVERY, ids=repr)
def test_what_a_call_raises_is_raised_where_it_is_asked_for(executor: Executor) -> None:
    results = executor.map(refuse, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)


def test_inputs_are_taken_as_they_are_needed_and_nothing_stays_behind() -> None:
    taken: list[int] = []

    def endless() -> Iterator[int]:
        number = 0
        while True:
            taken.append(number)
            yield number
            number += 1

    before = threading.active_count()
    results = Threads(2).map(one_above, endless())
    assert next(results) == 1
    assert len(taken) <= 5
    del results
    assert threading.active_count() == before


class TwoParts(Exception):  # noqa: N818  not a family
    """An exception whose constructor does not take its own arguments."""

    def __init__(self, kind: str, place: int) -> None:
        super().__init__(f"{kind} at {place}")
        self.place = place


class Live(Exception):  # noqa: N818  not a family
    """An exception that holds something that cannot travel."""

    def __init__(self) -> None:
        super().__init__("held")
        self.lock = threading.Lock()


def two_parts(place: int) -> None:
    raise TwoParts("hole", place)


def out_of_range(value: float) -> None:
    raise InvalidParameterError("share", value, "in [0, 1]")


def live(_: int) -> None:
    raise Live


@pytest.mark.parametrize("executor", EVERY, ids=repr)
def test_an_exception_of_several_parts_is_itself_wherever_the_call_ran(
    executor: Executor,
) -> None:
    with pytest.raises(TwoParts, match="^hole at 7$") as hole:
        list(executor.map(two_parts, [7]))
    assert hole.value.place == 7
    with pytest.raises(
        InvalidParameterError, match=r"^share must be in \[0, 1\], got 2\.$"
    ) as far:
        list(executor.map(out_of_range, [2]))
    assert (far.value.name, far.value.value) == ("share", 2)


def test_what_an_exception_holds_and_cannot_travel_arrives_as_text() -> None:
    with pytest.raises(Live, match="^held$") as held:
        list(Processes(1).map(live, [0]))
    assert "lock" in str(held.value.lock)


def test_an_expression_travels() -> None:
    assert list(Processes(1).map(Expression("a > 1"), [{"a": 2}, {}])) == [True, False]


def test_processes_are_others() -> None:
    assert set(Processes(1).map(whose, range(2))) != {os.getpid()}


def test_workers_are_a_number() -> None:
    for each in (Threads, Processes):
        with pytest.raises(InvalidParameterError, match="workers must be a whole number"):
            each(0)


@pytest.mark.parametrize("executor", [Threads(2), Processes(2)], ids=repr)
def test_rehearsals_do_not_depend_on_where_they_run(executor: Executor) -> None:
    history = {"y": np.random.default_rng(1).normal(size=60)}
    plan = Plan(metrics=[Mean("y")])

    def found(executor: Executor | None) -> tuple[object, object]:
        rng = np.random.default_rng(2)
        null = null_check(history, plan, rng=rng, n_runs=20, executor=executor)
        lift = Margin(absolute=0.5)
        power = simulate_power(history, plan, lift=lift, rng=rng, n_runs=20, executor=executor)
        return null, power

    assert found(executor) == found(None)
