"""
Measure two rankers and compare them
====================================

Every metric comes with an interval, and two rankers are compared user by user.
"""

# %%
# A simulated world, because its truth is known: readers, stories, and what they like later.
import numpy as np

from siamrec import EASE, Popularity, Suite
from siamrec.lifecycle import hold_out
from siamrec.simulation import World

world = World(n_users=400, n_items=150).simulate(np.random.default_rng(1))
split = hold_out(world.feedback, world.catalog, rng=np.random.default_rng(1))
truth = split.truth(split.warm)

# %%
# Two arms, fitted on the training users, rank items for people they have never met.
suite = Suite(["ndcg@10", "recall@20", "coverage@10"])
reports = {}
for name, recipe in {"popularity": Popularity(positive=4), "ease": EASE(positive=4)}.items():
    lists = recipe.fit(split.train).recommend_for_feedback(split.profile, k=20)
    reports[name] = suite.evaluate(lists, truth, catalog_size=len(split.warm))
    estimate = reports[name]["ndcg@10"]
    print(
        f"{name:>10}: {estimate.mean:.3f} [{estimate.interval[0]:.3f}, {estimate.interval[1]:.3f}]"
    )

# %%
# The difference, paired by user, with a sign-flip test and Holm's correction.
reports["ease"].compare(reports["popularity"])
