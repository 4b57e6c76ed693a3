"""Two arms that are equally good, one with late clicks: learning at the window favours neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec._core.clock import DAY, SECOND, ManualClock
from siamrec.bandits import Context, SuccessRule
from siamrec.data import Feedback
from siamrec.lifecycle import Placement, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.typing import Instant

NOW = 20_000 * DAY


def share_of_quick(path: Path, rule: SuccessRule, *, late: int, n: int, salt: str) -> float:
    """Return how often the arm with clicks at once was chosen; a second passes between lists."""
    clock = ManualClock(NOW)
    rng = np.random.default_rng([*salt.encode()])
    with Workspace(f"sqlite:///{path}/{salt}.db", clock=clock, salt=salt) as ws:
        pairs = [(f"u{user}", f"i{item}") for user in range(9) for item in range(user + 1)]
        users, items = zip(*pairs, strict=True)
        ws.feedback.write(Feedback.of(user=users, item=items, kind="click", time=NOW - DAY))
        home = ws.place(
            Placement(
                name="home", arms={"quick": "popularity", "slow": "popularity"}, k=1,
                policy="beta-thompson", context=Context.none(), reward=rule,
            )
        )  # fmt: skip
        ws.activate("home", ws.train("home").release, reason="equal arms")
        waiting: list[tuple[Instant, str, str]] = []
        quick = 0
        for number in range(n):
            clock.advance(SECOND)
            while waiting and waiting[0][0] <= clock.now():
                _, id_, item = waiting.pop(0)
                ws.feedback.click(id_, item)
            if number % 25 == 0:
                ws.settle()
            shown = home.recommend(f"visitor-{number}", request=f"{salt}-{number}")
            quick += shown.arms == ("quick",)
            if rng.random() < 0.1:
                if shown.arms == ("quick",):
                    ws.feedback.click(shown, str(shown.items[0]))
                else:
                    waiting.append((clock.now() + late * SECOND, shown.id, str(shown.items[0])))
        return quick / n


@pytest.mark.slow
def test_learning_at_the_window_favours_neither(tmp_path: Path) -> None:
    late, n = 200, 1_200
    at_window, at_once = SuccessRule(window="300s"), SuccessRule(window="300s", learn="at_once")
    fair = [share_of_quick(tmp_path, at_window, late=late, n=n, salt=f"w{i}") for i in range(4)]
    # A bandit that has learned nothing wrong ends anywhere around one half; measured spread .15.
    assert abs(np.mean(fair) - 0.5) < 4 * 0.15 / len(fair) ** 0.5
    hasty = [share_of_quick(tmp_path, at_once, late=late, n=n, salt=f"o{i}") for i in range(2)]
    assert np.mean(hasty) > np.mean(fair) + 0.15
