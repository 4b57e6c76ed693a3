"""Our own looking rules, hashers and stores keep the public contracts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typing_extensions import override

from siamrec.experiments import (
    AsymptoticCS,
    GroupSequential,
    MemoryExperiments,
    MemorySticky,
    NormalMixture,
)
from siamrec.experiments.assignment import (
    EppoMd5,
    GrowthBookV1,
    GrowthBookV2,
    Hasher,
    PlanOutSha1,
    UnleashMurmur3,
    Xxh3,
)
from siamrec.testing.experiments import (
    ExperimentStoreContract,
    HasherContract,
    SequenceContract,
    StickyStoreContract,
)

if TYPE_CHECKING:
    from siamrec.experiments.sequential.confidence_sequences import Sequence


class TestAsymptoticCS(SequenceContract):
    @override
    def make(self, planned: float) -> Sequence:
        return AsymptoticCS(planned=planned)


class TestNormalMixture(SequenceContract):
    @override
    def make(self, planned: float) -> Sequence:
        return NormalMixture(effect=2 / planned**0.5)


class TestGroupSequential(SequenceContract):
    @override
    def make(self, planned: float) -> Sequence:
        return GroupSequential(planned=planned, looks=tuple(look / 20 for look in range(1, 21)))


class TestXxh3(HasherContract):
    @override
    def make(self) -> Hasher:
        return Xxh3()


class TestGrowthBookV1(HasherContract):
    @override
    def make(self) -> Hasher:
        return GrowthBookV1()


class TestGrowthBookV2(HasherContract):
    @override
    def make(self) -> Hasher:
        return GrowthBookV2()


class TestUnleash(HasherContract):
    @override
    def make(self) -> Hasher:
        return UnleashMurmur3()


class TestPlanOut(HasherContract):
    @override
    def make(self) -> Hasher:
        return PlanOutSha1()


class TestEppo(HasherContract):
    @override
    def make(self) -> Hasher:
        return EppoMd5()


class TestMemorySticky(StickyStoreContract):
    @override
    def make(self) -> MemorySticky:
        return MemorySticky()


class TestMemoryExperiments(ExperimentStoreContract):
    @override
    def make(self) -> MemoryExperiments:
        return MemoryExperiments()
