"""A worker that is killed at one of its steps, as a program: folders, each for the next step."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from siamrec._core.clock import ManualClock
from siamrec.lifecycle import Workspace
from siamrec.storage import Claim


def worked(folder: str, now: int, kill_at: int) -> None:
    """Work until the step, and end there as a process ends that is killed."""
    write, n = Claim._write, 0

    def counted(self: Claim, **values: Any) -> None:
        nonlocal n
        if n == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        n += 1
        write(self, **values)

    Claim._write = counted  # type: ignore[method-assign]
    with Workspace(f"sqlite:///{folder}/app.db", clock=ManualClock(now)) as ws:
        ws.work()
    sys.stdout.write(f"{folder} ended after {n} steps\n")
    sys.stdout.flush()


def main() -> None:
    """Fork a worker for each folder: the library is loaded once."""
    now, *folders = sys.argv[1:]
    for step, folder in enumerate(folders):
        child = os.fork()
        if not child:
            worked(folder, int(now), step)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
