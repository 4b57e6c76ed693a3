"""Simulated users, catalogues and rewards, with the truth that real data never shows."""

from siamrec.simulation.world import SimulatedWorld, World

__all__ = ["SimulatedWorld", "World"]
