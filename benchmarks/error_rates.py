"""How often what siamrec says is wrong, measured through its public doors.

    OMP_NUM_THREADS=1 python benchmarks/error_rates.py [looks] [off-policy] [power] ...
        [--repeats 0.1]

Parts: `looks` (experiments without a difference, looked at a hundred times), `off-policy` (do
intervals hold the value of a policy that did not make the log?), `power` (does a design find what
it promises?), `calibration` (are honest propensities left in peace?), `adaptive` (traffic that a
bandit assigned). Without a name all of them run, in about 25 minutes on one core. `--repeats`
multiplies the number of simulated experiments. Seeds are those of the code: the same version
prints the same numbers.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from scipy import special

from siamrec.bandits import BetaThompson, ContextualBandit, Limits, calibration
from siamrec.bandits.ope import ESTIMATORS, Log, adaptive_value
from siamrec.bandits.policies._book import POLICIES
from siamrec.data import Decisions, Moments, Rewards
from siamrec.experiments import (
    AsymptoticCS,
    Count,
    Design,
    GroupSequential,
    Margin,
    Mean,
    NormalMixture,
    Plan,
    Proportion,
    Quantile,
    Ratio,
    analyze,
)
from siamrec.experiments.analysis import adaptive_effect, equivalence, one_sided
from siamrec.experiments.sequential import LOOKING_RULES
from siamrec.statistics import bounded_difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from siamrec.experiments import ExperimentMetric
    from siamrec.experiments.planning._power import Hypothesis
    from siamrec.typing import BoolArray, FloatArray

    Columns = dict[str, FloatArray]
    Draw = Callable[..., Columns]

SEED = 20261201
ALPHA = 0.05


class Rate(NamedTuple):
    """How often something happened, and how often it may: between `least` and `most`."""

    name: tuple[str, ...]
    hits: int
    n: int
    least: float = 0.0
    most: float = 1.0

    @property
    def share(self) -> float:
        return self.hits / self.n if self.n else math.nan

    def error(self, share: float | None = None) -> float:
        """Return the standard error, were a share the true one; that which was found if absent."""
        p = self.share if share is None else share
        return math.sqrt(p * (1 - p) / self.n) if self.n else math.inf

    def fits(self, sigmas: float) -> bool:
        """Return whether the share is within its bounds and so many standard errors."""
        if not self.n:
            return True
        below = self.least - sigmas * self.error(self.least)
        return below <= self.share <= self.most + sigmas * self.error(self.most)


# --- looks: experiments without a difference, a hundred looks


N_LOOKS, STEP = 100, 100
PLANNED = 2.0 * N_LOOKS * STEP
_WIDE = AsymptoticCS(planned=1e9)
"""A rule so wide that its p-value tells the deviate of every estimate beyond 1."""


def looking_rules() -> dict[str, AsymptoticCS | NormalMixture | GroupSequential]:
    """Return every registered rule, with each spending function, tuned to the experiments."""
    looks = tuple((np.arange(1, N_LOOKS + 1) / N_LOOKS).tolist())
    rules: dict[str, AsymptoticCS | NormalMixture | GroupSequential] = {
        "asymptotic-cs": AsymptoticCS(planned=PLANNED),
        "asymptotic-cs, early": AsymptoticCS(planned=PLANNED / 20),
        "normal-mixture": NormalMixture(effect=0.05),
        "group-sequential, obrien-fleming": GroupSequential(planned=PLANNED, looks=looks),
        "group-sequential, pocock": GroupSequential(
            planned=PLANNED, looks=looks, spending="pocock"
        ),
        "group-sequential, power": GroupSequential(planned=PLANNED, looks=looks, spending="power"),
        "group-sequential, hwang-shih-decani": GroupSequential(
            planned=PLANNED, looks=looks, spending="hwang-shih-decani", shape=-4.0
        ),
    }
    assert {name.split(",")[0] for name in rules} == set(LOOKING_RULES.house())
    return rules


def skewed(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    return {"y": rng.lognormal(0, 1, n) + lift}


def with_past(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    past, new = rng.normal(size=(2, n))
    return {"y": np.exp(0.7 * past + 0.7 * new) + lift, "before": np.exp(past)}


def views_and_clicks(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    views = 1 + rng.poisson(3, n)
    clicks = rng.binomial(views, rng.beta(1, 9, n))
    clicks += rng.binomial(views - clicks, lift / 9)  # of .9 that are none, as many as of .1
    return {"clicks": clicks.astype(float), "views": views.astype(float)}


def purchases(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    return {"y": rng.poisson(rng.gamma(0.5, 1 + lift, n)).astype(float)}


def coins(rate: float) -> Draw:
    def draw(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
        return {"y": (rng.random(n) < rate * (1 + lift)).astype(float)}

    return draw


METRICS: dict[str, tuple[ExperimentMetric, Draw]] = {
    "Mean": (Mean("y"), skewed),
    "Mean + CUPED": (Mean("y", covariate="before"), with_past),
    "Ratio": (Ratio("y", "clicks", "views"), views_and_clicks),
    "Proportion 20 %": (Proportion("y"), coins(0.2)),
    "Proportion 2 %": (Proportion("y"), coins(0.02)),
    "Proportion 0.2 %": (Proportion("y"), coins(0.002)),
    "Count": (Count("y"), purchases),
    "Quantile": (Quantile("y", 0.9), skewed),
}


def moments_at_looks(columns: Columns) -> Iterator[Moments]:
    """Yield the moments of the rows up to each look."""
    rows = np.stack(list(columns.values()))
    centre = rows.mean(axis=1, keepdims=True).round()  # whole, so that counts stay exact
    away = rows - centre
    ends = np.arange(1, N_LOOKS + 1) * STEP
    sums = np.cumsum(away, axis=1)[:, ends - 1]
    products = np.cumsum(away[:, None] * away[None], axis=2)[:, :, ends - 1]
    for look, n in enumerate(ends.tolist()):
        mean = sums[:, look] / n
        yield Moments(
            names=tuple(columns),
            n=n,
            mean=mean + centre[:, 0],
            product=products[:, :, look] - n * np.outer(mean, mean),
        )


def deviates(metric: ExperimentMetric, draw: Draw, rng: np.random.Generator) -> FloatArray:
    """Return by how many standard errors `analyze` finds two equal variants apart at each look."""
    control, new = draw(rng, N_LOOKS * STEP), draw(rng, N_LOOKS * STEP)
    if isinstance(metric, Quantile):
        return np.array([by_rows(metric, control, new, n * STEP) for n in range(1, N_LOOKS + 1)])
    plan = Plan(metrics=[metric], sequential=_WIDE)
    found = []
    for each in zip(moments_at_looks(control), moments_at_looks(new), strict=True):
        report = analyze(dict(zip(("control", "new"), each, strict=True)), plan)
        found.append(deviate_of(report[metric.name].absolute.log_p, 2.0 * each[0].n))
    return np.array(found)


def deviate_of(log_p: float, n: float) -> float:
    """Return the deviate that the wide rule has seen, 0 where it was less than 1."""
    low = -_WIDE.log_e(0.0, n, ALPHA)
    slope = _WIDE.log_e(1.0, n, ALPHA) + low
    return math.sqrt((low - log_p) / slope) if log_p < 0 else 0.0


def by_rows(metric: ExperimentMetric, control: Columns, new: Columns, n: int) -> float:
    """Return the same for a metric that needs rows, from its p-value at a fixed horizon."""
    arm = np.repeat(["control", "new"], n)
    frame = {"variant": arm, "y": np.concatenate([control["y"][:n], new["y"][:n]])}
    log_p = analyze(frame, Plan(metrics=[metric]))[metric.name].fixed.log_p
    return float(-special.ndtri_exp(log_p - np.log(2)))


def bounds_of(rule: AsymptoticCS | NormalMixture | GroupSequential) -> FloatArray:
    """Return how many standard errors a rule reaches at each look."""
    if isinstance(rule, GroupSequential):
        return rule.bounds(ALPHA)
    sizes = 2.0 * STEP * np.arange(1, N_LOOKS + 1)
    return np.array([rule.multiplier(n, ALPHA) for n in sizes.tolist()])


def looks(repeats: float = 1.0) -> list[Rate]:
    """Return how often two equal variants are called different at some of a hundred looks."""
    rules = looking_rules()
    bounds = {name: bounds_of(rule) for name, rule in rules.items()}
    bounds["none (1.96 at every look)"] = np.full(N_LOOKS, 1.959964)
    found = []
    for place, (label, (metric, draw)) in enumerate(METRICS.items()):
        n = max(round((200 if isinstance(metric, Quantile) else 800) * repeats), 4)
        seen = np.array(
            [deviates(metric, draw, np.random.default_rng([SEED, place, k])) for k in range(n)]
        )
        for name, bound in bounds.items():
            crossed = int((seen > bound).any(axis=1).sum())
            most = ALPHA if name in rules else 1.0
            found.append(Rate((label, name), crossed, n, most=most))
    return found


# --- off-policy: does the interval hold the value of a policy that did not make the log?

N_ACTIONS, GROUPS = 6, (0, 0, 1, 1, 2, 2)
RATES, SIZES = (0.3, 0.05, 0.015, 0.005), (500, 2000)
SETTINGS = {
    "mips": {"groups": GROUPS},
    "slope": {"candidates": ("ips", "ips:clip=5", "ips:clip=2")},
}
WEIGHTS = {"moderate": (0.2, 0.35), "great": (0.4, 0.35)}
"""How far logging and target policy follow what they know of a round."""


class Round(NamedTuple):
    """Rounds of a logging policy: what was known, both policies, rates, choices and rewards."""

    known: FloatArray
    logging: FloatArray
    target: FloatArray
    rate: FloatArray
    action: FloatArray
    reward: FloatArray

    def log(self) -> Log:
        rows = np.arange(self.action.size)
        return Log(
            action=self.action,
            reward=self.reward,
            propensity=self.logging[rows, self.action],
            logging=self.logging,
            features=self.known,
            n_actions=N_ACTIONS,
            reward_range=(0.0, 1.0),
        )


def softmax(values: FloatArray) -> FloatArray:
    grown = np.exp(values)
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def rounds(rng: np.random.Generator, n: int, rate: float, weights: str) -> Round:
    """Draw rounds in which rewards depend on what is known and on the group of an action."""
    fixed = np.random.default_rng(5)
    by_log, by_target = fixed.normal(size=(2, 2, N_ACTIONS))
    own, by_group = fixed.normal(size=N_ACTIONS), fixed.normal(size=(2, 3))
    base = 0.3 * fixed.normal(size=3)
    known = rng.normal(size=(n, 2))
    if weights == "replay":  # an even log and a target that is sure of itself
        logging = np.full((n, N_ACTIONS), 1 / N_ACTIONS)
        target = np.eye(N_ACTIONS)[(known @ by_target + 0.5 * own).argmax(axis=1)]
    else:
        followed, wanted = WEIGHTS[weights]
        logging = softmax(followed * known @ by_log)
        target = softmax(wanted * (known @ by_target + 0.5 * own))
    odds = rate / (1 - rate) * np.exp(0.4 * known @ by_group + base)[:, GROUPS]
    chance = odds / (1 + odds)
    action = (rng.random(n)[:, None] > logging.cumsum(axis=1)).sum(axis=1).clip(0, N_ACTIONS - 1)
    reward = (rng.random(n) < chance[np.arange(n), action]).astype(float)
    return Round(known, logging, target, chance, action, reward)


class Covered(NamedTuple):
    """Of so many logs, how many were supported, and how many intervals held the value."""

    name: tuple[str, ...]
    n: int
    supported: int
    held: int
    held_supported: int

    def rates(self, least: float) -> tuple[Rate, Rate, Rate]:
        """Return the share supported, coverage where supported, and what misleads of all."""
        missed = self.supported - self.held_supported
        return (
            Rate((*self.name, "supported"), self.supported, self.n, least=least),
            Rate((*self.name, "covered"), self.held_supported, self.supported, least=0.93),
            Rate((*self.name, "misled"), missed, self.n, most=0.07),
        )


def off_policy(repeats: float = 1.0, weights: tuple[str, ...] = tuple(WEIGHTS)) -> list[Covered]:
    """Return coverage and support of every registered estimator."""
    estimators = {
        name: ESTIMATORS.make(name, **SETTINGS.get(name, {})) for name in ESTIMATORS.house()
    }
    found = []
    for kind, rate, size in itertools.product(weights, RATES, SIZES):
        n = max(round((600 if kind == "moderate" else 200) * repeats), 4)
        worlds = {kind: [name for name in estimators if name != "replay"]}
        if kind == "moderate":
            worlds["replay"] = ["replay"]
        for world, names in worlds.items():
            whole = rounds(np.random.default_rng([SEED, 1]), 1_000_000, rate, world)
            truth = float((whole.target * whole.rate).sum(axis=1).mean())
            told = np.zeros((len(names), n, 2), dtype=np.bool_)
            for turn in range(n):
                drawn = rounds(np.random.default_rng([SEED, 2, size, turn]), size, rate, world)
                log = drawn.log()
                for place, name in enumerate(names):
                    each = estimators[name].estimate(log, drawn.target)
                    low, high = each.interval
                    told[place, turn] = each.diagnostics.supported, low <= truth <= high
            for name, (supported, held) in zip(names, told.transpose(0, 2, 1), strict=True):
                label = (kind, f"{rate:g}", str(size), name)
                both = int((supported & held).sum())
                found.append(Covered(label, n, int(supported.sum()), int(held.sum()), both))
    return found


# --- power: does a design find what it promises, as analysis judges it?

HISTORY = 400_000


class Planned(NamedTuple):
    """A metric, how its columns are drawn, and the share of its value that is to be found."""

    metric: ExperimentMetric
    draw: Draw
    size: float


def gamma(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    return {"y": rng.gamma(4, 0.25, n) + lift}


def gamma_with_past(rng: np.random.Generator, n: int, lift: float = 0.0) -> Columns:
    own, before, now = rng.gamma(2, 0.25, (3, n))
    return {"y": own + now + lift, "before": own + before}


DESIGNS: dict[str, Planned] = {
    "Mean": Planned(Mean("y"), gamma, 0.1),
    "Mean + CUPED": Planned(Mean("y", covariate="before"), gamma_with_past, 0.1),
    "Ratio": Planned(Ratio("y", "clicks", "views"), views_and_clicks, 0.1),
    "Proportion 20 %": Planned(Proportion("y"), coins(0.2), 0.15),
    "Proportion 2 %": Planned(Proportion("y"), coins(0.02), 0.4),
    "Count": Planned(Count("y"), purchases, 0.2),
}


def is_found(
    hypothesis: Hypothesis, data: dict[str, Moments], metric: ExperimentMetric, size: float
) -> bool:
    """Return whether analysis says that the hypothesis holds."""
    margin = Margin(absolute=size) if hypothesis == "non-inferiority" else None
    plan = Plan(metrics=[replace(metric, margin=margin)])  # type: ignore[type-var]
    report = analyze(data, plan)
    found = report[metric.name]
    if hypothesis == "two-sided":
        return report.decision == "ship"
    if hypothesis == "non-inferiority":
        return found.safe and report.decision == "ship"
    if hypothesis == "one-sided":
        return one_sided(found.fixed)[0] < ALPHA
    return equivalence(found.fixed, margin=size)[0] < ALPHA


def power(repeats: float = 1.0) -> list[Rate]:
    """Return how often a design of 80 % power finds what is there."""
    n_runs = max(round(2000 * repeats), 4)
    found = []
    hypotheses: tuple[Hypothesis, ...] = (
        "two-sided",
        "one-sided",
        "non-inferiority",
        "equivalence",
    )
    for place, (label, planned) in enumerate(DESIGNS.items()):
        history = planned.draw(np.random.default_rng([SEED, 3, place]), HISTORY)
        baseline = Moments.of(history)
        value = value_of(planned.metric, history)
        for turn, hypothesis in enumerate(hypotheses):
            size = Margin(absolute=planned.size * value)
            tested = {"mde": size} if "sided" in hypothesis else {"margin": size}
            design = Design(
                metric=planned.metric, baseline=baseline, hypothesis=hypothesis, **tested
            )
            rng = np.random.default_rng([SEED, 4, place, turn])
            half = -(-design.sample_size() // 2)
            lift = planned.size if "sided" in hypothesis else 0.0
            hits = 0
            for _ in range(n_runs):
                drawn = planned.draw(rng, half), planned.draw(rng, half, lift)
                data = dict(zip(("control", "new"), map(Moments.of, drawn), strict=True))
                hits += is_found(hypothesis, data, planned.metric, planned.size * value)
            found.append(Rate((label, hypothesis, f"{2 * half}"), hits, n_runs, 0.78, 0.82))
    return found


def value_of(metric: ExperimentMetric, history: Columns) -> float:
    top, below = metric.outcome
    return float(history[top].mean() / (history[below].mean() if below else 1.0))


# --- calibration: are honest propensities left in peace, and wrong ones found?

TRUE_RATES = np.array([0.02, 0.05, 0.08])


def honest_log(name: str, floor: float, seed: int) -> Decisions:
    """Return 200 decisions of a policy that learns after every 40."""
    rng = np.random.default_rng([SEED, 5, seed])
    n_features = 2 if name.startswith("linear") else 0
    arms = ("a", "b", "c")
    bandit = ContextualBandit(
        POLICIES.make(name), arms, limits=Limits(floor=floor), seed=seed, n_features=n_features
    )
    parts = []
    for _ in range(5):
        known = rng.normal(size=(40, n_features)) if n_features else None
        chosen = bandit.select_many([{}] * 40, features=known)
        won = rng.random(40) < TRUE_RATES[chosen.arm]
        bandit.learn(Rewards(decision=chosen.id, reward=won.astype(float)))
        parts.append(replace(chosen, state_version=0))
    return Decisions.concat(parts)


def calibrations(repeats: float = 1.0) -> list[Rate]:
    """Return how often honest logs are called wrong at 5 %, and how often wrong ones are."""
    found = []
    n = max(round(400 * repeats), 4)
    for name, floor in itertools.product(sorted(POLICIES.house()), (0.0, 1e-4)):
        p = [calibration(honest_log(name, floor, seed), floor=floor) for seed in range(n)]
        hits = int((np.array(p) <= ALPHA).sum())
        found.append(Rate((name, f"floor {floor:g}"), hits, n, most=ALPHA))
    for label, told in WRONG.items():
        p = [calibration(told(np.random.default_rng([SEED, 6, k])), floor=0.02) for k in range(n)]
        found.append(Rate((label, "floor 0.02"), int((np.array(p) <= ALPHA).sum()), n))
    return found


def drawn_by(chance: list[float], logged: list[float]) -> Callable[..., Decisions]:
    """Return decisions drawn by some chances, with others in the log."""

    def draw(rng: np.random.Generator) -> Decisions:
        arm = rng.choice(3, 400, p=chance)
        return Decisions(
            id=np.arange(400),
            arm=arm,
            propensity=np.array(logged)[arm],
            cell=np.zeros(400, dtype=int),
            time=np.zeros(400, dtype=int),
            arms=("a", "b", "c"),
        )

    return draw


WRONG = {
    "logged .02 for what was .05": drawn_by([0.9, 0.05, 0.05], [0.96, 0.02, 0.02]),
    "logged .10 for what was .02": drawn_by([0.96, 0.02, 0.02], [0.8, 0.1, 0.1]),
    "all logged 1.3 times too high": drawn_by([0.6, 0.3, 0.1], [0.78, 0.39, 0.13]),
}


# --- adaptive: traffic that a bandit assigned, at 2 %

BATCH, N_BATCHES = 100, 100


def adaptive_traffic(
    rates: tuple[float, float], floor: float, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return arm, outcome and the probabilities of both arms, 10,000 rows in time order."""
    rng = np.random.default_rng([SEED, 7, seed])
    limits = Limits(floor=floor)
    bandit = ContextualBandit(BetaThompson(), ("old", "new"), limits=limits, seed=seed)
    arms, outcomes, chances = [], [], []
    for _ in range(N_BATCHES):
        chosen = bandit.select_many([{}] * BATCH)
        won = (rng.random(BATCH) < np.array(rates)[chosen.arm]).astype(float)
        bandit.learn(Rewards(decision=chosen.id, reward=won))
        new = np.where(chosen.arm == 1, chosen.propensity, 1 - chosen.propensity)
        arms.append(chosen.arm)
        outcomes.append(won)
        chances.append(np.stack([1 - new, new], axis=1))
    return np.concatenate(arms), np.concatenate(outcomes), np.concatenate(chances)


