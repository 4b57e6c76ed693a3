"""Off-policy evaluation on the Open Bandit sample: known means, known identities."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec.bandits.ope import IPS, SNIPS, Log, Replay

if TYPE_CHECKING:
    from siamrec.typing import FloatArray, IntArray

DATA = Path(os.environ.get("SIAMREC_DATA", "nowhere")) / "obd"

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="SIAMREC_DATA has no Open Bandit sample"),
]

N_ITEMS = 80


def read(policy: str) -> tuple[Log, IntArray]:
    """Return the log of one campaign policy and the position (0 to 2) of each row."""
    table = np.genfromtxt(
        DATA / policy / "all" / "all.csv", delimiter=",", skip_header=1, usecols=(2, 3, 4, 5)
    )
    log = Log(
        action=table[:, 0].astype(np.int32),
        reward=table[:, 2],
        propensity=table[:, 3],
        position=table[:, 1].astype(np.int64) - 1,
        n_actions=N_ITEMS,
    )
    assert log.position is not None
    return log, log.position


def shares(log: Log, position: IntArray) -> FloatArray:
    """Return how often the policy shows each item in each position, `(3, n_items)`."""
    counts = np.zeros((3, N_ITEMS))
    np.add.at(counts, (position, log.action), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def test_means_are_the_published_ones() -> None:
    assert read("random")[0].reward.mean() == pytest.approx(0.0038, abs=5e-5)
    assert read("bts")[0].reward.mean() == pytest.approx(0.0042, abs=5e-5)


def test_the_uniform_policy_on_its_own_log_is_its_mean() -> None:
    log, _ = read("random")
    even = np.full(len(log), 1 / N_ITEMS)
    for estimator in (IPS(), SNIPS()):
        assert estimator.estimate(log, even).value == pytest.approx(log.reward.mean(), rel=1e-9)


def test_thompson_from_uniform_logs() -> None:
    """The interval from 10,000 uniform rows holds the mean of the other policy's own log."""
    log, position = read("random")
    other, its_position = read("bts")
    table = shares(other, its_position)
    target = table[position, log.action]
    found = SNIPS().estimate(log, target)
    assert found.effective_sample_size > 300
    low, high = found.interval
    assert low < other.reward.mean() < high
    assert high - low < 0.02


def test_replay_of_a_fixed_item_equals_its_mean() -> None:
    log, _ = read("random")
    item = int(np.bincount(log.action).argmax())
    chosen = log.action == item
    found = Replay().estimate(log, chosen.astype(float))
    assert found.raw == pytest.approx(log.reward[chosen].mean())
