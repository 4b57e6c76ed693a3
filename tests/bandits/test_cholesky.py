"""The fixed-order factorisation: bit for bit the obvious loops, and the same under any BLAS."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamrec.bandits.policies._cholesky import inverse, inverse_root, solve
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from siamrec.typing import FloatArray

_PROGRAM = """
import hashlib
import numpy as np
from siamrec.bandits import BetaThompson, ContextualBandit, LinearThompson, LinearUCB
from siamrec.bandits.policies import LinearSampler
from siamrec.data import Rewards

rng = np.random.default_rng(3)
x, y = rng.normal(size=(300, 12)), rng.normal(size=300)
digest = hashlib.sha256()
for policy in (LinearThompson(), LinearUCB()):
    bandit = ContextualBandit(policy, arms=tuple("abcdefgh"), n_features=12, seed=1)
    for part in range(0, 300, 100):
        rows = slice(part, part + 100)
        batch = bandit.select_many([{}] * 100, features=x[rows], time=part)
        bandit.learn(Rewards(decision=batch.id, reward=y[rows], time=np.full(100, part)))
        digest.update(batch.arm.tobytes() + batch.propensity.tobytes())
    for total in bandit.sums().values():
        digest.update(total.tobytes())
sampler = LinearSampler(n_arms=40, n_features=12)
for row in range(300):
    arm = sampler.choose(x[row], rng.normal(size=40))
    sampler.learn(arm, x[row], float(y[row]))
    digest.update(bytes([arm]))
digest.update(sampler.sums()["precision"].tobytes())
beta = ContextualBandit(BetaThompson(), arms=tuple("abcdef"), seed=1)
digest.update(beta.select_many([{}] * 100, time=0).propensity.tobytes())
blas = np.linalg.inv(x.T @ x) @ x.T
print(digest.hexdigest(), hashlib.sha256(blas.tobytes()).hexdigest())
"""


def by_loops(matrix: FloatArray) -> list[list[float]]:
    """Eliminate [A | I] one number at a time."""
    d = len(matrix)
    work = [[*map(float, row), *(float(i == j) for j in range(d))] for i, row in enumerate(matrix)]
    for j in range(d):
        root = math.sqrt(work[j][j])
        for column in range(j, d + j + 1):
            work[j][column] = work[j][column] / root
        for i in range(j + 1, d):
            below = work[j][i]
            for column in range(j + 1, d + j + 1):
                work[i][column] = work[i][column] - below * work[j][column]
    return [row[d:] for row in work]


def matrices(seed: int, m: int, d: int) -> FloatArray:
    x = np.random.default_rng(seed).normal(size=(m, d + 2, d))
    made: FloatArray = np.einsum("mni,mnj->mij", x, x) + 0.1 * np.eye(d)
    return made


def test_by_hand() -> None:
    # A = [[4, 2], [2, 10]] = L L' with L = [[2, 0], [1, 3]].
    root = inverse_root(np.array([[[4.0, 2.0], [2.0, 10.0]]]))
    np.testing.assert_array_equal(root[0], [[0.5, 0.0], [-1 / 6, 1 / 3]])
    np.testing.assert_allclose(solve(root, np.array([[8.0, 22.0]]))[0], [1.0, 2.0], rtol=1e-15)
    np.testing.assert_allclose(inverse(root)[0] * 36, [[10.0, -2.0], [-2.0, 4.0]], rtol=1e-15)


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_bit_for_bit_the_loops(seed: int, m: int, d: int) -> None:
    made = matrices(seed, m, d)
    np.testing.assert_array_equal(inverse_root(made), [by_loops(matrix) for matrix in made])


@pytest.mark.parametrize(("m", "d"), [(0, 3), (3, 1), (5, 70)])
def test_agrees_with_lapack(m: int, d: int) -> None:
    made = matrices(1, m, d)
    root = inverse_root(made)
    assert root.shape == (m, d, d)
    np.testing.assert_allclose(root, np.linalg.inv(np.linalg.cholesky(made)), atol=1e-10)
    np.testing.assert_allclose(inverse(root), np.linalg.inv(made), atol=1e-9)
    right = np.random.default_rng(2).normal(size=(m, d))
    known = np.linalg.solve(made, right[..., None])[..., 0]
    np.testing.assert_allclose(solve(root, right), known, atol=1e-9)


def test_refuses_what_is_not_positive_definite() -> None:
    with pytest.raises(InvalidDataError, match="positive definite"):
        inverse_root(np.array([[[1.0, 2.0], [2.0, 1.0]]]))
    with pytest.raises(InvalidDataError, match="positive definite"):
        inverse_root(np.full((1, 2, 2), np.nan))


def test_linear_choices_do_not_depend_on_the_blas() -> None:
    """Kernels of several processors, and one thread or two: the products differ, we do not."""
    found = set()
    for kernel, threads in (("Nehalem", "1"), ("Haswell", "1"), ("Haswell", "2"), ("", "2")):
        surroundings = dict(os.environ, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads)
        surroundings.pop("OPENBLAS_CORETYPE", None)
        if kernel:
            surroundings["OPENBLAS_CORETYPE"] = kernel
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            env=surroundings,
            capture_output=True,
            text=True,
            check=True,
        )
        found.add(tuple(done.stdout.split()))
    ours, blas = ({pair[place] for pair in found} for place in (0, 1))
    if len(blas) == 1:
        pytest.skip("this BLAS has one kernel for every processor")
    assert len(ours) == 1