def adaptive(repeats: float = 1.0) -> list[Rate]:
    """Return how often intervals miss the effect at some look, and an arm's value at the end."""
    n_runs = max(round(120 * repeats), 4)
    found = []
    for rates, floor in itertools.product(((0.02, 0.02), (0.02, 0.03)), (0.1, 0.02)):
        told = dict.fromkeys(ADAPTIVE, 0)
        for seed in range(n_runs):
            arm, outcome, chance = adaptive_traffic(rates, floor, seed)
            given = chance[np.arange(arm.size), arm]
            for method in ("aipw", "ipw"):
                missed, spoke = misses_somewhere(arm, outcome, given, method, rates)
                told[f"effect, asymptotic {method}"] += missed
                told[f"asymptotic {method} has an interval at the end"] += spoke
            exact = bounded_difference(arm, outcome, given=given, least=floor)
            told["effect, exact for outcomes of 0 and 1"] += misses(exact.interval, rates)
            log = Log(action=arm, reward=outcome, propensity=given, logging=chance,
                      n_actions=2, reward_range=(0.0, 1.0))  # fmt: skip
            low, high = adaptive_value(log, np.tile([0.0, 1.0], (arm.size, 1))).interval
            told["value of an arm, adaptively weighted"] += not low <= rates[1] <= high
            told["value of an arm, plain mean"] += plain_misses(arm, outcome, rates[1])
        name = f"{rates[0]:.0%} and {rates[1]:.0%}", f"floor {floor:g}"
        found += [Rate((*name, label), told[label], n_runs, most=ADAPTIVE[label])
                  for label in ADAPTIVE]  # fmt: skip
    return found


