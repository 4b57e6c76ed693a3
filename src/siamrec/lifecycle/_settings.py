"""The settings and parts of one cycle, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec.errors import UnknownNameError
from siamrec.models.training import FineTuneConfig

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from siamrec.bandits import Policy
    from siamrec.lifecycle.events import Observers
    from siamrec.lifecycle.judging import Judging
    from siamrec.models.training import Strategy
    from siamrec.protocols import (
        BanditFactory,
        BlobStore,
        Clock,
        ExperimentAssigner,
        MetricSuite,
        PairGenerator,
        RecommenderRecipe,
        SiameseEncoder,
        Store,
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Numbers and names; arguments as in `ImprovementLoop`."""

    seed: int
    strategy: Strategy
    judging: Judging

    def __post_init__(self) -> None:
        check.count("seed", self.seed, least=0)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        strategy = FineTuneConfig(strategy=self.strategy).as_dict()["strategy"]
        return {"seed": self.seed, "strategy": strategy, **asdict(self.judging)}

    def rng(self, purpose: str) -> np.random.Generator:
        """Return the generator of one purpose, so that no step depends on another's draws."""
        return np.random.default_rng([self.seed, *purpose.encode()])


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the host handed in, with defaults in the gaps; None where the default needs data."""

    pairs: PairGenerator
    encoder: SiameseEncoder
    suite: MetricSuite
    arms: Mapping[str, RecommenderRecipe]
    bandit: BanditFactory | Policy[Any] | None
    assigner: ExperimentAssigner | None
    store: Store | str | None
    schema: str | None
    blobs: BlobStore | None
    clock: Clock
    observers: Observers
    out: Path

    def require_metric(self, name: str) -> None:
        """Check that the suite has the metric that the verdict needs.

        Raises:
            UnknownNameError: If it has not.
        """
        if name not in self.suite.names:
            raise UnknownNameError("metric of the suite", name, self.suite.names)
