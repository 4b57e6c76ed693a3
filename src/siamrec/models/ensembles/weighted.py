"""A weighted sum of the scores of several arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.liking import speakers
from siamrec.errors import InvalidParameterError
from siamrec.metrics import Suite
from siamrec.metrics.splits import RandomShare
from siamrec.models.ensembles._selection import select
from siamrec.models.ensembles.base import (
    EnsembleRecipe,
    FittedEnsemble,
    fit_members,
    load_members,
    recipe_names,
    unranked,
)
from siamrec.models.ensembles.scales import SCALES, Scale, rescaled
from siamrec.models.recommenders import EDLAE, IALS, FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders._book import Arms, arms_by_name
from siamrec.models.recommenders.search import Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.models.recommenders import Histories, Range
    from siamrec.typing import CodeArray, Float32Array


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Weighted(EnsembleRecipe):
    """Rank by the weighted sum of several arms' scores, each put on a common scale.

        s(u, i) = Σ_a w_a · scale(s_a(u, i)),   Σ_a w_a = 1

    Without weights they are learned: a share of each user's events is held out, the arms are
    fitted to the rest, and ensemble selection adds, round by round, the arm whose inclusion
    raises the metric most; an arm's weight is the share of the rounds that chose it. This is done
    for several draws, for one draw is a matter of luck: weights are averages, and an arm that
    most draws have no use for gets none. Then the arms are fitted to everything. An arm without
    a positive weight is dropped, and `FittedWeighted.dropped` names it: a weak arm makes an
    ensemble worse.

    Args:
        arms: Recipes by name, or a list of names, at least one; EDLAE and iALS when absent, which
            differ most among the strong ones.
        weights: Weight of each arm; None learns them.
        scale: How scores become comparable: `"z"`, `"minmax"`, `"rank"` or `"rrf"`.
        metric: Metric to learn the weights by.
        validation: Share of each user's events that is held out to learn the weights, in (0, 1).
        positive: Smallest value of an event that counts as relevant there; None counts all.
        rounds: Rounds of ensemble selection.
        repeats: Draws of held-out events to learn the weights from.
        seed: Draws the events to hold out.

    Raises:
        siamrec.errors.InvalidParameterError: If an argument is out of range, or no weight is
            above 0.
        siamrec.errors.UnknownNameError: If the scale or a weighed arm is unknown.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes (2004), ICML: ensemble selection from libraries of
        models; Cormack, Clarke, Büttcher (2009), SIGIR: reciprocal rank fusion.

    Examples:
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import EASE, Popularity
        >>> feedback = Feedback.of(user=["ann", "ann", "bob", "bob"], item=["x", "y", "x", "z"])
        >>> arms = {"ease": EASE(l2=1.0), "popularity": Popularity()}
        >>> fused = Weighted(arms=arms, weights={"ease": 1.0, "popularity": 0.0}).fit(feedback)
        >>> fused.weights, fused.dropped
        ({'ease': 1.0}, {'popularity': 'its weight is 0'})
        >>> fused.recommend(["bob"], k=1).lists()
        {'bob': ['y']}
    """

    search_space: ClassVar[Mapping[str, Range]] = {"scale": Choice(*SCALES)}

    arms: Arms = field(default_factory=lambda: {"edlae": EDLAE(), "ials": IALS()})
    weights: Mapping[str, float] | None = None
    scale: Scale = "z"
    metric: str = "ndcg@10"
    validation: float = 0.2
    positive: float | None = None
    rounds: int = 20
    repeats: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        arms = arms_by_name(self.arms)
        object.__setattr__(self, "arms", arms)
        check.one_of("scale", self.scale, SCALES)
        metric, *more = Suite([self.metric]).names
        if more:
            raise InvalidParameterError("metric", self.metric, "the name of one metric")
        object.__setattr__(self, "metric", metric)
        check.share("validation", self.validation, open_ends=True)
        check.real_or_none("positive", self.positive)
        check.count("rounds", self.rounds)
        check.count("repeats", self.repeats)
        check.count("seed", self.seed, least=0)
        for name in self.weights or {}:
            check.one_of("arm", name, arms)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedWeighted:
        arms = arms_by_name(self.arms)
        weights = self._learned(arms, feedback, catalog) if self.weights is None else self.weights
        kept = {name: float(weights.get(name, 0.0)) for name in arms}
        why = "its weight is" if self.weights is not None else "on validation its weight is"
        dropped = {name: f"{why} {weight:g}" for name, weight in kept.items() if not weight > 0}
        chosen = {name: recipe for name, recipe in arms.items() if name not in dropped}
        if not chosen:
            raise InvalidParameterError("weights", dict(weights), "above 0 for at least one arm")
        return FittedWeighted(
            fit_members(chosen, feedback, catalog),
            {name: kept[name] for name in chosen},
            scale=self.scale,
            dropped=dropped,
            recipes=recipe_names(chosen),
        )

    def _learned(
        self,
        arms: Mapping[str, RecommenderRecipe],
        feedback: Feedback,
        catalog: Catalog | None,
    ) -> Mapping[str, float]:
        rng = np.random.default_rng(self.seed)
        splitter = RandomShare(share=self.validation, per_user=True)
        # what speaks for a pair alone: its other events would tell what is held out
        told = feedback.where(np.sort(speakers(feedback)))
        found = []
        for _ in range(self.repeats):
            fold = next(splitter.split(told, rng=rng))
            members = fit_members(arms, fold.training, catalog)
            weights = select(
                Weighted.over(members, dict.fromkeys(members, 1.0)),
                fold.truth(least=self.positive),
                scale=self.scale,
                metric=self.metric,
                rounds=self.rounds,
                rng=rng,
            )
            found.append(list(weights.values()))
        table = np.array(found)
        helps = (table > 0).mean(axis=0) > 0.5
        mean = np.where(helps, table.mean(axis=0), 0.0)
        return dict(zip(arms, mean.tolist(), strict=True))

    @staticmethod
    def over(
        arms: Mapping[str, FittedRecommender], weights: Mapping[str, float], *, scale: Scale = "z"
    ) -> FittedWeighted:
        """Return the ensemble of arms that are fitted already."""
        return FittedWeighted(arms, weights, scale=check.one_of("scale", scale, SCALES))

    @staticmethod
    def load(
        path: str | Path,
        *,
        loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None = None,
    ) -> FittedWeighted:
        """Return an ensemble that `save` wrote; `loaders` for members of unknown recipes."""
        arms, recipes, settings, _ = load_members(path, FittedWeighted.kind, loaders)
        return FittedWeighted(arms, **settings, recipes=recipes)


@final
class FittedWeighted(FittedEnsemble):
    """Fitted arms and their weights.

    Attributes:
        weights: Weight of each member; they sum to 1.
        dropped: Arms that were left out, with the reason.
    """

    kind = "ensemble-weighted"

    def __init__(
        self,
        arms: Mapping[str, FittedRecommender],
        weights: Mapping[str, float],
        *,
        scale: Scale,
        dropped: Mapping[str, str] | None = None,
        recipes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(arms, recipes)
        total = sum(weights.values())
        if set(weights) != set(arms) or not min(weights.values()) > 0:
            raise InvalidParameterError("weights", dict(weights), "above 0 for every arm")
        self.weights = {name: weights[name] / total for name in arms}
        self.scale = scale
        self.dropped = dict(dropped or {})

    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        tables = self.all_scores(histories)
        nowhere = unranked(tables)
        mixed = np.zeros_like(tables[0])
        for table, weight in zip(tables, self.weights.values(), strict=True):
            mixed += np.float32(weight) * rescaled(table, self.scale)
        mixed[nowhere] = -np.inf
        return mixed, None

    @override
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        return {"weights": self.weights, "scale": self.scale, "dropped": self.dropped}, {}
