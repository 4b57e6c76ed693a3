"""Every built-in part can be built by name, and knows its own name."""

from __future__ import annotations

import dataclasses

import pytest

from siamrec import bandits, rerank
from siamrec.bandits import Policy, ope
from siamrec.models import recommenders
from siamrec.models.recommenders import RecommenderRecipe
from siamrec.plugins import Registry
from siamrec.rerank import Selector

REGISTRY = Registry()


@pytest.mark.parametrize("name", REGISTRY.factories("policy"))
def test_a_policy_carries_the_name_it_is_registered_under(name: str) -> None:
    assert REGISTRY.make("policy", name).name == name


@pytest.mark.parametrize(
    "name", sorted(set(REGISTRY.factories("recommender")) - {"text-profile", "text-to-factor"})
)
def test_settings_of_an_arm_make_the_same_arm(name: str) -> None:
    recipe = REGISTRY.make("recommender", name)
    fields = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    assert REGISTRY.make("recommender", name, **fields) == recipe


@pytest.mark.parametrize(
    ("kind", "room", "base"),
    [
        ("policy", bandits, Policy),
        ("recommender", recommenders, RecommenderRecipe),
        ("estimator", ope, ope.Estimator),
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
    registered = set(REGISTRY.factories(kind).values())
    assert public <= registered
