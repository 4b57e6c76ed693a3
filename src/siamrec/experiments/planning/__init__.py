"""How many units an experiment needs, and experiments rehearsed on history."""

from siamrec.experiments.planning.design import Design
from siamrec.experiments.planning.rehearsal import (
    NullReport,
    PowerReport,
    null_check,
    simulate_power,
)

__all__ = ["Design", "NullReport", "PowerReport", "null_check", "simulate_power"]
