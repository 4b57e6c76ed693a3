"""Seconds and peak memory of every step of an improvement cycle.

    python benchmarks/loop.py [--simulated]

Runs on MovieLens latest-small where SIAMREC_DATA is set, else (or with `--simulated`) on the
simulated world of the default run.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from siamrec._core.clock import Stopwatch
from siamrec.feedback import FileFeedback, read_catalog
from siamrec.lifecycle import Host, ImprovementLoop, LoopEvent


def movielens(folder: Path) -> dict[str, Any]:
    return {
        "source": FileFeedback(path=folder / "ml-latest-small" / "ratings.csv"),
        "catalog": read_catalog(folder / "joined" / "movies_joined.csv.gz"),
    }


def main() -> None:
    data = os.environ.get("SIAMREC_DATA")
    simulated = "--simulated" in sys.argv or not data
    print(f"threads: {os.environ.get('OMP_NUM_THREADS', 'all')}, cores: {os.cpu_count()}")
    rows: list[tuple[str, float, float]] = []

    def note(event: LoopEvent) -> None:
        if event.kind == "finished":
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rows.append((event.step, watch.seconds(), peak))

    arguments = {} if simulated else movielens(Path(data or ""))
    with tempfile.TemporaryDirectory() as folder:
        watch = Stopwatch()
        report = ImprovementLoop(
            **arguments, out=f"{folder}/run", host=Host(observers=[note])
        ).run()
        total = watch.seconds()
    print(f"{'step':<12}{'seconds':>9}{'until':>9}{'peak MiB':>10}")
    seconds = report.summary()["seconds"]
    for step, until, peak in rows:
        print(f"{step:<12}{seconds[step]:>9.2f}{until:>9.1f}{peak:>10.0f}")
    limit = 120 if simulated else 300
    print(f"{'all':<12}{total:>9.1f}  target {limit} s, ratio {total / limit:.2f}")


if __name__ == "__main__":
    main()
