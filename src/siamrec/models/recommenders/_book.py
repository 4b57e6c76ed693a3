"""The names of arms, ensembles of arms included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from siamrec._core.book import Book, Named, named
from siamrec.errors import InvalidParameterError
from siamrec.models.recommenders.base import RecommenderRecipe

if TYPE_CHECKING:
    from typing import Any

_HERE = "siamrec.models.recommenders"
_ENSEMBLES = "siamrec.models.ensembles"

Arm: TypeAlias = RecommenderRecipe | Named
"""A recipe, or its name: `"ease"`, `"ease:l2=300"` or `{"name": "ease", "l2": 300}`."""

Arms: TypeAlias = Mapping[str, Arm] | Sequence[Arm]
"""Arms by name; or a list of them, whose own names then serve."""

RECOMMENDERS: Book[RecommenderRecipe] = Book(
    "recommender",
    {
        "attention-mf": f"{_HERE}.attention_mf:AttentionMF",
        "bias": f"{_HERE}.bias:BiasModel",
        "cascade": f"{_ENSEMBLES}.cascade:Cascade",
        "coverage": f"{_HERE}.discovery:Coverage",
        "ease": f"{_HERE}.ease:EASE",
        "edlae": f"{_HERE}.edlae:EDLAE",
        "elsa": f"{_HERE}.elsa:ELSA",
        "explicit-mf": f"{_HERE}.explicit_mf:ExplicitMF",
        "fallback": f"{_ENSEMBLES}.fallback:Fallback",
        "gf-cf": f"{_HERE}.gfcf:GFCF",
        "hidden-gems": f"{_HERE}.discovery:HiddenGems",
        "ials": f"{_HERE}.ials:IALS",
        "item-knn": f"{_HERE}.item_knn:ItemKNN",
        "item-knn-baseline": f"{_HERE}.neighbour_ratings:ItemKNNBaseline",
        "light-gcn": f"{_HERE}.light_gcn:LightGCN",
        "long-tail": f"{_HERE}.long_tail:LongTail",
        "mult-vae": f"{_HERE}.mult_vae:MultVAE",
        "multi-task": f"{_HERE}.multi_task:MultiTaskMF",
        "neu-mf": f"{_HERE}.neu_mf:NeuMF",
        "niche": f"{_HERE}.discovery:Niche",
        "popularity": f"{_HERE}.popularity:Popularity",
        "pure-svd": f"{_HERE}.pure_svd:PureSVD",
        "random": f"{_HERE}.random_order:Random",
        "rp3beta": f"{_HERE}.rp3beta:RP3beta",
        "sansa": f"{_HERE}.sansa:SANSA",
        "sasrec": f"{_HERE}.sasrec:SASRec",
        "sequential-rules": f"{_HERE}.sequential_rules:SequentialRules",
        "serendipity": f"{_HERE}.serendipity:SerendipityExplorer",
        "slit": f"{_HERE}.slit:SLIT",
        "stacking": f"{_ENSEMBLES}.stacking:Stacking",
        "svdpp": f"{_HERE}.svdpp:SVDpp",
        "switching": f"{_ENSEMBLES}.switching:Switching",
        "text-profile": f"{_HERE}.text_profile:TextProfile",
        "text-to-factor": f"{_HERE}.text_to_factor:TextToFactor",
        "time-svdpp": f"{_HERE}.time_svdpp:TimeSVDpp",
        "two-tower": f"{_HERE}.two_tower:TwoTower",
        "user-knn": f"{_HERE}.neighbour_ratings:UserKNN",
        "weighted": f"{_ENSEMBLES}.weighted:Weighted",
    },
    contract=RecommenderRecipe,
    recipes=RecommenderRecipe,
)
"""Every arm by name."""


def arms_by_name(arms: Arms, *, least: int = 1, **known: Any) -> dict[str, RecommenderRecipe]:
    """Return recipes by name from a mapping, or from a list whose own names serve.

    Args:
        arms: Recipes or their names.
        least: Fewest arms that make sense.
        known: As in `Book.make`.

    Raises:
        siamrec.errors.InvalidParameterError: If there are too few, or names repeat.
        siamrec.errors.UnknownNameError: If a name is not known.

    Examples:
        >>> sorted(arms_by_name(["ease:l2=9", "popularity"]))
        ['ease', 'popularity']
    """
    if isinstance(arms, Mapping):
        found = {name: RECOMMENDERS.make(arm, **known) for name, arm in arms.items()}
    elif isinstance(arms, str) or not isinstance(arms, Sequence):
        raise InvalidParameterError("arms", arms, "recipes by name, or a list of names")
    else:
        recipes = [RECOMMENDERS.make(arm, **known) for arm in arms]
        found = {_own_name(arm, recipe): recipe for arm, recipe in zip(arms, recipes, strict=True)}
    if len(found) < max(least, len(arms)):
        raise InvalidParameterError("arms", arms, f"{least} or more recipes, each of another name")
    return found


def _own_name(arm: Arm, recipe: RecommenderRecipe) -> str:
    return named(arm) or RECOMMENDERS.name_of(recipe)
