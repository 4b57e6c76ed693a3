"""What an experiment is: variants, shares, who may enter, and where its salt comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Literal, TypeAlias, cast, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.table import Record, number
from siamrec.errors import InvalidParameterError
from siamrec.experiments.assignment.allocation import Allocation
from siamrec.expressions import Expression

Attributes: TypeAlias = Mapping[str, object]
"""What is known about a unit when it is assigned."""

Predicate: TypeAlias = Callable[[Attributes], bool]
"""Tells whether a unit with these attributes may take part."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Experiment(Record):
    """One experiment; a value that never changes. Ramping and re-weighting give a new one.

    Exposure, variant, layer and holdout use hashes under different salts, so that who takes
    part says nothing about which variant they get.

    Args:
        key: Name; part of the salt.
        variants: Share of each variant among those who take part; the first is the control.
        exposure: Share of eligible units that take part. It may only grow: whoever takes part
            stays, with the same variant.
        salt: Changes every assignment of the experiment; fixed while it runs.
        layer: Experiments of one layer exclude each other.
        layer_range: The part `[low, high)` of the layer that the experiment owns.
        holdout: Share of units kept out of every experiment with the same `holdout_salt`.
        holdout_salt: Salt of the holdout.
        targeting: Who may enter, by the attributes of a unit: an expression such as
            `"country in ['TH', 'LA'] and age >= 18"`, or a function of the attributes. The clock
            of the assigner says what `now()` is.
        status: `"running"`, or anything else to leave every unit outside.
        allocation: Ranges of the variants; adjoining ones in the order of `variants` when
            absent. `reweighted` makes one that moves few units.
        version: Version of the allocation, at least 1, logged with the assignments it gives.

    Raises:
        InvalidParameterError: If shares do not sum to 1, or a setting is of another kind or out
            of range.

    Examples:
        >>> experiment = Experiment(key="ranker-v7", variants={"control": 0.5, "siamese": 0.5})
        >>> experiment.ramped(1.0).exposure, experiment.control
        (1.0, 'control')
    """

    key: str
    variants: Mapping[str, float]
    exposure: float = 1.0
    salt: str = ""
    layer: str | None = None
    layer_range: tuple[float, float] = (0.0, 1.0)
    holdout: float = 0.0
    holdout_salt: str = "holdout"
    targeting: Expression | Predicate | str | None = None
    status: Literal["draft", "running", "stopped"] = "running"
    allocation: Allocation | None = None
    version: int = 1
    ranges: Allocation = field(init=False, repr=False, compare=False)
    """The ranges in use."""

    def __post_init__(self) -> None:
        for name, least in (("key", 1), ("salt", 0), ("holdout_salt", 0)):
            _check_text(name, getattr(self, name), least)
        if self.layer is not None:
            _check_text("layer", self.layer, 1)
        for name in ("exposure", "holdout"):
            check.share(name, _number(name, getattr(self, name)))
        check.one_of("status", self.status, ("draft", "running", "stopped"))
        check.count("version", self.version)
        _check_range(self.layer_range)
        targeting: object = self.targeting
        if isinstance(targeting, str | Expression):
            wanted = Expression.read("targeting", targeting)
            wanted.check()
            object.__setattr__(self, "targeting", wanted)
        elif targeting is not None and not callable(targeting):
            raise InvalidParameterError("targeting", targeting, "an expression, or a predicate")
        plain = Allocation.of(self.variants)
        ranges = plain if self.allocation is None else self.allocation
        for name, share in ranges.shares().items():
            if abs(share - self.variants.get(name, 0.0)) > 1e-6:
                raise InvalidParameterError(
                    "allocation", ranges.shares(), f"the shares of the variants, {self.variants}"
                )
        object.__setattr__(self, "ranges", ranges)

    @override
    def title(self) -> str:
        variants = ", ".join(self.variants)
        return (
            f"Experiment {self.key} ({self.status}): {variants}, exposure {number(self.exposure)}"
        )

    @property
    def predicate(self) -> Predicate | None:
        """Who may enter, as a function of a unit's attributes."""
        return None if self.targeting is None else cast("Predicate", self.targeting)

    @property
    def control(self) -> str:
        """The first variant."""
        return next(iter(self.variants))

    def salt_for(self, purpose: Literal["exposure", "variant"]) -> str:
        """Return the salt of one of the experiment's own hashes."""
        return f"{purpose}|{self.key}|{self.salt}"

    def ramped(self, exposure: float) -> Experiment:
        """Return the experiment with a greater exposure; nobody who takes part is moved.

        Raises:
            InvalidParameterError: If the exposure would shrink.
        """
        if exposure < self.exposure:
            raise InvalidParameterError("exposure", exposure, f"at least {self.exposure}")
        return replace(self, exposure=exposure)

    def reweighted(self, variants: Mapping[str, float]) -> Experiment:
        """Return the experiment with new shares, moving the least possible mass of units.

        Data before and after must be compared within each version (the report of `analyze`
        does so when told the version column), because pooling them mixes up time and variant.
        A variant that is not named is removed. The control cannot be: everything is compared
        with it. It stays the first variant, whatever the order of `variants`.

        Raises:
            InvalidParameterError: If shares do not sum to 1, or the control is not among them.
        """
        allocation = self.ranges.reweighted(variants)
        if self.control not in variants:
            raise InvalidParameterError(
                "variants", dict(variants), f"shares that name the control, {self.control!r}"
            )
        return replace(
            self,
            variants={self.control: variants[self.control], **variants},
            allocation=allocation,
            version=self.version + 1,
        )


def _check_text(name: str, value: object, least: int) -> None:
    good = isinstance(value, str) and len(value) >= least
    if good and isinstance(value, str):
        good = all(not "\ud800" <= letter <= "\udfff" for letter in value)
    if not good:
        expected = "a name" if least else "text"
        raise InvalidParameterError(name, value, f"{expected} that has a UTF-8 form")


def _number(name: str, value: object) -> float:
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InvalidParameterError(name, value, "in [0, 1]")
    return float(value)


def _check_range(given: object) -> None:
    ends = tuple(given) if isinstance(given, Sequence) else ()
    two = len(ends) == 2 and all(isinstance(end, Real) for end in ends)
    if not (two and 0 <= ends[0] < ends[1] <= 1):
        raise InvalidParameterError("layer_range", given, "0 <= low < high <= 1")
