"""Recommendations a second: everything of one request, from the context to the log.

A SQLite file, durability `process`, one thread: 10,000 items, 6 arms of which each request
blends 3, behind a history of 100,000 logged lists. Beside it stands what a host wires by hand
from the parts: a stored bandit, the arms, a draft, and a click log.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from siamrec import Workspace
from siamrec.bandits import Context, HierarchicalBeta, Limits
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.lifecycle import Placement
from siamrec.storage import Store, StoredList

ARMS = {
    "svd": "pure-svd",
    "text": {"name": "text-profile", "encoder": "encoder@live"},
    "item_cf": "item-knn",
    "graph": "rp3beta",
    "als": "ials:factors=32",
    "top": "popularity",
}


def world(n_users: int, n_items: int, rng: np.random.Generator) -> tuple[Feedback, Catalog]:
    """Clicks by a power law, 40 a user, and texts of a few words."""
    n = 40 * n_users
    item = (n_items * rng.random(n) ** 2.5).astype(np.int32)
    words = [f"word{code}" for code in range(500)]
    texts = [" ".join(rng.choice(words, size=8)) for _ in range(n_items)]
    items = Vocabulary(tuple(f"i{code}" for code in range(n_items)))
    feedback = Feedback(
        users=Vocabulary(tuple(f"u{code}" for code in range(n_users))),
        items=items,
        user=np.repeat(np.arange(n_users), 40).astype(np.int32),
        item=item,
        value=np.ones(n, dtype=np.float32),
        kind=np.ones(n, dtype=np.int8),
        time=np.sort(rng.integers(10**18, 2 * 10**18, n)),
        weight=np.ones(n, dtype=np.float32),
    )
    return feedback, Catalog(items=items, text=tuple(texts))


def past(ws: Workspace, n: int, rng: np.random.Generator) -> None:
    """Fill the log with lists that were served long ago."""
    for first in range(0, n, 5_000):
        lists = []
        for number in range(first, min(first + 5_000, n)):
            when = 10**18 + number
            shown = [f"i{code}" for code in rng.integers(0, 10_000, 10)]
            items = tuple(
                (place, item, 1.0, "svd", None, when) for place, item in enumerate(shown, 1)
            )
            lists.append(
                StoredList(
                    id=f"past-{number}",
                    placement="home",
                    bandit=None,
                    unit=f"u{number % 5_000}",
                    whole=0,
                    time=when,
                    opened=when,
                    settled=1,
                    body='{"confirm":"on_serve","failed":{},"versions":{}}',
                    items=items,
                )
            )
        ws.store.recommendations.write(lists, [], context=Context.default())


def timed(title: str, once: object, n: int) -> float:
    """Print requests a second and the slowest in a hundred; return the rate."""
    took = np.empty(n)
    for number in range(n):
        begun = time.perf_counter()
        once(number)  # type: ignore[operator]
        took[number] = time.perf_counter() - begun
    rate = n / took.sum()
    p50, p99 = np.quantile(took, [0.5, 0.99]) * 1_000
    print(f"{title:<44} {rate:8,.0f}/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    return float(rate)


def by_hand(folder: Path, ws: Workspace, n: int) -> float:
    """What a host writes itself: choose, score every arm, take turns, log."""
    store = Store(f"sqlite:///{folder}/hand.db")
    release = ws.placement("home").release
    assert release is not None
    bandit = store.bandit(
        "home", HierarchicalBeta(), tuple(ARMS), context=Context.default(),
        limits=Limits(floor=0.02, cap=0.7),
    )  # fmt: skip

    def once(number: int) -> None:
        user = f"u{number % 3_000}"
        decision = bandit.select({"segment": "power"}, n=3, unit=user)
        rows = [release.arms[arm].recommend_for_history([[f"i{number % 900}"]], k=10)
                for arm in decision.arms]  # fmt: skip
        picks: list[object] = []
        for place in range(10):
            for row in rows:
                item = row.lists()[0][place]
                if item not in picks and len(picks) < 10:
                    picks.append(item)
        store.feedback.click(decision, str(picks[0]), 1)

    rate = timed("wired by hand from the parts", once, n)
    store.close()
    return rate


def main() -> None:
    """Print our rate, the rate by hand, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--past", type=int, default=100_000)
    asked = parser.parse_args()
    rng = np.random.default_rng(7)
    feedback, catalog = world(5_000, 10_000, rng)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with Workspace(f"sqlite:///{folder}/app.db", encoder="hashing", salt="bench") as ws:
            ws.feedback.write(feedback)
            ws.catalog.write(catalog)
            home = ws.place(
                Placement(name="home", arms=ARMS, limits=Limits(floor=0.02, cap=0.7), n_arms=3)
            )
            ws.activate("home", ws.train("home").release, reason="speed does not ask for taste")
            past(ws, asked.past, rng)
            for number in range(100):
                home.recommend(f"u{number}")
            rate = timed(
                "recommend: 3 of 6 arms, 10,000 items, logged",
                lambda number: home.recommend(f"u{number % 3_000}"),
                asked.requests,
            )
            timed(
                "the same, re-ranked with diversity 0.3",
                lambda number: home.recommend(f"u{number % 3_000}", diversity=0.3),
                asked.requests // 2,
            )
            hand = by_hand(folder, ws, asked.requests // 4)
            print(f"{'ratio to the hand-wired host':<44} {rate / hand:8.1f}")


if __name__ == "__main__":
    main()
