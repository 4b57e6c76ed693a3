"""The settings of a bandit that travel with its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec.bandits.limits import Baseline, Limits
from siamrec.bandits.log.delay import DelayCurve
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from siamrec.typing import FloatArray


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a bandit was made with, besides policy, context and clock; durations in nanoseconds."""

    name: str
    worker: str
    seed: int | str
    limits: Limits
    half_life: int | None
    window: int | None
    attribution: int | None
    delay: int | DelayCurve | None
    reset: float | None
    holdout: float
    baseline: Baseline | None
    tempering: Mapping[str, Mapping[str, float]]
    refresh_every: int
    n_features: int

    def __post_init__(self) -> None:
        check.kind("limits", self.limits, Limits)
        if self.baseline is not None:
            check.kind("baseline", self.baseline, Baseline)
        check.share("holdout", self.holdout)
        check.count("refresh_every", self.refresh_every)
        check.count("n_features", self.n_features, least=0)
        if self.reset is not None:
            check.share("reset", self.reset, open_ends=True)
            if self.n_features:
                raise InvalidParameterError(
                    "reset", self.reset, "left out where feature vectors are used"
                )
        if self.half_life is not None and self.window is not None:
            raise InvalidParameterError("window", self.window, "left out where half_life is given")

    def to_header(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        header = {name: getattr(self, name) for name in self.__slots__}
        return {
            **header,
            "delay": [list(self.delay.after), list(self.delay.share)]
            if isinstance(self.delay, DelayCurve)
            else self.delay,
            "limits": [self.limits.floor, self.limits.cap],
            "baseline": None
            if self.baseline is None
            else [self.baseline.arm, self.baseline.slack],
            "tempering": {name: dict(heat) for name, heat in self.tempering.items()},
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Settings:
        """Return the settings that `to_header` wrote.

        Raises:
            InvalidDataError: If one is missing.
        """
        try:
            values = {name: header[name] for name in cls.__slots__}
        except KeyError as error:
            raise InvalidDataError(f"The snapshot must have the setting {error}.") from error
        floor, cap = values["limits"]
        trusted = values["baseline"]
        baseline = None if trusted is None else Baseline(arm=trusted[0], slack=trusted[1])
        delay = values["delay"]
        if isinstance(delay, list):
            delay = DelayCurve(after=tuple(delay[0]), share=tuple(delay[1]))
        made = {"limits": Limits(floor=floor, cap=cap), "baseline": baseline, "delay": delay}
        return cls(**{**values, **made})

    @property
    def salt(self) -> str:
        """Salt of every draw."""
        return f"{self.seed}|{self.name}"

    def vectors(self, features: FloatArray | None, n: int) -> FloatArray | None:
        """Return the feature vectors of n rounds, None for a bandit that has none.

        Raises:
            InvalidDataError: If the shape does not fit or a number is not finite.
            MissingInputError: If they are needed and not given.
        """
        if features is None:
            if self.n_features:
                raise MissingInputError(
                    "features", f"features=array of shape ({n}, {self.n_features})"
                )
            return None
        vectors = check.finite("features", np.asarray(features))
        if not self.n_features or vectors.shape != (n, self.n_features):
            raise InvalidDataError(
                f"features must have shape {(n, self.n_features)}, got {vectors.shape}."
            )
        return vectors


def nanoseconds(name: str, value: str | timedelta | float | None) -> int | None:
    """Return a duration in nanoseconds, None for none."""
    return None if value is None else duration(name, value)
