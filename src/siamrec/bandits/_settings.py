"""The settings of a bandit that travel with its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec.bandits.limits import Baseline, Limits
from siamrec.bandits.log.delay import DelayCurve
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.bandits.learning import Learning
    from siamrec.bandits.policies.base import Policy
    from siamrec.typing import FloatArray


_LARGEST = 1e9
"""Of a feature: products and their sums stay far from overflow."""


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
    tempering: Mapping[str, Mapping[str, float]]
    refresh_every: int
    n_features: int

    @classmethod
    def of(cls, policy: Policy[Any], limits: Limits, learning: Learning, **given: Any) -> Settings:
        """Return the settings of a bandit, checked together; `given` are the other fields.

        Raises:
            InvalidParameterError: If a setting does not go with the policy or its features.
        """
        check.count("n_features", given["n_features"], least=0)
        if learning.reset is not None:
            if given["n_features"]:
                raise InvalidParameterError(
                    "reset", learning.reset, "left out where feature vectors are used"
                )
            if policy.reward_range != (0.0, 1.0):
                raise InvalidParameterError(
                    "reset",
                    learning.reset,
                    f"left out with {policy.name}, whose rewards leave [0, 1]",
                )
        curve = learning.delay if isinstance(learning.delay, DelayCurve) else None
        return cls(
            limits=limits,
            half_life=learning.nanoseconds("half_life"),
            window=learning.nanoseconds("window"),
            attribution=learning.nanoseconds("attribution"),
            delay=learning.nanoseconds("delay") if curve is None else curve,
            reset=learning.reset,
            refresh_every=learning.refresh_every,
            **given,
        )

    def to_header(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        header = {name: getattr(self, name) for name in self.__slots__}
        limits = self.limits
        return {
            **header,
            "delay": [list(self.delay.after), list(self.delay.share)]
            if isinstance(self.delay, DelayCurve)
            else self.delay,
            "limits": [limits.floor, limits.cap],
            "holdout": limits.holdout,
            "baseline": None
            if limits.baseline is None
            else [limits.baseline.arm, limits.baseline.slack],
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
            floor, cap = values["limits"]
            holdout, trusted = header["holdout"], header["baseline"]
        except KeyError as error:
            raise InvalidDataError(f"The snapshot must have the setting {error}.") from error
        baseline = None if trusted is None else Baseline(arm=trusted[0], slack=trusted[1])
        limits = Limits(floor=floor, cap=cap, holdout=holdout, baseline=baseline)
        delay = values["delay"]
        if isinstance(delay, list):
            delay = DelayCurve(after=tuple(delay[0]), share=tuple(delay[1]))
        return cls(**{**values, "limits": limits, "delay": delay})

    @property
    def salt(self) -> str:
        """Salt of every draw."""
        return f"{self.seed}|{self.name}"

    def vector(self, features: FloatArray | None) -> FloatArray | None:
        """Return the feature vector of one round as a row; raises as `vectors` does."""
        return self.vectors(None if features is None else np.asarray(features)[None], 1)

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
        if np.abs(vectors).max(initial=0.0) > _LARGEST:
            raise InvalidDataError(
                f"features must be within ±{_LARGEST:g}, got {shown(vectors)}; rescale them first."
            )
        if not self.n_features or vectors.shape != (n, self.n_features):
            raise InvalidDataError(
                f"features must have shape {(n, self.n_features)}, got {vectors.shape}."
            )
        return vectors
