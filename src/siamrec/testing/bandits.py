"""What every bandit policy must keep, as a test class to subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamrec.bandits.policies import Outcomes, Rounds, Space
from siamrec.bandits.policies.base import add_sums, widen
from siamrec.data import Rewards
from siamrec.errors import SiamrecError
from siamrec.testing.sample import no_global_chance

if TYPE_CHECKING:
    from siamrec.bandits import Policy
    from siamrec.bandits.policies import Sums
    from siamrec.protocols import Bandit
    from siamrec.typing import FloatArray, IntArray

__all__ = [
    "N_ARMS",
    "N_FEATURES",
    "SPACE",
    "BanditContract",
    "PolicyContract",
    "outcomes_of",
    "rounds_of",
]

N_ARMS = 4
N_FEATURES = 3
SPACE = Space(n_arms=N_ARMS, levels=(3, 2), pooled=(True, False), n_features=N_FEATURES)
"""Two factors, of which the first has an unknown level: six cells."""

Row: TypeAlias = tuple[int, int, float]

_laws = settings(
    # One inherited test runs for several policies, which is what a contract is.
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors],
)

row_lists = st.lists(
    st.tuples(st.integers(0, SPACE.n_cells - 1), st.integers(0, N_ARMS - 1), st.floats(0, 1)),
    max_size=30,
)


def feature_rows(cells: IntArray) -> FloatArray:
    """Return a fixed feature vector for each cell."""
    cell = np.asarray(cells, dtype=float)
    return np.stack([np.ones_like(cell), np.cos(cell), np.sin(2 * cell)], axis=1)


def outcomes_of(rows: list[Row], *, weight: float = 1.0) -> Outcomes:
    """Build outcomes from `(cell, arm, reward)` rows, chosen with probability 1/4."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    cell, arm = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Outcomes(
        cell=cell,
        arm=arm,
        reward=table[:, 2],
        weight=np.full(len(table), weight),
        propensity=np.full(len(table), 1 / N_ARMS),
        features=feature_rows(cell),
    )


def rounds_of(*, eligible: tuple[bool, ...] = (True,) * N_ARMS) -> Rounds:
    """Build one round in each cell."""
    cells = np.arange(SPACE.n_cells, dtype=np.int64)
    return Rounds(
        cell=cells,
        eligible=np.array(eligible),
        temperature=np.ones(cells.size),
        features=feature_rows(cells),
    )


