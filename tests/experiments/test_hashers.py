"""Foreign bucket hashes against their published vectors, and experiments that go on with them."""

from __future__ import annotations

import numpy as np
import pytest

from siamrec._core.hashing import uniform
from siamrec.experiments import (
    EppoMd5,
    Experiment,
    GrowthBookV1,
    GrowthBookV2,
    HashAssigner,
    Hasher,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.experiments.hashers import murmur3_32


@pytest.mark.parametrize(
    ("unit", "seed", "expected"),
    [("a", "", 0.22), ("b", "", 0.077), ("a", "b", 0.946), ("d", "ef", 0.652)],
)
def test_growthbook_v1(unit: str, seed: str, expected: float) -> None:
    assert GrowthBookV1()(unit, seed) == expected


@pytest.mark.parametrize(
    ("unit", "seed", "expected"),
    [("a", "", 0.0216), ("b", "", 0.9054), ("a", "b", 0.665), ("d", "ef", 0.8601)],
)
def test_growthbook_v2(unit: str, seed: str, expected: float) -> None:
    assert GrowthBookV2()(unit, seed) == expected


def test_murmur3_vectors() -> None:
    # Published test vectors of MurmurHash3_x86_32.
    assert murmur3_32(b"") == 0
    assert murmur3_32(b"", 1) == 0x514E28B7
    assert murmur3_32(b"test") == 0xBA6BD213
    assert murmur3_32(b"Hello, world!", 0x9747B28C) == 0x24884CBA
    assert murmur3_32(b"The quick brown fox jumps over the lazy dog", 0x9747B28C) == 0x2FA826CD


def test_unleash() -> None:
    # Unleash's specification: normalizedValue("123", "gr1") = 73, ("999", "groupX") = 25.
    assert UnleashMurmur3()("123", "gr1") == pytest.approx(0.72)
    assert UnleashMurmur3()("999", "groupX") == pytest.approx(0.24)


# What the SDKs themselves give: PlanOut 0.6.0 (RandomFloat of a parameter "variant"; it takes no
# text beyond ASCII), eppo-server-sdk 3 (shards of 10,000) and UnleashClient 6.9.1 (from 1 to 100).
@pytest.mark.parametrize(
    ("salt", "unit", "planout", "eppo", "unleash"),
    [
        ("ranker-v7", "user-1", 0.8338932942231836, 8268, 35),
        ("ranker-v7", "user-42", 0.8206653077849431, 2882, 95),
        ("ranker-v7", "用户-7", None, 8047, 39),
        ("ranker-v7", "a", 0.1170536228709556, 1133, 13),
        ("x", "user-1", 0.3628441973349891, 9350, 92),
        ("x", "user-42", 0.6938681486502404, 7266, 18),
        ("x", "用户-7", None, 4760, 13),
        ("x", "a", 0.42302933537451254, 9028, 9),
    ],
)
def test_vectors_of_the_sdks(
    salt: str, unit: str, planout: float | None, eppo: int, unleash: int
) -> None:
    if planout is not None:
        assert PlanOutSha1()(unit, f"{salt}.variant") == planout
    assert EppoMd5()(unit, salt) * 10_000 == pytest.approx(eppo, abs=1e-9)
    assert UnleashMurmur3()(unit, salt) * 100 + 1 == pytest.approx(unleash, abs=1e-9)


@pytest.mark.parametrize(
    "hasher",
    [GrowthBookV1(), GrowthBookV2(), UnleashMurmur3(), PlanOutSha1(), EppoMd5(), Xxh3()],
    ids=lambda hasher: type(hasher).__name__,
)
def test_running_experiments_go_on(hasher: Hasher) -> None:
    ids = [f"user-{number}" for number in range(3000)]
    experiment = Experiment(key="x", variants={"control": 0.5, "new": 0.5}, exposure=0.6)
    assigner = HashAssigner([experiment], hasher=hasher)
    many = assigner.assign_many(ids)
    assert many.in_experiment.mean() == pytest.approx(0.6, abs=0.05)
    buckets = np.array([hasher(id_, "x") for id_ in ids])
    # Ranges as GrowthBook lays them: [0, 0.3) and [0.5, 0.8).
    expected = np.where(buckets < 0.3, 0, np.where((buckets >= 0.5) & (buckets < 0.8), 1, -1))
    np.testing.assert_array_equal(many.codes, expected)
    wider = HashAssigner([experiment.ramped(0.9)], hasher=hasher).assign_many(ids)
    inside = many.codes >= 0
    np.testing.assert_array_equal(wider.codes[inside], many.codes[inside])
    assert (buckets >= 0).all()
    assert (buckets <= 1).all()


def test_our_own_hash_is_among_them() -> None:
    assert Xxh3()("user-42", "salt") == uniform("user-42", "salt")
