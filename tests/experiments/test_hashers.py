"""Foreign bucket hashes against their published vectors, and experiments that go on with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from siamrec._core.hashing import uniform
from siamrec.errors import InvalidParameterError
from siamrec.experiments import Experiment, HashAssigner
from siamrec.experiments.assignment import (
    EppoMd5,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.experiments.assignment.hashers import murmur3_32

NAMESPACED: dict[str, Any] = {
    "variants": {"v0": 1 / 3, "v1": 1 / 3, "v2": 1 / 3},
    "exposure": 0.55,
    "layer": "ranking",
    "layer_range": (0.2, 0.7),
}


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


def test_unleash_s_specification() -> None:
    # Unleash's specification: normalizedValue("123", "gr1") = 73, ("999", "groupX") = 25.
    rollout = UnleashMurmur3(normalizer=100, seed=0)
    assert rollout("123", "gr1") == pytest.approx(0.725)
    assert rollout("999", "groupX") == pytest.approx(0.245)
    for unit, group, slot in (("123", "gr1", 73), ("999", "groupX", 25)):
        assert rollout.exposed(unit, group, slot / 100)
        assert not rollout.exposed(unit, group, (slot - 1) / 100)


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
    assert EppoMd5()(unit, salt) * 10_000 == pytest.approx(eppo + 0.5, abs=1e-9)
    rollout = UnleashMurmur3(normalizer=100, seed=0)
    assert rollout(unit, salt) * 100 == pytest.approx(unleash - 0.5, abs=1e-9)


def codes_of(experiment: Experiment, hasher: Hasher) -> str:
    ids = [f"user-{number}" for number in range(72)]
    codes = HashAssigner([experiment], hasher=hasher).assign_many(ids).codes
    return "".join("-" if code < 0 else str(code) for code in codes)


def shared(*weights: float) -> dict[str, float]:
    return {f"v{place}": weight for place, weight in enumerate(weights)}


# What yggdrasil-engine 2.0, the engine of Unleash's clients, gives user-0 to user-71 under a
# gradual rollout: the place of the variant, "-" where the rollout does not reach. All of the
# first 20,000 agreed as well.
@pytest.mark.parametrize(
    ("key", "weights", "rollout", "theirs"),
    [
        (
            "checkout",
            (500, 500),
            100,
            "110110000110111011000000110101011100000100111100001100101010001011111000",
        ),
        (
            "checkout",
            (100, 200, 700),
            30,
            "2-0---1--221---0-2-1-----2-----2---22---2------1-------0--------22---0-1",
        ),
        (
            "用户",
            (333, 333, 334),
            55,
            "220-0-20-10222-10-1--2--2212-1---0----0012--020-2-2-2-12--02--2--0011---",
        ),
        (
            "w99",
            (33, 33, 33),
            29,
            "----2---1----2--2-----1---------0----1--2-2120-2--12---1-2-1--0---1--12-",
        ),
    ],
)
def test_unleash_experiments_go_on(
    key: str, weights: tuple[int, ...], rollout: int, theirs: str
) -> None:
    total = sum(weights)
    experiment = Experiment(
        key=key,
        variants=shared(*(weight / total for weight in weights)),
        exposure=rollout / 100,
    )
    assert codes_of(experiment, UnleashMurmur3(normalizer=total)) == theirs


# What growthbook 4.0.0 gives them: 1 and 2 are versions of the hash, the last ones in the
# namespace ("ranking", 0.2, 0.7). All of the first 20,000 agreed as well.
@pytest.mark.parametrize(
    ("hasher", "settings", "theirs"),
    [
        (
            GrowthBookV1(),
            {"variants": shared(0.5, 0.5)},
            "110100111010010101010010101101011010001110111111000101010110000100001110",
        ),
        (
            GrowthBookV2(),
            {"variants": shared(0.5, 0.5)},
            "011010011101011000011101010101110011111100010101010010001110110110001010",
        ),
        (
            GrowthBookV1(),
            {"salt": "s", "variants": shared(0.1, 0.2, 0.7), "exposure": 0.3},
            "---122------0--222----1-22-20--2-02-22------221-------222----2-----1221-",
        ),
        (
            GrowthBookV2(),
            {"salt": "s", "variants": shared(0.1, 0.2, 0.7), "exposure": 0.3},
            "--22-----------22--2---22-0-2-2--2-2-2---22--2-22------0----12-222--0---",
        ),
        (
            GrowthBookV1(),
            NAMESPACED,
            "--1-00---02-------------20--1----0---0----------------0-0-21-----1-12---",
        ),
        (
            GrowthBookV2(),
            NAMESPACED,
            "1---2----21----01-------12--1--2-0----------------------2-21-------1----",
        ),
    ],
)
def test_growthbook_experiments_go_on(
    hasher: Hasher, settings: dict[str, Any], theirs: str
) -> None:
    assert codes_of(Experiment(key="checkout", **settings), hasher) == theirs


def test_planout_experiments_go_on() -> None:
    # WeightedChoice of PlanOut 0.6.0, in an experiment "ranker" with a parameter "variant".
    experiment = Experiment(key="x", salt="ranker.variant", variants=shared(0.1, 0.2, 0.7))
    theirs = "122221222222122221221220220102222212200222222212122120221122"
    assert codes_of(experiment, PlanOutSha1())[:60] == theirs


def test_bad_hashers_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="shards must be a whole number of at least 1"):
        EppoMd5(shards=0)
    with pytest.raises(InvalidParameterError, match="normalizer must be a whole number"):
        UnleashMurmur3(normalizer=0)
    with pytest.raises(InvalidParameterError, match="seed must be a whole number"):
        UnleashMurmur3(seed=-1)


@pytest.mark.parametrize(
    "hasher",
    [GrowthBookV1(), GrowthBookV2(), PlanOutSha1(), EppoMd5(), Xxh3()],
    ids=lambda hasher: type(hasher).__name__,
)
def test_exposure_takes_the_first_part_of_each_range(hasher: Hasher) -> None:
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
