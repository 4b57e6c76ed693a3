"""The settings of a bandit that travel with its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from siamrec._core import check
from siamrec.bandits.limits import Limits
from siamrec.errors import InvalidDataError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    holdout: float
    tempering: Mapping[str, Mapping[str, float]]
    refresh_every: int
    n_features: int

    def __post_init__(self) -> None:
        check.share("holdout", self.holdout)
        check.count("refresh_every", self.refresh_every)
        check.count("n_features", self.n_features, least=0)
        if self.half_life is not None and self.window is not None:
            raise InvalidParameterError("window", self.window, "left out where half_life is given")

    def to_header(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        header = {name: getattr(self, name) for name in self.__slots__}
        return {
            **header,
            "limits": [self.limits.floor, self.limits.cap],
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
        return cls(**{**values, "limits": Limits(floor=floor, cap=cap)})

    @property
    def salt(self) -> str:
        """Salt of every draw."""
        return f"{self.seed}|{self.name}"