class PolicyContract(ABC):
    """Subclass it as `class TestMine(PolicyContract)` and say how to build one."""

    tolerance = 1e-6
    """Agreement asked of two ways to the same probabilities."""

    learns = True
    """Whether rewards move the probabilities at all."""

    tempered = True
    """Whether the temperature of a round moves the probabilities."""

    @abstractmethod
    def make(self) -> Policy[Any]:
        """Return the policy under test, with rewards in [0, 1] accepted."""

    def _weigh(self, sums: Sums, rounds: Rounds | None = None) -> FloatArray:
        policy = self.make()
        return policy.weigh(policy.posterior(sums, SPACE), rounds or rounds_of()).probability

    @given(rows=row_lists, cut=st.integers(0, 30), seed=st.integers(0, 2**16))
    @_laws
    def test_order_and_batches_do_not_matter(self, rows: list[Row], cut: int, seed: int) -> None:
        policy = self.make()
        start = policy.init(SPACE)
        whole = policy.update(start, outcomes_of(rows))
        mixed = [rows[place] for place in np.random.default_rng(seed).permutation(len(rows))]
        parts = policy.update(
            policy.update(start, outcomes_of(mixed[:cut])), outcomes_of(mixed[cut:])
        )
        merged = add_sums(
            policy.update(start, outcomes_of(mixed[cut:])),
            policy.update(start, outcomes_of(mixed[:cut])),
        )
        for name, total in whole.items():
            np.testing.assert_allclose(parts[name], total, atol=1e-9)
            np.testing.assert_allclose(merged[name], total, atol=1e-9)
        assert all((total == 0).all() for total in start.values())

    @given(rows=row_lists)
    @_laws
    def test_an_outcome_can_be_taken_back(self, rows: list[Row]) -> None:
        policy = self.make()
        there = policy.update(policy.init(SPACE), outcomes_of(rows))
        back = policy.update(there, outcomes_of(rows, weight=-1.0))
        for total in back.values():
            np.testing.assert_allclose(total, 0.0, atol=1e-9)

    @given(rows=row_lists, masked=st.integers(0, N_ARMS - 1))
    @_laws
    def test_probabilities_sum_to_one_and_keep_the_mask(
        self, rows: list[Row], masked: int
    ) -> None:
        policy = self.make()
        sums = policy.update(policy.init(SPACE), outcomes_of(rows))
        model = policy.posterior(sums, SPACE)
        rounds = rounds_of(eligible=tuple(arm != masked for arm in range(N_ARMS)))
        weighing = policy.weigh(model, rounds)
        for table in (weighing.probability, weighing.best, policy.top(model, rounds, 1)):
            np.testing.assert_allclose(table.sum(axis=1), 1.0, atol=1e-9)
            assert (table >= 0).all()
            assert (table[:, masked] == 0).all()
        np.testing.assert_allclose(policy.top(model, rounds, 2).sum(axis=1), 2.0, atol=1e-9)
        estimates = policy.estimate(model, rounds)
        assert (estimates.low <= estimates.mean + 1e-9).all()
        assert (estimates.mean <= estimates.high + 1e-9).all()

    @given(rows=row_lists, seed=st.integers(0, 2**16))
    @_laws
    def test_arm_order_does_not_matter(self, rows: list[Row], seed: int) -> None:
        policy = self.make()
        places = np.random.default_rng(seed).permutation(N_ARMS)
        moved = [(cell, int(places[arm]), reward) for cell, arm, reward in rows]
        start = policy.init(SPACE)
        before = self._weigh(policy.update(start, outcomes_of(rows)))
        after = self._weigh(policy.update(start, outcomes_of(moved)))
        np.testing.assert_allclose(after[:, places], before, atol=self.tolerance)

    def test_an_added_arm_has_seen_nothing(self) -> None:
        policy = self.make()
        narrow = Space(
            n_arms=N_ARMS - 1, levels=SPACE.levels, pooled=SPACE.pooled, n_features=N_FEATURES
        )
        rows: list[Row] = [(0, 0, 1.0), (1, 2, 0.0), (5, 1, 0.5)]
        grown = widen(policy.update(policy.init(narrow), outcomes_of(rows)), policy.init(SPACE))
        direct = policy.update(policy.init(SPACE), outcomes_of(rows))
        for name, total in direct.items():
            np.testing.assert_allclose(grown[name], total)

    @given(rows=row_lists)
    @_laws
    def test_weight_two_is_the_outcome_twice(self, rows: list[Row]) -> None:
        policy = self.make()
        start = policy.init(SPACE)
        heavy = policy.update(start, outcomes_of(rows, weight=2.0))
        twice = policy.update(policy.update(start, outcomes_of(rows)), outcomes_of(rows))
        nothing = policy.update(start, outcomes_of(rows, weight=0.0))
        for name, total in twice.items():
            np.testing.assert_allclose(heavy[name], total, atol=1e-9)
            np.testing.assert_allclose(nothing[name], start[name], atol=1e-12)

    @pytest.mark.parametrize("seed", range(3))
    def test_a_better_reward_never_lowers_its_arm(self, seed: int) -> None:
        rng, policy = np.random.default_rng(seed), self.make()
        rows = [
            (
                int(rng.integers(SPACE.n_cells)),
                int(rng.integers(N_ARMS)),
                float(rng.random() < 0.4),
            )
            for _ in range(40)
        ]
        for place in range(0, 40, 7):
            cell, arm, _ = rows[place]
            told = []
            for reward in (0.0, 1.0):
                changed = [*rows[:place], (cell, arm, reward), *rows[place + 1 :]]
                sums = policy.update(policy.init(SPACE), outcomes_of(changed))
                estimates = policy.estimate(policy.posterior(sums, SPACE), rounds_of())
                told.append(float(estimates.mean[cell, arm]))
            assert told[1] >= told[0] - self.tolerance

    def test_what_pays_is_chosen_more_and_what_fails_less(self) -> None:
        if not self.learns:
            pytest.skip("The policy does not learn.")
        rows = [(cell, arm, float(arm == 1)) for cell in range(SPACE.n_cells)
                for arm in range(N_ARMS) for _ in range(30)]  # fmt: skip
        policy = self.make()
        sums = policy.update(policy.init(SPACE), outcomes_of(rows))
        probability = policy.weigh(policy.posterior(sums, SPACE), rounds_of()).probability
        assert (probability.argmax(axis=1) == 1).all()
        assert (probability[:, 1] > 1 / N_ARMS).all()

    def test_each_cell_learns_for_itself(self) -> None:
        if not self.learns:
            pytest.skip("The policy does not learn.")
        here, there = 0, SPACE.n_cells - 1  # no level in common
        rows = [(cell, arm, float(arm == best)) for cell, best in ((here, 1), (there, 2))
                for arm in range(N_ARMS) for _ in range(60)]  # fmt: skip
        policy = self.make()
        sums = policy.update(policy.init(SPACE), outcomes_of(rows))
        probability = policy.weigh(policy.posterior(sums, SPACE), rounds_of()).probability
        assert probability[here, 1] > probability[there, 1]
        assert probability[there, 2] > probability[here, 2]

    def test_temperature_counts(self) -> None:
        if not self.tempered:
            pytest.skip("The policy knows no temperature.")
        known = zip((60, 20, 8, 4), (42, 10, 3, 1), strict=True)  # the best is known best
        rows = [(cell, arm, float(step < wins)) for arm, (tries, wins) in enumerate(known)
                for step in range(tries) for cell in range(SPACE.n_cells)]  # fmt: skip
        policy = self.make()
        model = policy.posterior(policy.update(policy.init(SPACE), outcomes_of(rows)), SPACE)
        plain = rounds_of()
        cold, hot = (
            policy.weigh(model, replace(plain, temperature=np.full(plain.cell.size, heat)))
            for heat in (0.05, 20.0)
        )
        assert not np.allclose(cold.probability, hot.probability, atol=1e-6)
        np.testing.assert_allclose(hot.probability.sum(axis=1), 1.0, atol=1e-9)

    def test_two_calls_agree_and_share_nothing(self) -> None:
        policy = self.make()
        sums = policy.update(policy.init(SPACE), outcomes_of([(0, 0, 1.0), (3, 2, 0.0)]))
        before = {name: total.copy() for name, total in sums.items()}
        with no_global_chance():
            model = policy.posterior(sums, SPACE)
            first = policy.weigh(model, rounds_of()).probability
            kept = first.copy()
            if first.flags.writeable:
                first[:] = -1.0
            second = policy.weigh(model, rounds_of()).probability
        np.testing.assert_array_equal(second, kept)
        for name, total in before.items():
            np.testing.assert_array_equal(sums[name], total)

    def test_it_is_a_frozen_recipe(self) -> None:
        assert self.make() == self.make()
        assert repr(self.make()) == repr(self.make())
        assert self.make().name


