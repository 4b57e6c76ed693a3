"""
Judge a policy from another one's log
=====================================

A fashion shop showed 80 items in 3 positions, chosen evenly at random on some traffic and by
Thompson sampling on the rest. What would Thompson sampling have earned, judged from the even
traffic alone? Here the answer can be checked, because both logs exist.
"""

# %%
# The data is the Open Bandit Dataset (Saito, Aihara, Matsutani, Narita, 2021). When the
# environment variable ``SIAMREC_DATA`` names a folder that holds its sample under ``obd``, the
# sample is read; otherwise two small logs of the same shape are drawn, from items whose click
# rates are known.
import os
from pathlib import Path

import numpy as np

from siamrec.bandits.ope import IPS, SNIPS, Log, evaluate

N_ITEMS, N_POSITIONS = 80, 3
folder = Path(os.environ.get("SIAMREC_DATA", "no-data")) / "obd"


def read_log(policy: str) -> Log:
    """Return one policy's log of the Open Bandit sample."""
    table = np.genfromtxt(
        folder / policy / "all" / "all.csv", delimiter=",", skip_header=1, usecols=(2, 3, 4, 5)
    )
    return Log(
        action=table[:, 0].astype(np.int32),
        position=table[:, 1].astype(np.int64) - 1,
        reward=table[:, 2],
        propensity=table[:, 3],
        n_actions=N_ITEMS,
    )


def draw_log(share: np.ndarray, click_rate: np.ndarray, rng: np.random.Generator) -> Log:
    """Return 10,000 rows of a policy that shows items with the given shares."""
    position = rng.integers(0, N_POSITIONS, 10_000)
    item = (rng.random(10_000)[:, None] > share[position].cumsum(axis=1)).sum(axis=1)
    item = np.minimum(item, N_ITEMS - 1)
    return Log(
        action=item,
        position=position,
        reward=(rng.random(10_000) < click_rate[item]).astype(float),
        propensity=share[position, item],
        n_actions=N_ITEMS,
    )


if folder.is_dir():
    even, thompson = read_log("random"), read_log("bts")
    source = "Open Bandit sample"
else:
    rng = np.random.default_rng(5)
    click_rate = rng.beta(2, 400, N_ITEMS)
    preferred = rng.dirichlet(40 * click_rate / click_rate.mean(), N_POSITIONS)
    even = draw_log(np.full((N_POSITIONS, N_ITEMS), 1 / N_ITEMS), click_rate, rng)
    thompson = draw_log(preferred, click_rate, rng)
    source = "simulated logs"
print(f"{source}: {len(even):,} rows of the even policy, {len(thompson):,} of Thompson sampling")

# %%
# The target: how often Thompson sampling shows each item in each position, counted in its log.
# The probabilities it logged row by row belong to its state at the time; the even log has no such
# states, so its rows can only be weighed by these shares. Clicks of the Thompson log are not used.
shares = np.zeros((N_POSITIONS, N_ITEMS))
np.add.at(shares, (thompson.position, thompson.action), 1.0)
shares /= shares.sum(axis=1, keepdims=True)
target = shares[even.position, even.action]

# %%
# Two estimates from the even log. The effective sample size says how many rows of the target's
# own traffic would tell as much.
found = evaluate(even, target, estimators=(IPS(), SNIPS()))
print(found.to_markdown())

# %%
# With a few dozen clicks the normal interval is only approximate. The weights are known to be at
# most the greatest share times the number of items, and clicks are 0 or 1, so an interval that is
# right at any size can be had by betting.
greatest = float((shares * N_ITEMS).max())
safe = IPS().estimate(even, target, interval="betting", within=(0.0, greatest))
print(f"by betting: {safe.interval[0]:.5f} to {safe.interval[1]:.5f}")

# %%
# The check that is seldom to be had: the click rate that Thompson sampling really earned.
earned = thompson.reward.mean()
low, high = found["snips"].interval
print(f"earned {earned:.5f}; estimated {found['snips'].value:.5f} [{low:.5f}, {high:.5f}]")
print(f"for comparison, the even policy earned {even.reward.mean():.5f}")
