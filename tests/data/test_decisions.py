"""Decision, Decisions and Rewards: what they accept, and the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamrec.data.decisions import Decision, Decisions
from siamrec.data.rewards import Rewards
from siamrec.errors import InvalidDataError, UnknownNameError

shares = st.floats(0, 1, exclude_min=True)


@given(
    shares=st.lists(shares, min_size=1, max_size=4),
    unit=st.none()
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=5),
    time=st.integers(0, 2**62 - 1),
)
def test_json_brings_the_decision_back(shares: list[float], unit: str | None, time: int) -> None:
    n = len(shares)
    decision = Decision(
        id="x-1",
        bandit="home",
        context={"segment": "cold"},
        arms=tuple(f"arm{place}" for place in range(n)),
        propensities=tuple(shares),
        confidences=tuple(shares),
        means=tuple(shares),
        intervals=tuple((0.0, share) for share in shares),
        policy="beta-thompson",
        state_version=3,
        time=time,
        unit=unit,
    )
    assert Decision.from_json(decision.to_json()) == decision


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ()}, "arms must be one or more different names"),
        ({"arms": ("a", "a")}, "arms must be one or more different names"),
        ({"propensities": ()}, "propensities must hold one number per arm, got 0 for 1"),
        ({"confidences": (0.1, 0.2)}, "confidences must be empty or hold one entry per arm"),
        ({"propensities": (1.5,)}, r"A probability must be in \[0, 1\], got 1.5"),
        ({"propensities": (float("nan"),)}, r"A probability must be in \[0, 1\], got nan"),
    ],
)
def test_a_broken_decision_is_refused(change: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"id": "1", "bandit": "b", "arms": ("a",), "propensities": (1.0,)}
    with pytest.raises(InvalidDataError, match=message):
        Decision(**{**fields, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"arms": 3}', "not json"])
def test_text_that_is_no_decision_is_refused(text: str) -> None:
    with pytest.raises(InvalidDataError):
        Decision.from_json(text)


def test_decisions_come_from_a_frame_and_go_to_one() -> None:
    frame = {
        "id": ["a", "b", "c"],
        "arm": ["x", "y", "x"],
        "propensity": [0.2, 0.3, 1.0],
        "at": ["2026-01-01T00:00:00", "2026-01-01T00:00:01", "2026-01-01T00:00:02"],
    }
    decisions = Decisions.from_frame(frame, time="at", arms=("z", "x", "y"))
    assert decisions.names() == ["x", "y", "x"]
    assert decisions.arm.tolist() == [1, 2, 1]
    assert np.diff(decisions.time).tolist() == [10**9, 10**9]
    again = Decisions.from_frame(decisions.to_arrow(), time="time", arms=decisions.arms)
    np.testing.assert_array_equal(again.arm, decisions.arm)
    np.testing.assert_array_equal(again.time, decisions.time)
    assert again.id.tolist() == ["a", "b", "c"]


def test_an_arm_outside_the_given_ones_is_refused() -> None:
    frame = {"id": [1], "arm": ["svdd"], "propensity": [0.2]}
    with pytest.raises(UnknownNameError, match="Did you mean 'svd'"):
        Decisions.from_frame(frame, arms=("svd", "graph"))


@pytest.mark.parametrize("propensity", [0.0, -0.1, 1.5, np.nan])
def test_a_propensity_must_be_a_probability(propensity: float) -> None:
    with pytest.raises(InvalidDataError, match="propensity must be"):
        Decisions(
            id=np.array([1]),
            arm=np.array([0], dtype=np.int32),
            propensity=np.array([propensity]),
            cell=np.array([0], dtype=np.int32),
            time=np.array([0]),
            arms=("a",),
        )


def test_columns_are_read_only() -> None:
    rewards = Rewards(decision=np.array([1, 2]), reward=np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="read-only"):
        rewards.reward[0] = 5.0


def test_rewards_round_trip_and_refuse_nonsense() -> None:
    rewards = Rewards.from_frame(
        {"decision": ["p", "q"], "reward": [1.0, 0.0], "w": [1.0, 2.0]}, weight="w"
    )
    assert rewards.by_decision() == {"p": 1.0, "q": 0.0}
    again = Rewards.from_frame(rewards.to_arrow(), weight="weight")
    np.testing.assert_array_equal(again.reward, rewards.reward)
    with pytest.raises(InvalidDataError, match="reward must be finite, got nan in row 1"):
        Rewards(decision=np.array([1, 2]), reward=np.array([0.0, np.nan]))
    with pytest.raises(InvalidDataError, match="weight must not be below 0"):
        Rewards(decision=np.array([1]), reward=np.array([0.0]), weight=np.array([-1.0]))
    with pytest.raises(InvalidDataError, match="one length"):
        Rewards(decision=np.array([1]), reward=np.array([0.0, 1.0]))
    with pytest.raises(InvalidDataError, match="arm must hold 1 names"):
        Rewards(decision=np.array([1]), reward=np.array([0.0]), arm=("a", "b"))


def test_decisions_of_several_versions_of_a_state_stand_in_one_log() -> None:
    def one(version: int) -> Decisions:
        return Decisions(
            id=np.array([f"d{version}"]), arm=np.array([0]), propensity=np.array([0.5]),
            cell=np.array([0]), time=np.array([1]), state_version=version, arms=("a", "b"),
        )  # fmt: skip

    both = Decisions.concat([one(3), one(8)])
    assert np.asarray(both.state_version).tolist() == [3, 8]
    assert [row["state_version"] for row in both] == [3, 8]
    assert np.asarray(both[1:].state_version).tolist() == [8]