class BanditContract(ABC):
    """Subclass it as `class TestMine(BanditContract)` and say how to build one.

    Attributes:
        learns: Whether rewards move its choices.
        snapshots: Whether it can be asked for a snapshot of what it has learned.
        names: Arms that `make` is asked for.
    """

    learns: bool = True
    snapshots: bool = True
    names: tuple[str, ...] = ("a", "b", "c")

    @abstractmethod
    def make(self, arms: tuple[str, ...]) -> Bandit:
        """Return a bandit over these arms that has learned nothing; two calls give equal ones."""

    def _taught(self, bandit: Bandit, best: str, n: int = 150) -> None:
        for _ in range(n):
            decision = bandit.select({})
            won = np.array([float(decision.arms[0] == best)])
            bandit.learn(Rewards(decision=np.array([decision.id]), reward=won))

    def test_a_decision_says_what_and_how_probably(self) -> None:
        bandit = self.make(self.names)
        assert tuple(bandit.arms) == self.names
        ids = set()
        for n in (1, 2, 3):
            decision = bandit.select({}, n=n, unit="ann")
            ids.add(decision.id)
            assert len(decision.arms) == len(set(decision.arms)) == n
            assert set(decision.arms) <= set(self.names)
            assert len(decision.propensities) == n
            assert all(0 < each <= 1 for each in decision.propensities)
        assert len(ids) == 3
        assert decision.propensities[-1] == 1.0  # the last arm that is left

    def test_more_arms_than_there_are_is_refused(self) -> None:
        bandit = self.make(self.names)
        with pytest.raises(SiamrecError):
            bandit.select({}, n=len(self.names) + 1)
        with pytest.raises(SiamrecError):
            bandit.select({}, n=0)

    def test_eligible_arms_are_kept(self) -> None:
        bandit = self.make(self.names)
        for _ in range(20):
            decision = bandit.select({}, arms=self.names[1:])
            assert decision.arms[0] in self.names[1:]
        assert bandit.select({}, arms=["b"]).propensities == (1.0,)
        many = bandit.select_many([{}] * 20, arms=["b"])
        assert {many.arms[code] for code in many.arm.tolist()} == {"b"}
        np.testing.assert_allclose(many.propensity, 1.0)

    @pytest.mark.parametrize("taught", [0, 60])
    def test_propensities_are_the_shares(self, taught: int) -> None:
        bandit = self.make(self.names)
        self._taught(bandit, "b", taught)
        n, chosen = 1500, []
        table = np.zeros((n, len(self.names)))
        for row in range(n):
            decision = bandit.select({})
            code = self.names.index(decision.arms[0])
            chosen.append(code)
            table[row, code] = 1.0 / decision.propensities[0]
        # Where the told probabilities are the true ones, 1 / p of an arm's picks sums to n.
        total, error = table.sum(axis=0), np.sqrt(n) * table.std(axis=0)
        picked = np.bincount(chosen, minlength=len(self.names)) >= 30
        assert (np.abs(total - n)[picked] <= 5 * error[picked] + 1e-3 * n).all(), (total, error)

    def test_many_choices_are_as_probable_as_told(self) -> None:
        bandit = self.make(self.names)
        self._taught(bandit, "b", 20)
        many = bandit.select_many([{}] * 3000)
        assert len(many) == len(set(many.id.tolist())) == 3000
        for code in range(len(self.names)):
            mine = many.arm == code
            if mine.sum() < 30:
                continue
            told = many.propensity[mine]
            assert told.min() > 0
            assert told.max() <= 1 + 1e-9
            expected = 3000 * float(told.mean())
            assert abs(mine.sum() - expected) <= 5 * np.sqrt(expected) + 1

    def test_one_choice_and_many_are_as_probable(self) -> None:
        bandit = self.make(self.names)
        self._taught(bandit, "b", 40)
        one = {
            each.arms[0]: each.propensities[0] for each in (bandit.select({}) for _ in range(60))
        }
        many = bandit.select_many([{}] * 60)
        other = {
            many.arms[code]: told for code, told in zip(many.arm, many.propensity, strict=True)
        }
        for arm in one.keys() & other.keys():
            assert one[arm] == pytest.approx(other[arm], rel=1e-6)

    def test_what_pays_is_chosen_more(self) -> None:
        if not self.learns:
            pytest.skip("The bandit does not learn.")
        bandit = self.make(self.names)
        self._taught(bandit, "b")
        chosen = [bandit.select({}).arms[0] for _ in range(200)]
        assert chosen.count("b") > 100

    def test_a_reward_that_is_told_twice_counts_once(self) -> None:
        once, twice = self.make(self.names), self.make(self.names)
        for bandit, times in ((once, 1), (twice, 5)):
            for turn in range(12):
                decision = bandit.select({})
                won = np.array([float(decision.arms[0] == "a")])
                told = Rewards(decision=np.array([decision.id]), reward=won, time=np.array([turn]))
                for _ in range(times):
                    bandit.learn(told)
        assert once.select({}).propensities == pytest.approx(twice.select({}).propensities)

    def test_rewards_may_come_together_and_in_any_order(self) -> None:
        one, two = self.make(self.names), self.make(self.names)
        pairs = [(one.select_many([{}] * 30), one), (two.select_many([{}] * 30), two)]
        for order, (many, bandit) in zip((slice(None), slice(None, None, -1)), pairs, strict=True):
            won = (many.arm == 1).astype(float)
            when = np.arange(30)
            bandit.learn(Rewards(decision=many.id[order], reward=won[order], time=when[order]))
        assert one.select({}).propensities == pytest.approx(two.select({}).propensities)

    def test_bandits_made_alike_choose_alike(self) -> None:
        with no_global_chance():
            one, two = self.make(self.names), self.make(self.names)
            first = [one.select({}) for _ in range(20)]
            second = [two.select({}) for _ in range(20)]
        assert [each.arms for each in first] == [each.arms for each in second]
        assert [each.propensities for each in first] == [each.propensities for each in second]

    def test_what_was_learned_can_be_looked_at(self) -> None:
        if not self.snapshots:
            pytest.skip("What the bandit has learned is kept elsewhere.")
        bandit = self.make(self.names)
        self._taught(bandit, "a", 5)
        assert bandit.snapshot() is not None
