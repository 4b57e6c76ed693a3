"""
Choose among two recommenders
=============================

A contextual bandit learns which of two recommenders earns clicks from whom, and says for every
choice with what probability it was made.
"""

# %%
# Two arms: the first suits newcomers, the second people with a long history. The bandit does
# not know that.
import numpy as np

from siamrec import Context, ContextualBandit, HierarchicalBeta, Rewards
from siamrec.bandits import Factor, Limits

segments = Factor("segment", ("cold", "regular"))
bandit = ContextualBandit(
    HierarchicalBeta(),
    arms=("popularity", "text"),
    context=Context((segments,)),
    limits=Limits(floor=0.05),
    seed=7,
)
click_rate = {"cold": (0.30, 0.10), "regular": (0.10, 0.25)}

# %%
# Two thousand visits in batches of a hundred. Rewards may come late, twice or out of order.
rng = np.random.default_rng(7)
for _ in range(20):
    contexts = [{"segment": str(segment)} for segment in rng.choice(["cold", "regular"], 100)]
    batch = bandit.select_many(contexts)
    rates = [click_rate[c["segment"]][arm] for c, arm in zip(contexts, batch.arm, strict=True)]
    bandit.learn(Rewards(decision=batch.id, reward=(rng.random(100) < rates).astype(float)))

# %%
# What it believes now, with 95 % intervals, and how it would choose.
for segment in ("cold", "regular"):
    for arm, view in bandit.describe({"segment": segment}).items():
        print(
            f"{segment:>8}  {arm:<10}  rate {view.mean:.2f} [{view.low:.2f}, {view.high:.2f}]"
            f"  chosen with probability {view.probability:.2f}"
        )
