"""What filters and rules add to a request, over 10,000 items.

One placement answers the same requests in turns, so that all meet the same machine: without
anything, with a filter, with a filter and three rules. Times are of this process's CPU. The target
is less than a fifth more.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from siamrec import Workspace
from siamrec._core.clock import DAY
from siamrec.bandits import Limits
from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.lifecycle import Boost, Pin, Placement, Quota, Rule

N_ITEMS = 10_000
NOW = 2 * 10**18
ARMS = {
    "svd": "pure-svd", "few": "pure-svd:factors=8", "many": "pure-svd:factors=24",
    "text": {"name": "text-profile", "encoder": "encoder@live"}, "top": "popularity",
}  # fmt: skip
WHERE = "stock > 0 and 'kids' not in genres and released > now() - days(730)"
RULES = (
    Rule("summer", when="user.country == 'TH'", then=Pin("i17", 1), owner="marketing"),
    Rule("mix", then=Quota("genre", most=3)),
    Rule("tail", then=Boost("long_tail", 0.2)),
)


def world(rng: np.random.Generator) -> tuple[Feedback, Catalog]:
    """Return clicks by a power law of 600 people, and items with columns."""
    users, items = np.repeat(np.arange(600), 20), (N_ITEMS * rng.random(12_000) ** 2.5).astype(int)
    items[:N_ITEMS] = np.arange(N_ITEMS)
    feedback = Feedback.of(
        user=[f"u{code}" for code in users], item=[f"i{code}" for code in items], kind="click",
        time=[NOW - int(code) * DAY // 100 for code in rng.integers(1, 10_000, 12_000)],
    )  # fmt: skip
    genres = ("noir", "kids", "war", "space", "western", "heist")
    columns: dict[str, Any] = {
        "stock": rng.integers(0, 30, N_ITEMS).tolist(),
        "genre": [genres[code] for code in rng.integers(0, 6, N_ITEMS)],
        "genres": [tuple(rng.choice(genres, 2, replace=False).tolist()) for _ in range(N_ITEMS)],
        "released": [NOW - int(code) * DAY for code in rng.integers(0, 900, N_ITEMS)],
        "long_tail": [code >= N_ITEMS // 5 for code in range(N_ITEMS)],
    }
    texts = [" ".join(rng.choice(genres, 2)) + f" {code % 97}" for code in range(N_ITEMS)]
    ids = Vocabulary(tuple(f"i{code}" for code in range(N_ITEMS)))
    return feedback, Catalog(items=ids, text=tuple(texts), attributes=columns)


def main() -> None:
    """Print the time of a request without, with a filter, with all, and the ratios of this run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=500)
    asked = parser.parse_args()
    feedback, catalog = world(np.random.default_rng(7))
    settings: dict[str, dict[str, Any]] = {
        "without": {},
        "with a filter": {"where": WHERE},
        "with a filter and three rules": {"where": WHERE, "rules": RULES},
    }
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{Path(name)}/app.db"
        with Workspace(url, encoder="hashing", salt="bench") as ws:
            ws.feedback.write(feedback)
            ws.catalog.write(catalog)
            bare = Placement(name="home", arms=ARMS, limits=Limits(floor=0.02, cap=0.7), n_arms=3)
            home = ws.place(bare)
            ws.activate("home", ws.train("home").release, reason="speed does not ask for taste")
            took = dict.fromkeys(settings, 0.0)
            for round_ in range(asked.requests // 50 + 1):
                for what, changes in settings.items():
                    home = ws.place(replace(bare, **changes))
                    for number in range(60):
                        begun = time.process_time()
                        home.recommend(f"u{number}", about={"country": "TH"}, time=NOW)
                        if round_ and number >= 10:  # after everything was made once
                            took[what] += time.process_time() - begun
            n = asked.requests // 50 * 50
            for what, seconds in took.items():
                ratio = seconds / took["without"]
                print(f"{what:<32} {seconds / n * 1_000:6.2f} ms   {ratio:5.2f}")


if __name__ == "__main__":
    main()
