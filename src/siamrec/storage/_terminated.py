"""SIGTERM stores what is in a writer's queue, and then does what it did before."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, Protocol, final

from siamrec.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class _Writer(Protocol):
    def close(self) -> None:
        """Store what is left and stop."""
        ...


@final
class Terminated:
    """A link in the chain of SIGTERM handlers; mutable.

    The first signal closes the writer in a thread of its own: the main thread may be inside a
    transaction that the writer waits for, and must go on. Then the signal is sent once more and
    reaches the handler that was there before. A host that sets a handler of its own later
    replaces this one, and its exit runs `close` by `atexit`. Handlers can be set in the main
    thread only; a writer that is made in another thread stores at exit alone.
    """

    def __init__(self, writer: _Writer) -> None:
        self._writer = writer
        self._before: Callable[[int, FrameType | None], Any] | int | None = None
        self._told = self._installed = False
        if current_thread() is not main_thread():
            return
        before = signal.getsignal(signal.SIGTERM)
        if before is None or before == signal.SIG_IGN:
            return  # not set from Python, or the host wants none of it
        self._before = before
        self._handler = self._handle  # one bound method, so that it can be recognised
        signal.signal(signal.SIGTERM, self._handler)
        self._installed = True

    def forget(self) -> None:
        """Forget in a forked child that the parent was told to end."""
        self._told = False

    def remove(self) -> None:
        """Put back what was there before, unless somebody has set another handler since."""
        if not self._installed or current_thread() is not main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is self._handler:
            signal.signal(signal.SIGTERM, self._before)
            self._installed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._told:
            self._told = True
            Thread(target=self._close, name="siamrec-terminated").start()
        elif callable(self._before):
            self._before(number, frame)
        else:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def _close(self) -> None:
        with suppress(StorageError):  # what cannot be stored is in the spill file, if there is one
            self._writer.close()
        os.kill(os.getpid(), signal.SIGTERM)
