"""Broken policies, bandits, assigners, hashers and estimators, each with one fault."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from siamrec.bandits import BetaThompson
from siamrec.bandits.ope import IPS, Estimator, Log
from siamrec.bandits.policies import Estimates, Policy, Weighing
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.testing.bandits import BanditContract, PolicyContract
from siamrec.testing.estimators import EstimatorContract
from siamrec.testing.experiments import AssignerContract, HasherContract

# --- policies --------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RightPolicy(Policy):
    right: ClassVar = BetaThompson()
    name: ClassVar[str] = "right"

    def init(self, space):
        return self.right.init(space)

    def accumulate(self, sums, outcomes):
        self.right.accumulate(sums, outcomes)

    def posterior(self, sums, space):
        return self.right.posterior(sums, space)

    def weigh(self, model, rounds):
        return self.right.weigh(model, rounds)

    def top(self, model, rounds, n):
        return self.right.top(model, rounds, n)

    def estimate(self, model, rounds):
        return self.right.estimate(model, rounds)


class WrongSign(RightPolicy):
    def accumulate(self, sums, outcomes):
        super().accumulate(sums, replace(outcomes, reward=1 - outcomes.reward))


class IgnoresItsCell(RightPolicy):
    def accumulate(self, sums, outcomes):
        for cell in range(len(next(iter(sums.values())))):
            super().accumulate(sums, replace(outcomes, cell=np.full_like(outcomes.cell, cell)))


class IgnoresWeight(RightPolicy):
    def accumulate(self, sums, outcomes):
        super().accumulate(sums, replace(outcomes, weight=np.sign(outcomes.weight)))


class IgnoresTemperature(RightPolicy):
    def weigh(self, model, rounds):
        plain = np.ones_like(rounds.temperature)
        return super().weigh(model, replace(rounds, temperature=plain))


class KeepsItsAnswer(RightPolicy):
    kept: ClassVar[dict] = {}

    def weigh(self, model, rounds):
        key = (id(model), rounds.eligible.tobytes(), rounds.temperature.tobytes())
        if key not in self.kept:
            found = super().weigh(model, rounds)
            self.kept[key] = (
                model,
                Weighing(probability=found.probability.copy(), best=found.best.copy()),
            )
        return self.kept[key][1]


class DoesNotSumToOne(RightPolicy):
    def weigh(self, model, rounds):
        found = super().weigh(model, rounds)
        return Weighing(probability=found.probability * 0.9, best=found.best)


class IgnoresTheMask(RightPolicy):
    def weigh(self, model, rounds):
        return super().weigh(model, replace(rounds, eligible=np.ones_like(rounds.eligible)))


class ForgetsInOrder(RightPolicy):
    def accumulate(self, sums, outcomes):
        for name in sums:
            sums[name] *= 0.99
        super().accumulate(sums, outcomes)


class GlobalChance(RightPolicy):
    def weigh(self, model, rounds):
        found = super().weigh(model, rounds)
        noise = np.random.rand(*found.probability.shape) * rounds.eligible
        mixed = 0.9 * found.probability + 0.1 * noise / noise.sum(axis=1, keepdims=True)
        return Weighing(probability=mixed, best=found.best)


class LikesTheFirstArm(RightPolicy):
    def weigh(self, model, rounds):
        found = super().weigh(model, rounds)
        first = np.eye(rounds.eligible.size)[int(rounds.eligible.argmax())]
        return Weighing(probability=0.8 * found.probability + 0.2 * first, best=found.best)


class TurnedIntervals(RightPolicy):
    def estimate(self, model, rounds):
        found = super().estimate(model, rounds)
        return Estimates(mean=found.mean, low=found.high, high=found.low)


class PriorInTheSums(RightPolicy):
    def init(self, space):
        return {name: total + 1.0 for name, total in super().init(space).items()}


class LearnsNothing(RightPolicy):
    def accumulate(self, sums, outcomes):
        pass


class WritesIntoTheSums(RightPolicy):
    def posterior(self, sums, space):
        found = super().posterior(sums, space)
        for name in sums:
            sums[name] += 1.0
        return found


class TopOfOneArm(RightPolicy):
    def top(self, model, rounds, n):
        return super().top(model, rounds, 1)


class TakesTheWorst(RightPolicy):
    def weigh(self, model, rounds):
        found = super().weigh(model, rounds)
        turned = (1 - found.probability) * rounds.eligible
        return Weighing(probability=turned / turned.sum(axis=1, keepdims=True), best=found.best)


class HalvesRewards(RightPolicy):
    """Learns half of every reward: all laws of order hold."""

    def accumulate(self, sums, outcomes):
        super().accumulate(sums, replace(outcomes, reward=outcomes.reward / 2))


# --- bandits ---------------------------------------------------------------------------------


class RightBandit:
    """Draws an arm with a probability that rises with the square of its mean."""

    def __init__(self, arms):
        self.arms = tuple(arms)
        self.tries, self.wins = Counter(), Counter()
        self.known, self.counted = {}, {}
        self.random, self.made = random.Random(5), 0

    def worth(self, arm):
        return ((self.wins[arm] + 1) / (self.tries[arm] + 2)) ** 2

    def chances(self, arms):
        total = sum(self.worth(arm) for arm in arms)
        return [self.worth(arm) / total for arm in arms]

    def new_id(self):
        self.made += 1
        return f"{self.made:06}"

    def drawn(self, arms):
        chances = self.chances(arms)
        place = self.random.choices(range(len(arms)), chances)[0]
        return arms[place], chances[place]

    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        left = list(self.arms if arms is None else arms)
        if not 1 <= n <= len(left):
            raise InvalidParameterError("n", n, "at most the number of arms")
        chosen, told = [], []
        for _ in range(n):
            arm, chance = self.drawn(left)
            left.remove(arm)
            chosen.append(arm)
            told.append(chance)
        id_ = self.new_id()
        self.known[id_] = chosen[0]
        return SimpleNamespace(id=id_, arms=tuple(chosen), propensities=tuple(told))

    def select_many(self, contexts, *, arms=None):
        rows = [self.select(each, arms=arms) for each in contexts]
        return Many(rows, self.arms)

    def learn(self, rewards):
        for id_, reward in zip(rewards.decision.tolist(), rewards.reward, strict=True):
            self.counted[id_] = self.taken(float(reward))
        self.tries = Counter(self.known[id_] for id_ in self.counted)
        self.wins = Counter()
        for id_, reward in self.counted.items():
            self.wins[self.known[id_]] += reward

    def taken(self, reward):
        return reward

    def snapshot(self):
        return dict(self.wins), dict(self.tries)


class Many:
    def __init__(self, rows, arms):
        self.arms = arms
        self.id = np.array([row.id for row in rows])
        self.arm = np.array([arms.index(row.arms[0]) for row in rows])
        self.propensity = np.array([row.propensities[0] for row in rows])

    def __len__(self):
        return len(self.id)


class ToldEvenly(RightBandit):
    """The propensity is that of an even draw, whatever was drawn."""

    def drawn(self, arms):
        arm, _ = super().drawn(arms)
        return arm, 1 / len(arms)


class LearnsOneLess(RightBandit):
    def taken(self, reward):
        return 1 - reward


class CountsTwice(RightBandit):
    def learn(self, rewards):
        for id_, reward in zip(rewards.decision.tolist(), rewards.reward, strict=True):
            self.tries[self.known[id_]] += 1
            self.wins[self.known[id_]] += float(reward)


class IgnoresEligible(RightBandit):
    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        return super().select(context, n=n, unit=unit)


class RepeatsArms(RightBandit):
    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        found = super().select(context, n=n, arms=arms)
        found.arms = (found.arms[0],) * n
        return found


class GlobalDraws(RightBandit):
    def drawn(self, arms):
        chances = self.chances(arms)
        place = int(np.random.choice(len(arms), p=chances))
        return arms[place], chances[place]


class NeverLearns(RightBandit):
    def learn(self, rewards):
        pass


class ManyDrawnEvenly(RightBandit):
    """Many rounds are drawn evenly, and told as if one by one."""

    def select_many(self, contexts, *, arms=None):
        names = list(self.arms if arms is None else arms)
        chances = dict(zip(names, self.chances(names), strict=True))
        rows = []
        for _ in contexts:
            arm, id_ = self.random.choice(names), self.new_id()
            self.known[id_] = arm
            rows.append(SimpleNamespace(id=id_, arms=(arm,), propensities=(chances[arm],)))
        return Many(rows, self.arms)


class OneIdForAll(RightBandit):
    def new_id(self):
        return "decision"


class AnyNumberOfArms(RightBandit):
    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        return super().select(context, n=min(max(n, 1), len(arms or self.arms)), arms=arms)


class NewestCountsMost(RightBandit):
    def learn(self, rewards):
        for id_, reward in zip(rewards.decision.tolist(), rewards.reward, strict=True):
            if id_ in self.counted:
                continue
            self.counted[id_] = 1
            for arm in self.arms:
                self.tries[arm] *= 0.9
                self.wins[arm] *= 0.9
            self.tries[self.known[id_]] += 1
            self.wins[self.known[id_]] += float(reward)


class ToldOfAllArms(RightBandit):
    """The second rank is told as if the first were still there."""

    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        found = super().select(context, n=n, arms=arms)
        names = list(self.arms if arms is None else arms)
        chances = dict(zip(names, self.chances(names), strict=True))
        found.propensities = tuple(chances[arm] for arm in found.arms)
        return found


class ChanceOfItsOwn(RightBandit):
    def __init__(self, arms):
        super().__init__(arms)
        self.random = random.Random()


class ForgetsTheUnit(RightBandit):
    """Does not log whom a decision was for: the protocol asks for it nowhere."""

    def select(self, context, *, n=1, unit=None, arms=None, time=None):
        return super().select(context, n=n, arms=arms)


# --- assigners -------------------------------------------------------------------------------


class RightAssigner:
    variants = ("control", "new")
    shares: ClassVar = {"control": 0.3, "new": 0.7}

    def bucket(self, unit):
        return int.from_bytes(hashlib.sha256(f"salt|{unit}".encode()).digest()[:8], "big") / 2**64

    def code(self, unit):
        return int(self.bucket(unit) >= 0.3)

    def told(self, code):
        return self.shares[self.variants[code]]

    def assign(self, unit, context=None):
        if not unit:
            raise InvalidDataError("A unit must not be empty.")
        code = self.code(unit)
        return SimpleNamespace(unit=unit, variant=self.variants[code], propensity=self.told(code))

    def assign_many(self, units):
        if isinstance(units, str):
            raise InvalidDataError("units must be a list.")
        codes = np.array([self.code(unit) for unit in units], dtype=int)
        propensity = np.array([self.told(code) for code in codes])
        return SimpleNamespace(variants=self.variants, codes=codes, propensity=propensity)


class DrawsAnew(RightAssigner):
    def bucket(self, unit):
        return random.random()


class EvenShares(RightAssigner):
    def code(self, unit):
        return int(self.bucket(unit) >= 0.5)


class EvenlyTold(RightAssigner):
    def told(self, code):
        return 0.5


class BulkByPlace(RightAssigner):
    def assign_many(self, units):
        found = super().assign_many(units)
        found.codes = np.array([self.code(place) for place in range(len(found.codes))], dtype=int)
        found.propensity = np.array([self.told(code) for code in found.codes])
        return found


class TakesLettersForUnits(RightAssigner):
    def assign_many(self, units):
        return super().assign_many(list(units))


class TakesNobody(RightAssigner):
    def assign(self, unit, context=None):
        return super().assign(unit or "nobody")


class OfThisProcess(RightAssigner):
    def __init__(self):
        self.salt = random.random()

    def bucket(self, unit):
        return super().bucket(f"{self.salt}{unit}")


class InPairs(RightAssigner):
    """Units whose numbers stand side by side are assigned alike."""

    def bucket(self, unit):
        head, _, number = str(unit).rpartition("-")
        return super().bucket(f"{head}{int(number) // 2}" if number.isdigit() else unit)


class Remembers(RightAssigner):
    """What was assigned before moves what comes."""

    seen = 0

    def code(self, unit):
        self.seen += 1
        return super().code(unit) if self.seen % 7 else 0


class FirstFewLetters(RightAssigner):
    def bucket(self, unit):
        return super().bucket(str(unit)[:6])


class LowerCase(RightAssigner):
    """Takes "Ann" and "ann" for one unit: the suite does not know whether they are."""

    def bucket(self, unit):
        return super().bucket(str(unit).lower())


# --- hashers ---------------------------------------------------------------------------------


class RightHasher:
    def __call__(self, unit, salt):
        digest = hashlib.sha256(f"{salt}|{unit}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64


class Uneven(RightHasher):
    def __call__(self, unit, salt):
        return super().__call__(unit, salt) ** 1.2


class WithoutSalt(RightHasher):
    def __call__(self, unit, salt):
        return super().__call__(unit, "")


class SeededByProcess(RightHasher):
    def __call__(self, unit, salt):
        return random.random()


class AboveOne(RightHasher):
    def __call__(self, unit, salt):
        return super().__call__(unit, salt) * 100


# --- estimators ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RightEstimator(Estimator):
    right: ClassVar = IPS()
    name: ClassVar[str] = "right"

    def parts(self, log, target):
        return self.right.parts(log, target)


class MeanReward(RightEstimator):
    def parts(self, log, target):
        parts = super().parts(log, target)
        return replace(parts, base=np.zeros(len(log)), top=log.reward, below=np.ones(len(log)))


class ClippedInSecret(RightEstimator):
    right: ClassVar = IPS(clip=1.0)


class ActionOffByOne(RightEstimator):
    def parts(self, log, target):
        return super().parts(log, np.roll(target, 1, axis=1))


class WithoutRewards(RightEstimator):
    def parts(self, log, target):
        ones = replace(log, reward=np.full(len(log), 0.4))
        return super().parts(ones, target)


class Noisy(RightEstimator):
    def parts(self, log, target):
        return super().parts(replace(log, reward=log.reward + 0.01 * np.random.rand()), target)


class SaysYesToAll(RightEstimator):
    def estimate(self, log, target, **settings):
        found = super().estimate(log, target, **settings)
        return replace(found, diagnostics=replace(found.diagnostics, supported=True))


class IntervalElsewhere(RightEstimator):
    def estimate(self, log, target, **settings):
        found = super().estimate(log, target, **settings)
        return replace(found, interval=(found.raw + 0.01, found.raw + 0.05))


class OneWidth(RightEstimator):
    def estimate(self, log, target, **settings):
        found = super().estimate(log, target, **settings)
        return replace(found, interval=(found.raw - 0.03, found.raw + 0.03))


class FirstHalf(RightEstimator):
    def parts(self, log, target):
        half = np.arange(len(log) // 2)
        return super().parts(log.rows(half), target[half])


class TakesAnyTarget(RightEstimator):
    def estimate(self, log, target, **settings):
        target = np.abs(np.resize(target, (len(log), log.n_actions)))
        return super().estimate(log, target / target.sum(axis=1, keepdims=True), **settings)


class LosingRewards(RightEstimator):
    def parts(self, log, target):
        return super().parts(replace(log, reward=1 - log.reward), target)


class ErrorTooLarge(RightEstimator):
    """Twice the error: every law of intervals holds."""

    def estimate(self, log, target, **settings):
        found = super().estimate(log, target, **settings)
        low, high = found.interval
        wide = (2 * low - found.raw, 2 * high - found.raw)
        return replace(found, interval=wide, error=2 * found.error)


assert Log

KINDS = {
    PolicyContract: RightPolicy,
    BanditContract: RightBandit,
    AssignerContract: RightAssigner,
    HasherContract: RightHasher,
    EstimatorContract: RightEstimator,
}
