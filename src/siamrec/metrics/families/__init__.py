"""The families of metrics on ranked lists; each file holds one."""

from siamrec.metrics.families.debiased import popularity_propensity

__all__ = ["popularity_propensity"]
