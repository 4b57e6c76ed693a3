"""Overrides, as hosts write them down: by unit, or by experiment and then unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from siamrec._core import check
from siamrec._core.units import unit_text
from siamrec.errors import InvalidParameterError, UnknownNameError, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.experiments.assignment.experiment import Experiment


def overrides_by_experiment(
    given: Mapping[str, str]
    | Mapping[int, str]
    | Mapping[str, Mapping[str, str]]
    | Mapping[str, Mapping[int, str]],
    experiments: Sequence[Experiment],
) -> dict[str, dict[str, str]]:
    """Return the overrides of each experiment, with units as the text that is hashed.

    Overrides by unit alone hold in every experiment that has their variant.

    Raises:
        InvalidDataError: If a unit is empty or of another kind.
        InvalidParameterError: If both forms are mixed, or a variant is not text.
        UnknownNameError: If there is no such experiment or variant.
    """
    whole: object = given
    if not isinstance(whole, Mapping):
        raise InvalidParameterError("overrides", whole, "a mapping of units to variants")
    nested = {name: own for name, own in whole.items() if isinstance(own, Mapping)}
    if not nested:
        return _everywhere(_by_text(whole, "overrides"), experiments)
    if len(nested) < len(whole):
        raise InvalidParameterError(
            "overrides", dict(whole), "by unit, or by experiment and then unit, not both"
        )
    known = {experiment.key: tuple(experiment.variants) for experiment in experiments}
    found: dict[str, dict[str, str]] = {}
    for key, own in nested.items():
        check.one_of("experiment", str(key), known)
        found[str(key)] = _by_text(own, f"overrides[{shown(key)}]")
        for variant in found[str(key)].values():
            check.one_of("variant", variant, known[str(key)])
    return found


def _everywhere(
    given: Mapping[str, str], experiments: Sequence[Experiment]
) -> dict[str, dict[str, str]]:
    known = {name for experiment in experiments for name in experiment.variants}
    for variant in given.values():
        if variant not in known:
            raise UnknownNameError("variant", variant, known)
    return {
        experiment.key: {
            unit: variant for unit, variant in given.items() if variant in experiment.variants
        }
        for experiment in experiments
    }


def _by_text(given: Mapping[object, object], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for unit, variant in given.items():
        if not isinstance(variant, str):
            raise InvalidParameterError(f"{name}[{shown(unit)}]", variant, "the name of a variant")
        found[unit_text(unit)] = variant
    return found