ADAPTIVE = {
    "effect, asymptotic aipw": ALPHA,
    "effect, asymptotic ipw": ALPHA,
    "effect, exact for outcomes of 0 and 1": ALPHA,
    "value of an arm, adaptively weighted": 0.07,
    "value of an arm, plain mean": 1.0,
    "asymptotic aipw has an interval at the end": 1.0,
    "asymptotic ipw has an interval at the end": 1.0,
}
"""What is counted of adaptive traffic, and how often it may be."""


def misses(interval: tuple[float, float], rates: tuple[float, float]) -> bool:
    return not interval[0] <= rates[1] - rates[0] <= interval[1]


def misses_somewhere(
    arm: FloatArray,
    outcome: FloatArray,
    given: FloatArray,
    method: Literal["aipw", "ipw"],
    rates: tuple[float, float],
) -> tuple[bool, bool]:
    """Return whether an interval misses at some look, and whether there is one at the end."""
    missed = False
    for n in range(BATCH, arm.size + 1, BATCH):
        each = adaptive_effect(
            arm[:n], outcome[:n], given=given[:n], planned=arm.size, method=method
        )
        missed = missed or misses(each.interval, rates)
    return missed, math.isfinite(each.interval[0])


def plain_misses(arm: BoolArray, outcome: FloatArray, truth: float) -> bool:
    """Return whether the usual interval of an arm's mean misses, as if it had not learned."""
    won = outcome[arm == 1]
    return bool(abs(won.mean() - truth) > 1.96 * won.std(ddof=1) / math.sqrt(won.size))


