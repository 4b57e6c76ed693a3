"""Assignment and analysis beside GrowthBook's SDK, tea-tasting and SciPy in the same run.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python benchmarks/experiments.py [--rows 1000000]

Peers are optional.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from siamrec.data.moments import Moments
from siamrec.experiments import (
    Experiment,
    GroupSequential,
    HashAssigner,
    Mean,
    Plan,
    analyze,
)

if TYPE_CHECKING:
    from collections.abc import Callable

N_METRICS = 5


def best(work: Callable[[], object], turns: int = 3) -> float:
    """Return the least seconds of some turns."""
    seconds = []
    for _ in range(turns):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def row(label: str, ours: float, peer: str, theirs: float | None) -> None:
    beside = f"{peer} {theirs * 1e3:10.2f} ms (x {theirs / ours:5.1f})" if theirs else f"{peer} -"
    print(f"{label:<46}{ours * 1e3:10.2f} ms   {beside}")


def assignment() -> None:
    ids = [f"user-{number}" for number in range(1_000_000)]
    some = ids[:50_000]
    assigner = HashAssigner([Experiment(key="ranker", variants={"control": 0.5, "new": 0.5})])
    ours = best(lambda: [assigner.assign(unit) for unit in some])
    theirs = None
    try:
        from growthbook import Experiment as PeerExperiment
        from growthbook import GrowthBook
    except ImportError:
        pass
    else:
        peer = PeerExperiment(key="ranker", variations=["control", "new"], hashVersion=2)
        client = GrowthBook(attributes={"id": ""})

        def run() -> None:
            for unit in some:
                client.set_attributes({"id": unit})
                client.run(peer)

        theirs = best(run)
    row("assign 50,000 units one by one", ours, "GrowthBook SDK", theirs)
    print(f"{'':<46}{len(some) / ours:10,.0f} units/s")
    row("assign 1,000,000 units at once", best(lambda: assigner.assign_many(ids)), "(none)", None)


def analysis(n: int) -> None:
    rng = np.random.default_rng(1)
    columns = {f"m{number}": rng.normal(10, 2, n) for number in range(N_METRICS)}
    arm = np.where(rng.random(n) < 0.5, "control", "new")
    table = pa.table({"variant": arm, **columns})
    plan = Plan(metrics=[Mean(name) for name in columns], correction="none")
    ours = best(lambda: analyze(table, plan))
    label = f"analyse {n:,} rows x {N_METRICS} metrics"
    row(label, ours, "tea-tasting on polars", tea_tasting(table, columns))

    def with_scipy() -> None:
        from scipy import stats

        new = arm == "new"
        for values in columns.values():
            stats.ttest_ind(values[new], values[~new], equal_var=False)

    row(label, ours, "scipy.stats", best(with_scipy))
    pieces = [table.slice(start, 250_000) for start in range(0, n, 250_000)]
    row("  the same from chunks", best(lambda: analyze(pieces, plan)), "(none)", None)
    by_arm = {
        name: Moments.of({key: values[arm == name] for key, values in columns.items()})
        for name in ("control", "new")
    }
    whole = best(lambda: analyze(by_arm, plan), 20)
    print(f"{'one test from moments':<46}{whole / N_METRICS * 1e6:10.1f} us")


def tea_tasting(table: pa.Table, columns: dict[str, np.ndarray]) -> float | None:
    try:
        import polars as pl
        import tea_tasting as tt
    except ImportError:
        return None
    experiment = tt.Experiment({name: tt.Mean(name) for name in columns}, variant="variant")
    frame = pl.from_arrow(table)
    return best(lambda: experiment.analyze(frame.lazy(), control="control"))


def sequential() -> None:
    looks = tuple(np.arange(1, 57) / 56)
    rule = GroupSequential(planned=1.0, looks=looks)
    seconds = best(lambda: rule.bounds(0.05))
    row("bounds of 56 group-sequential looks", seconds, "(none)", None)
    print(f"{'  spent less planned':<46}{abs(rule.power(0.0, 0.05) - 0.025):10.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    assignment()
    analysis(options.rows)
    sequential()


if __name__ == "__main__":
    main()
