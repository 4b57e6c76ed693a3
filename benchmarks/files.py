"""A file of a million rows to `Feedback`, beside polars and pandas, in CPU seconds and memory.

    python benchmarks/files.py [--rows 1000000]

Each reading runs in a process of its own: ours is `FileFeedback.load`, which checks quotes,
letters and every cell, sets bad rows apart and codes the ids; the peers read the same file and
code the ids of users and items (`Categorical`, `factorize`), and take every cell for granted.
Memory is the peak above a process that has done its imports.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TARGET_SECONDS, TARGET_MB = 1.0, 250.0
KINDS = ("csv", "csv quoted", "csv.gz", "jsonl", "parquet")
OURS = """
import pyarrow, pyarrow.compute, pyarrow.csv, pyarrow.json, pyarrow.parquet
from siamrec.feedback import FileFeedback
def read(path, kind):
    return len(FileFeedback(path=path).load().feedback)
"""
POLARS = """
import polars as pl
def read(path, kind):
    if "csv" in kind:
        frame = pl.read_csv(path)
    else:
        frame = pl.read_ndjson(path) if kind == "jsonl" else pl.read_parquet(path)
    coded = frame.with_columns(pl.col("user_id", "item_id").cast(pl.String).cast(pl.Categorical))
    return len(coded.with_columns(pl.col("rating").cast(pl.Float32)))
"""
PANDAS = """
import pandas as pd
def read(path, kind):
    if "csv" in kind:
        frame = pd.read_csv(path)
    else:
        frame = pd.read_json(path, lines=True) if kind == "jsonl" else pd.read_parquet(path)
    for name in ("user_id", "item_id"):
        pd.factorize(frame[name])
    return len(frame["rating"].astype("float32"))
"""
MEASURE = """
import gc, json, sys, time
def peak():  # of this process alone; what getrusage tells has the peak of its parent in it
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
gc.collect()
before, start = peak(), time.process_time()
n = read(sys.argv[1], sys.argv[2])
print(json.dumps([n, time.process_time() - start, peak() - before]))
"""


def write(folder: Path, n: int) -> dict[str, Path]:
    import polars as pl

    rng = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "user_id": [f"u{code}" for code in rng.integers(0, n // 20 + 1, n)],
            "item_id": rng.integers(0, 20_000, n),
            "rating": rng.integers(1, 11, n) / 2,
            "timestamp": 1_700_000_000 + rng.integers(0, 10**7, n),
        }
    )
    paths = {kind: folder / f"a.{kind.replace(' quoted', '.csv')}" for kind in KINDS}
    frame.write_csv(paths["csv"])
    frame.write_csv(paths["csv quoted"], quote_style="always")
    frame.write_ndjson(paths["jsonl"])
    frame.write_parquet(paths["parquet"])
    subprocess.run(["gzip", "-1", "-k", str(paths["csv"])], check=True)
    return paths


def measured(code: str, path: Path, kind: str, n: int) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", code + MEASURE, str(path), kind],
        check=True,
        capture_output=True,
        text=True,
    )
    rows, seconds, megabytes = json.loads(done.stdout)
    assert rows == n, (kind, rows)
    return seconds, megabytes


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    n = parser.parse_args().rows
    print(f"{n:,} rows; CPU seconds and MB above the imports, best of 3")
    print(f"{'file':<12}{'ours':>16}{'polars':>16}{'pandas':>16}{'/ polars':>10}{'/ pandas':>10}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in write(Path(folder), n).items():
            found = [
                min(measured(code, path, kind, n) for _ in range(3))
                for code in (OURS, POLARS, PANDAS)
            ]
            cells = "".join(f"{f'{s:.2f} s {mb:.0f} MB':>16}" for s, mb in found)
            (ours, _), (polars, _), (pandas, _) = found
            print(f"{kind:<12}{cells}{ours / polars:>10.2f}{ours / pandas:>10.2f}")
            if kind == "csv":
                seconds, megabytes = found[0]
                target = (seconds / TARGET_SECONDS, megabytes / TARGET_MB)
    print(
        f"csv, share of the target of {TARGET_SECONDS:g} s and {TARGET_MB:g} MB: "
        f"{target[0]:.2f}, {target[1]:.2f}"
    )


if __name__ == "__main__":
    main()
