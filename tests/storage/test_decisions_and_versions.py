"""Decisions with propensities, and versions with aliases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from siamrec._core.clock import ManualClock
from siamrec.bandits import BetaThompson, ContextualBandit
from siamrec.data import Rewards
from siamrec.errors import InvalidParameterError, StaleWriteError, UnknownNameError
from siamrec.storage import FolderBlobs, Store

if TYPE_CHECKING:
    from pathlib import Path


def test_decisions_come_back_as_they_were_made(store: Store) -> None:
    bandit = ContextualBandit(BetaThompson(), ("a", "b"), clock=ManualClock(5), name="home")
    decisions = [bandit.select(unit=f"u{n}") for n in range(20)]
    ids = np.asarray([decision.id for decision in decisions])
    rewards = Rewards(decision=ids[:7], reward=np.linspace(0, 1, 7))
    assert store.decisions.write(decisions, rewards) == 20
    assert store.decisions.write(decisions, rewards) == 0
    assert sorted(d.id for d in store.decisions.read("home")) == sorted(ids.tolist())
    assert {d.id: d for d in store.decisions.read("home")} == {d.id: d for d in decisions}
    found = store.decisions.rewards("home")
    assert found.by_decision() == rewards.by_decision()
    assert list(store.decisions.read("another")) == []


def test_the_log_alone_restores_the_bandit(store: Store) -> None:
    bandit = ContextualBandit(BetaThompson(), ("a", "b", "c"), clock=ManualClock(5), name="home")
    decisions = [bandit.select() for _ in range(30)]
    rewards = Rewards(
        decision=np.asarray([d.id for d in decisions]), reward=(np.arange(30) % 3 == 0) * 1.0
    )
    bandit.learn(rewards)
    store.decisions.write(decisions, rewards)
    again = ContextualBandit(BetaThompson(), ("a", "b", "c"), clock=ManualClock(5), name="home")
    for decision in store.decisions.read("home"):
        again.record(decision)
    again.learn(store.decisions.rewards("home"))
    for name, sums in bandit.sums().items():
        np.testing.assert_array_equal(again.sums()[name], sums)


def test_aliases_move_by_compare_and_set(store: Store) -> None:
    versions = store.versions
    one = versions.add("1" * 64, "encoder", {"n": 1})
    two = versions.add("2" * 64, "encoder", {"n": 2})
    assert (one.number, two.number) == (1, 2)
    assert versions.add("1" * 64, "encoder", {"n": 1}) == one
    assert versions.active("live") is None
    versions.point("live", one.id, expect=None, reason="first")
    with pytest.raises(StaleWriteError, match="points at 1111"):
        versions.point("live", two.id, expect=None, reason="late")
    versions.point("live", two.id, expect=one.id, reason="better")
    assert versions.active("live") == two.id
    assert [(c.previous, c.version, c.reason) for c in versions.history("live")] == [
        (None, one.id, "first"),
        (one.id, two.id, "better"),
    ]
    with pytest.raises(UnknownNameError, match="No version is named"):
        versions.point("live", "3" * 64, expect=two.id, reason="gone")
    assert versions.active("live") == two.id
    assert versions.get(one.id).manifest == {"n": 1}
    with pytest.raises(UnknownNameError, match="No version is named '4"):
        versions.get("4" * 64)


def test_blobs_are_whole_and_named_safely(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    blobs.put("a/b", b"1")
    blobs.put("a/b", b"2")
    blobs.put("c", b"3")
    assert blobs.get("a/b") == b"2"
    assert list(blobs.keys()) == ["a/b", "c"]
    assert list(blobs.keys("a/")) == ["a/b"]
    with pytest.raises(UnknownNameError, match="No blob is named 'nothing'"):
        blobs.get("nothing")
    for key in ("", "/etc/passwd", "../x", "a//b", "a/../b", ".hidden"):
        with pytest.raises(InvalidParameterError, match="key must be"):
            blobs.put(key, b"x")


def test_counts_and_url_hide_no_rows_but_the_password(store: Store) -> None:
    assert set(store.counts()) >= {"event", "decision", "reward", "model_version", "alias"}
    assert "***" not in store.url or "@" in store.url
