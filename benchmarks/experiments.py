"""Assignment and analysis beside GrowthBook's SDK, tea-tasting and SciPy in the same run.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python benchmarks/experiments.py [--full]

Peers are optional. `--full` takes 10 million rows instead of one million.
"""

from __future__ import annotations

import argparse
import resource
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
    from collections.abc import Callable, Iterator

N_METRICS = 5
CHUNK = 250_000


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


def chunk(number: int, n: int) -> pa.Table:
    """Return one part of the rows; the same number, the same rows."""
    rng = np.random.default_rng(number)
    arm = pa.DictionaryArray.from_arrays(
        rng.integers(0, 2, n, dtype=np.int8), pa.array(["control", "new"])
    )
    columns = {f"m{metric}": rng.normal(10, 2, n) for metric in range(N_METRICS)}
    return pa.table({"variant": arm, **columns})


def analysis(n: int) -> None:
    plan = Plan(metrics=[Mean(f"m{metric}") for metric in range(N_METRICS)], correction="none")
    streamed(n, plan)
    pieces = [chunk(number, min(CHUNK, n)) for number in range(max(1, n // CHUNK))]
    table = pa.concat_tables(pieces).combine_chunks()
    ours = best(lambda: analyze(table, plan))
    label = f"analyse {n:,} rows x {N_METRICS} metrics"
    row(label, ours, "tea-tasting on polars", tea_tasting(table))
    new = table["variant"].combine_chunks().indices.to_numpy() == 1
    columns = [table[f"m{metric}"].to_numpy() for metric in range(N_METRICS)]

    def with_scipy() -> None:
        from scipy import stats

        for values in columns:
            stats.ttest_ind(values[new], values[~new], equal_var=False)

    row(label, ours, "scipy.stats", best(with_scipy))
    row("  the same from chunks", best(lambda: analyze(pieces, plan)), "(none)", None)
    by_arm = {
        name: Moments.of({f"m{at}": values[new == arm] for at, values in enumerate(columns)})
        for arm, name in enumerate(("control", "new"))
    }
    repeats = 50
    whole = best(lambda: [analyze(by_arm, plan) for _ in range(repeats)], 7) / repeats
    print(f"{'one test from moments':<46}{whole / N_METRICS * 1e6:10.1f} us")


def streamed(n: int, plan: Plan) -> None:
    """Analyse rows that are made on the way and forgotten: time without the making, and memory."""
    made = 0.0

    def rows() -> Iterator[pa.Table]:
        nonlocal made
        for number in range(max(1, n // CHUNK)):
            start = time.perf_counter()
            part = chunk(number, min(CHUNK, n))
            made += time.perf_counter() - start
            yield part

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    analyze(rows(), plan)
    seconds = time.perf_counter() - start - made
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    row(f"analyse {n:,} streamed rows x {N_METRICS} metrics", seconds, "(none)", None)
    print(f"{'  more memory at its peak':<46}{more / 1024:10.1f} MiB")


def tea_tasting(table: pa.Table) -> float | None:
    try:
        import polars as pl
        import tea_tasting as tt
    except ImportError:
        return None
    experiment = tt.Experiment(
        {f"m{at}": tt.Mean(f"m{at}") for at in range(N_METRICS)}, variant="variant"
    )
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
    parser.add_argument("--full", action="store_true", help="10 million rows")
    options = parser.parse_args()
    analysis(10_000_000 if options.full else 1_000_000)
    assignment()
    sequential()


if __name__ == "__main__":
    main()
