"""What every bandit policy must keep, as a test class to subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from siamrec.bandits.policies import Outcomes, Rounds, Space
from siamrec.bandits.policies.base import add_sums, widen

if TYPE_CHECKING:
    from siamrec.bandits import Policy
    from siamrec.bandits.policies import Sums
    from siamrec.typing import FloatArray, IntArray

__all__ = ["N_ARMS", "N_FEATURES", "SPACE", "PolicyContract", "outcomes_of", "rounds_of"]

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

    def test_it_is_a_frozen_recipe(self) -> None:
        assert self.make() == self.make()
        assert repr(self.make()) == repr(self.make())
        assert self.make().name
