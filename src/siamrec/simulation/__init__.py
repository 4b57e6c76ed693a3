"""Simulated users, catalogues and rewards, with the truth that real data never shows."""

from siamrec.simulation.bandits import (
    AdditiveWorld,
    BanditWorld,
    BernoulliWorld,
    ChangingWorld,
    LinearWorld,
    delays,
    exact_regret,
    optimal_regret,
)
from siamrec.simulation.wide import WideWorld
from siamrec.simulation.world import SimulatedWorld, World

__all__ = [
    "AdditiveWorld",
    "BanditWorld",
    "BernoulliWorld",
    "ChangingWorld",
    "LinearWorld",
    "SimulatedWorld",
    "WideWorld",
    "World",
    "delays",
    "exact_regret",
    "optimal_regret",
]
