"""Decisions and updates per second, and regret, beside other libraries in the same run.

    OMP_NUM_THREADS=1 python benchmarks/bandits.py [--seconds 0.5] [--regret]

Peers (MABWiser, river, Vowpal Wabbit) are optional. Ours returns the exact probability of every
choice and logs the decision; MABWiser and river return an arm. `cached` is a decision in a state
that has not changed since the last one in its cell, `fresh` one after every update.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from siamrec.bandits import (
    BayesUCB,
    BetaThompson,
    ContextualBandit,
    HierarchicalBeta,
    LinearThompson,
    Policy,
    Uniform,
)
from siamrec.bandits.policies import LinearSampler, Outcomes, Rounds, Space
from siamrec.data import Rewards
from siamrec.simulation.bandits import AdditiveWorld, BanditWorld, BernoulliWorld

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec.typing import FloatArray

BATCH = 10_000


def rate(work: Callable[[], object], seconds: float, size: int = 1) -> float:
    """Return how often per second `work` is done, best of three."""
    work()
    best = 0.0
    for _ in range(3):
        start, turns = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / 3:
            work()
            turns += 1
        best = max(best, turns * size / (time.perf_counter() - start))
    return best


def told(label: str, ours: float, peers: dict[str, float | None]) -> None:
    cells = [
        f"{name} {value:>10,.0f} (x {ours / value:5.1f})" if value else f"{name} not installed"
        for name, value in peers.items()
    ]
    print(f"{label:<46}{ours:>12,.0f}/s   {'   '.join(cells)}")


def peer_beta(n_arms: int, seconds: float) -> dict[str, dict[str, float | None]]:
    arms = [f"a{number}" for number in range(n_arms)]
    found: dict[str, dict[str, float | None]] = {
        "choose": {"MABWiser": None, "river": None},
        "choose and learn": {"MABWiser": None, "river": None},
        "choose many": {"MABWiser": None},
    }
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError:
        pass
    else:
        mab = MAB(arms, LearningPolicy.ThompsonSampling(), seed=1)
        mab.fit(arms * 2, [1, 0] * n_arms)

        def both() -> None:
            mab.partial_fit([mab.predict()], [1])

        found["choose"]["MABWiser"] = rate(mab.predict, seconds)
        found["choose and learn"]["MABWiser"] = rate(both, seconds)
        many = np.zeros((BATCH, 1))
        found["choose many"]["MABWiser"] = rate(lambda: mab.predict(many), seconds, BATCH)
    try:
        from river import bandit, proba
    except ImportError:
        pass
    else:
        policy = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=1)

        def step() -> None:
            policy.update(policy.pull(arms), 1)

        for _ in range(3):
            step()
        found["choose"]["river"] = rate(lambda: policy.pull(arms), seconds)
        found["choose and learn"]["river"] = rate(step, seconds)
    return found


def beta(n_arms: int, seconds: float) -> None:
    arms = tuple(f"a{number}" for number in range(n_arms))
    peers = peer_beta(n_arms, seconds)
    bandit = ContextualBandit(BetaThompson(), arms=arms)
    for number, arm in enumerate(arms):
        bandit.learn(bandit.select(arms=[arm]).id, reward=float(number % 2))
    told(f"Beta, {n_arms} arms: choose, cached", rate(bandit.select, seconds), peers["choose"])

    def both() -> None:
        bandit.learn(bandit.select().id, reward=1.0)

    told(
        f"Beta, {n_arms} arms: choose and learn, fresh",
        rate(both, seconds),
        peers["choose and learn"],
    )
    columns = [{}] * BATCH
    ours = rate(lambda: bandit.select_many(columns), seconds, BATCH)
    told(f"Beta, {n_arms} arms: choose {BATCH}", ours, peers["choose many"])
    batch = bandit.select_many(columns)
    turn = iter(range(10**9))

    def learn() -> None:
        # A later time makes every reward a correction: taken back and added anew.
        times = np.full(BATCH, next(turn))
        bandit.learn(Rewards(decision=batch.id, reward=np.ones(BATCH), time=times))

    told(f"Beta, {n_arms} arms: learn {BATCH}", rate(learn, seconds, BATCH), {})


def linear(n_arms: int, n_features: int, seconds: float) -> None:
    rng = np.random.default_rng(1)
    n = max(20 * n_arms, 2000)
    x, arm, y = rng.normal(size=(n, n_features)), rng.integers(0, n_arms, n), rng.normal(size=n)
    sampler = LinearSampler(n_arms=n_arms, n_features=n_features)
    for row in range(min(n, 4000)):
        sampler.learn(int(arm[row]), x[row], float(y[row]))
    turn = iter(range(10**9))

    def choose() -> int:
        return sampler.choose(x[next(turn) % n], rng.normal(size=n_arms))

    def learn() -> None:
        row = next(turn) % n
        sampler.learn(int(arm[row]), x[row], float(y[row]))

    peers: dict[str, float | None] = {"MABWiser LinTS": None}
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError:
        pass
    else:
        mab = MAB(list(range(n_arms)), LearningPolicy.LinTS(alpha=0.5), seed=1)
        part = min(n, 4 * n_arms)
        mab.fit(arm[:part].tolist(), y[:part].tolist(), x[:part])
        peers["MABWiser LinTS"] = rate(lambda: mab.predict(x[next(turn) % n][None]), seconds)
    label = f"linear, {n_arms} arms x {n_features} features"
    other = vowpal(n_arms, x, seconds)
    told(f"{label}: choose", rate(choose, seconds), {**peers, **other["choose"]})
    told(f"{label}: learn", rate(learn, seconds), other["learn"])
    if n_arms <= 64:
        bandit = ContextualBandit(
            LinearThompson(), arms=tuple(map(str, range(n_arms))), n_features=n_features
        )
        ours = rate(lambda: bandit.select(features=x[next(turn) % n]), seconds)
        told(f"{label}: choose, exact probabilities", ours, {})


def vowpal(n_arms: int, x: FloatArray, seconds: float) -> dict[str, dict[str, float | None]]:
    """Epsilon-greedy on linear costs: no posterior, but a log of exact probabilities as well."""
    found: dict[str, dict[str, float | None]] = {"choose": {"VW": None}, "learn": {"VW": None}}
    try:
        import vowpalwabbit
    except ImportError:
        return found
    workspace = vowpalwabbit.Workspace(f"--cb_explore {n_arms} --epsilon 0.05 --quiet")
    rows = ["|x " + " ".join(f"{i}:{v:.5f}" for i, v in enumerate(row)) for row in x[:500]]
    rng = np.random.default_rng(2)
    turn = iter(range(10**9))

    def choose() -> int:
        chances = np.asarray(workspace.predict(rows[next(turn) % len(rows)]))
        return int(np.searchsorted(chances.cumsum(), rng.random()))

    def learn() -> None:
        number = next(turn)
        workspace.learn(f"{number % n_arms + 1}:{number % 2}:0.5 {rows[number % len(rows)]}")

    found["choose"]["VW"] = rate(choose, seconds)
    found["learn"]["VW"] = rate(learn, seconds)
    workspace.finish()
    return found


def regret(policy: Policy, world: BanditWorld, horizon: int, seed: int, *, cells: bool) -> float:
    rng = np.random.default_rng(seed)
    levels = world.levels if cells else ()
    space = Space(n_arms=world.n_arms, levels=levels, pooled=(False,) * len(levels))
    sums, lost, block = policy.init(space), 0.0, 25
    for start in range(0, horizon, block):  # beliefs are renewed after every 25 rewards
        there = world.cells(block, rng)
        known = there if cells else np.zeros(block, dtype=np.int64)
        turn = np.arange(start, start + block)
        distinct, which = np.unique(known, return_inverse=True)
        rounds = Rounds.of(distinct, world.n_arms)
        chance = policy.weigh(policy.posterior(sums, space), rounds).probability[which]
        edges = np.cumsum(chance, axis=1)
        arm = (rng.random(block)[:, None] * edges[:, -1:] >= edges).sum(axis=1)
        reward = world.rewards(there, turn, arm, rng)
        lost += float(world.regret(there, turn, arm).sum())
        outcomes = Outcomes(
            cell=known,
            arm=arm,
            reward=reward,
            weight=np.ones(block),
            propensity=chance[np.arange(block), arm],
        )
        policy.accumulate(sums, outcomes)
    return lost


def regrets(horizon: int, n_seeds: int) -> None:
    print(f"\nregret after {horizon} rounds, {n_seeds} worlds (mean ± s.e.)")
    cases: list[tuple[str, Policy, bool]] = [
        ("uniform", Uniform(), True),
        ("Beta per cell", BetaThompson(), True),
        ("Beta without context", BetaThompson(), False),
        ("hierarchical Beta", HierarchicalBeta(), True),
    ]
    for label, policy, cells in cases:
        found = [
            regret(
                policy,
                AdditiveWorld.drawn(np.random.default_rng(seed)),
                horizon,
                100 + seed,
                cells=cells,
            )
            for seed in range(n_seeds)
        ]
        error = np.std(found, ddof=1) / np.sqrt(n_seeds)
        print(f"  216 cells x 6 arms   {label:<24}{np.mean(found):8.0f} ± {error:.0f}")
    arms = BernoulliWorld((0.5, 0.4, 0.4, 0.4, 0.4, 0.4))
    for label, policy in (("Beta Thompson", BetaThompson()), ("Bayes-UCB", BayesUCB())):
        found = [regret(policy, arms, horizon, seed, cells=False) for seed in range(n_seeds)]
        error = np.std(found, ddof=1) / np.sqrt(n_seeds)
        print(f"  .5, .4 x 5           {label:<24}{np.mean(found):8.1f} ± {error:.1f}")


def peer_regrets(rates: tuple[float, ...], horizon: int, n_seeds: int) -> None:
    """Play the same Bernoulli arms with the peers, one round at a time."""
    arms = [f"a{number}" for number in range(len(rates))]
    found: dict[str, list[float]] = {}
    for seed in range(n_seeds):
        for label, choose, learn in peer_players(arms, seed):
            rng = np.random.default_rng(seed)
            lost = 0.0
            for _ in range(horizon):
                arm = arms.index(choose())
                lost += max(rates) - rates[arm]
                learn(arms[arm], int(rng.random() < rates[arm]))
            found.setdefault(label, []).append(lost)
    for label, losses in found.items():
        error = np.std(losses, ddof=1) / np.sqrt(len(losses))
        print(f"  .5, .4 x 5           {label:<24}{np.mean(losses):8.1f} ± {error:.1f}")


def peer_players(arms: list[str], seed: int) -> list[tuple[str, Callable, Callable]]:
    players: list[tuple[str, Callable, Callable]] = []
    try:
        from mabwiser.mab import MAB, LearningPolicy
    except ImportError:
        pass
    else:
        mab = MAB(arms, LearningPolicy.ThompsonSampling(), seed=seed)
        mab.fit(arms, [0] * len(arms))
        players.append(("MABWiser Thompson", mab.predict, lambda a, r: mab.partial_fit([a], [r])))
    try:
        from river import bandit, proba
    except ImportError:
        pass
    else:
        policy = bandit.ThompsonSampling(reward_obj=proba.Beta(), seed=seed)
        players.append(("river Thompson", lambda: policy.pull(arms), policy.update))
    try:
        import vowpalwabbit
    except ImportError:
        return players
    workspace = vowpalwabbit.Workspace(
        f"--cb_explore {len(arms)} --epsilon 0.05 --quiet --random_seed {seed}"
    )
    rng = np.random.default_rng(1000 + seed)
    last: list[float] = [1.0]

    def choose() -> str:
        chances = np.asarray(workspace.predict("|x c"))
        arm = min(int(np.searchsorted(chances.cumsum(), rng.random())), len(arms) - 1)
        last[0] = float(chances[arm])
        return arms[arm]

    def learn(arm: str, reward: int) -> None:
        workspace.learn(f"{arms.index(arm) + 1}:{1 - reward}:{last[0]:.6f} |x c")

    players.append(("VW epsilon-greedy", choose, learn))
    return players


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--regret", action="store_true")
    parser.add_argument("--horizon", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=4)
    options = parser.parse_args()
    for n_arms in (6, 50):
        beta(n_arms, options.seconds)
    for n_arms, n_features in ((6, 20), (50, 20), (1000, 100)):
        linear(n_arms, n_features, options.seconds)
    if options.regret:
        regrets(options.horizon, options.seeds)
        peer_regrets((0.5, 0.4, 0.4, 0.4, 0.4, 0.4), options.horizon, options.seeds)


if __name__ == "__main__":
    main()
