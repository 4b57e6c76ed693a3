"""No public part is left out of the book of its kind."""

from __future__ import annotations

import pytest

from siamrec import bandits, rerank
from siamrec.bandits import Policy, ope
from siamrec.experiments import sequential
from siamrec.models import ensembles, recommenders
from siamrec.models.recommenders import RecommenderRecipe
from siamrec.plugins import Registry
from siamrec.rerank import Adjuster, Selector

REGISTRY = Registry()


@pytest.mark.parametrize(
    ("kind", "room", "base"),
    [
        ("policy", bandits, Policy),
        ("recommender", recommenders, RecommenderRecipe),
        ("recommender", ensembles, RecommenderRecipe),
        ("estimator", ope, ope.Estimator),
        ("looking rule", sequential, sequential.Sequence),
        ("adjuster", rerank, Adjuster),
        ("selector", rerank, Selector),
    ],
)
def test_no_public_part_is_forgotten(kind: str, room: object, base: type) -> None:
    public = {
        value
        for value in vars(room).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and getattr(value, "__final__", False)
    }
    assert public <= set(REGISTRY.factories(kind).values())
