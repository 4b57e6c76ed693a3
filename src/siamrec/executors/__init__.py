"""Executors: where many calls of one pure function run."""

from siamrec.executors.here import Here
from siamrec.executors.pools import Processes, Threads

__all__ = ["Here", "Processes", "Threads"]