# --- printing


def show(title: str, rates: list[Rate]) -> None:
    print(f"\n{title}")
    for each in rates:
        bound = f"{each.least:.2f} to {each.most:.2f}"
        verdict = "" if each.fits(2.0) else "   MISSES ITS BOUND"
        names = "  ".join(f"{name:<36}" for name in each.name)
        print(f"  {names} {each.share:7.4f} ± {each.error():.4f} of {each.n}  {bound}{verdict}")


def show_off_policy(found: list[Covered]) -> None:
    print("\noff-policy: supported, covered where supported, misled (supported and missed)")
    for each in found:
        kind, rate, size, _ = each.name
        wanted = 0.9 if (kind, rate, size) == ("moderate", "0.05", "2000") else 0.0
        supported, covered, misled = each.rates(wanted)
        bad = [what for what in (supported, covered, misled) if not what.fits(2.0)]
        print(
            f"  {'  '.join(f'{name:<12}' for name in each.name)} {supported.share:.3f}  "
            f"{covered.share:.3f} ± {covered.error():.3f}  {misled.share:.3f} of {each.n}"
            + "".join(f"   MISSES: {what.name[-1]}" for what in bad)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = {
        "looks": lambda factor: show("looks: called different at some look", looks(factor)),
        "off-policy": lambda factor: show_off_policy(off_policy(factor)),
        "power": lambda factor: show("power of designs of .80", power(factor)),
        "calibration": lambda factor: show("calibration: p <= .05", calibrations(factor)),
        "adaptive": lambda factor: show("adaptive traffic: missed", adaptive(factor)),
    }
    parser.add_argument("parts", nargs="*", choices=[*parts, []])
    parser.add_argument("--repeats", type=float, default=1.0)
    asked = parser.parse_args()
    for name in asked.parts or parts:
        start = time.perf_counter()
        parts[name](asked.repeats)
        print(f"  ({name}: {time.perf_counter() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
