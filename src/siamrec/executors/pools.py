"""Several calls at a time, on threads or in processes, with results in order."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Executor as Pool
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, final

from typing_extensions import override

from siamrec._core import check
from siamrec.errors import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_AHEAD = 2
"""Calls that wait for each worker, so that none is idle and inputs need not fit into memory."""


@final
@dataclass(frozen=True, slots=True)
class Threads:
    """Runs calls on threads; right where they wait, or leave Python for NumPy or torch.

    Args:
        workers: Number of threads; the processors of this machine when absent.

    Raises:
        InvalidParameterError: If it is not a whole number above 0.

    Examples:
        >>> list(Threads(2).map(abs, [-1, 2, -3]))
        [1, 2, 3]
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        _check_workers(self.workers)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterator[Any]:
        """Yield `function(x)` for each input, in order; what one raises is raised here."""
        workers = self.workers or _processors()
        return _mapped(ThreadPoolExecutor(workers), workers, function, inputs)


@final
@dataclass(frozen=True, slots=True)
class Processes:
    """Runs calls in new processes, which share nothing with this one, open files and locks least.

    The function and its inputs travel to them: a function of a module, with plain values. A
    script that uses it guards its own start with `if __name__ == "__main__":`. What is raised
    travels back as it is; parts of it that are no plain values arrive as text.

    Args:
        workers: Number of processes; the processors of this machine when absent.

    Raises:
        InvalidParameterError: If it is not a whole number above 0.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        _check_workers(self.workers)

    def map(self, function: Callable[[Any], Any], inputs: Iterable[Any]) -> Iterator[Any]:
        """Yield `function(x)` for each input, in order; what one raises is raised here."""
        workers = self.workers or _processors()
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        return _mapped(pool, workers, partial(_called, function), inputs)


@final
class _Carried(Exception):  # noqa: N818  nobody catches it
    """Arrives as another exception, made anew without its constructor."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self._error = error

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return _anew, (type(self._error), _plain(self._error.args), _plain(vars(self._error)))


def _anew(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(state)
    return error


def _plain(part: Any) -> Any:
    """Return what surely travels: plain values, also within others, and the rest as text."""
    if isinstance(part, tuple | list):
        return type(part)(map(_plain, part)) if type(part) in {tuple, list} else shown(part)
    if isinstance(part, dict):
        return {_plain(name): _plain(value) for name, value in part.items()}
    is_plain = part is None or type(part) in {bool, int, float, str, bytes}
    return part if is_plain else shown(part)


def _called(function: Callable[[Any], Any], given: Any) -> Any:
    """Return the result of a call in a worker; what it raises is raised in a form that travels."""
    try:
        return function(given)
    except Exception as error:
        if type(error).__module__ == "builtins":  # these travel, with parts that nobody sees
            raise
        raise _Carried(error) from error


def _mapped(
    pool: Pool, workers: int, function: Callable[[Any], Any], inputs: Iterable[Any]
) -> Iterator[Any]:
    """Keep a few calls ahead of what is asked for; leave nothing behind when asking ends."""
    waiting: deque[Future[Any]] = deque()
    try:
        for each in inputs:
            waiting.append(pool.submit(function, each))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for call in waiting:
            call.cancel()
        pool.shutdown(wait=True, cancel_futures=True)


def _check_workers(workers: int | None) -> None:
    if workers is not None:
        check.count("workers", workers)


def _processors() -> int:
    """The processors that this process may use, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
