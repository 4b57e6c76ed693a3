"""A regression on what several arms predict of events they were not fitted to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data import FeedbackKind
from siamrec.data.liking import speakers
from siamrec.errors import InvalidDataError
from siamrec.metrics.splits import KFold
from siamrec.models.ensembles._meta import Meta, Sums
from siamrec.models.ensembles.base import (
    EnsembleRecipe,
    FittedEnsemble,
    fit_members,
    load_members,
    recipe_names,
    unranked,
)
from siamrec.models.ensembles.scales import rescaled
from siamrec.models.recommenders import (
    Capability,
    ExplicitMF,
    FittedRecommender,
    ItemKNNBaseline,
    SVDpp,
    UserKNN,
)
from siamrec.models.recommenders._book import Arms, arms_by_name
from siamrec.models.recommenders.search import Choice, Float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.metrics.splits import Fold
    from siamrec.models.recommenders import Histories, Range
    from siamrec.typing import CodeArray, Float32Array, FloatArray, Id

Target = Literal["rating", "ranking"]
_BLOCK = 256


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Stacking(EnsembleRecipe):
    """Learn how to combine arms from their predictions of events they were not fitted to.

        ŷ(u, i) = a + b·c + Σ_a (w_a + v_a·c) p_a(u, i),   c = (log(1 + n_u), log(1 + n_i))

    The events are cut into folds; each fold is predicted by arms fitted to the others. A ridge
    regression maps these predictions, and their products with the logarithms of how much is
    known of user and item, to the rating, or to whether an unseen item was met (`ranking`, where
    p is the score standardised over a person's items). An arm whose average weight is not above
    0 is dropped and the regression repeated; `FittedStacking.dropped` names it. In the end the
    arms are fitted to everything.

    Args:
        arms: Recipes by name, or a list of names, two or more; all must predict ratings for
            the target `"rating"`. Neighbours, factors and SVD++ when absent.
        target: `"rating"` or `"ranking"`.
        meta: `"ridge"`, or `"non-negative"` for one weight of at least 0 per arm, without the
            products with counts.
        folds: Number of folds, at least 2.
        penalty: Ridge penalty relative to the number of rows, at least 0.
        positive: Smallest value that counts as relevant for `"ranking"`; None counts all.
        seed: Draws the folds.

    Raises:
        siamrec.errors.InvalidParameterError: If an argument is out of range.
        siamrec.errors.MissingCapabilityError: On fitting, if an arm does not predict ratings.

    References:
        Wolpert (1992), Neural Networks 5: stacked generalization; Sill, Takács, Mackey, Lin
        (2009), arXiv:0911.0460: feature-weighted linear stacking.
    """

    search_space: ClassVar[Mapping[str, Range]] = {
        "penalty": Float(1e-6, 1e-1, log=True),
        "meta": Choice("ridge", "non-negative"),
    }

    arms: Arms = field(
        default_factory=lambda: {
            "item-knn": ItemKNNBaseline(),
            "user-knn": UserKNN(),
            "factors": ExplicitMF(),
            "svdpp": SVDpp(),
        }
    )
    target: Target = "rating"
    meta: Literal["ridge", "non-negative"] = "ridge"
    folds: int = 3
    penalty: float = 1e-4
    positive: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", arms_by_name(self.arms, least=2))
        check.one_of("target", self.target, ("rating", "ranking"))
        check.one_of("meta", self.meta, ("ridge", "non-negative"))
        check.count("folds", self.folds, least=2)
        check.real_or_none("positive", self.positive)
        check.not_negative("penalty", self.penalty)
        check.count("seed", self.seed, least=0)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedStacking:
        counts = self.meta == "ridge"
        arms = arms_by_name(self.arms)
        sums = Sums.empty(len(arms), counts=counts)
        rng = np.random.default_rng(self.seed)
        # what speaks for a pair alone: its other events would tell what is held out
        told = feedback.where(np.sort(speakers(feedback)))
        if self.target == "rating":
            told = told.where(told.kind == FeedbackKind.RATING)
        for fold in KFold(n_folds=self.folds).split(told, rng=rng):
            members = fit_members(arms, fold.training, catalog)
            gather = self._gather_ratings if self.target == "rating" else self._gather_ranks
            gather(sums, FittedStacking.plain(members, self.target, counts=counts), fold)
        if not sums.n:
            raise InvalidDataError("Stacking needs held-out events of known users, got none.")
        kept, meta = sums.solve(self.penalty, non_negative=not counts)
        names = list(arms)
        chosen = {names[place]: arms[names[place]] for place in kept}
        return FittedStacking(
            fit_members(chosen, feedback, catalog),
            meta,
            self.target,
            dropped={
                name: "its weight is not above 0 on held-out events"
                for name in names
                if name not in chosen
            },
            recipes=recipe_names(chosen),
        )

    def _gather_ratings(self, sums: Sums, trial: FittedStacking, fold: Fold) -> None:
        test = fold.testing
        users, items = test.users.decode(test.user), test.items.decode(test.item)
        predicted, user, item = trial.inputs(users, items, None, "fallback")
        value, weight = test.value.astype(np.float64), test.weight.astype(np.float64)
        sums.add(predicted, user, item, value, weight=weight)

    def _gather_ranks(self, sums: Sums, trial: FittedStacking, fold: Fold) -> None:
        truth = fold.truth(least=self.positive)
        code = truth.users.translate(trial.users)
        met = truth.items.translate(trial.items)
        owner = np.repeat(np.arange(len(truth)), np.diff(truth.start))
        judged = np.flatnonzero((code >= 0) & (np.diff(truth.start) > 0))
        for first in range(0, judged.size, _BLOCK):
            rows = judged[first : first + _BLOCK]
            histories = trial.history.people(code[rows])
            tables = trial.all_scores(histories)
            open_ = ~unranked(tables)
            seen = histories.value.tocoo()
            open_[seen.row, seen.col] = False
            wanted = np.zeros(open_.shape)
            for row, person in enumerate(rows.tolist()):
                wanted[row, met[truth.item[owner == person]]] = 1.0
            predicted = np.stack([rescaled(table, "z")[open_] for table in tables], axis=1)
            user, item = trial.counts(histories)
            shape = open_.shape
            sums.add(
                predicted.astype(np.float64),
                np.broadcast_to(user[:, None], shape)[open_],
                np.broadcast_to(item, shape)[open_],
                wanted[open_],
            )

    @staticmethod
    def load(
        path: str | Path,
        *,
        loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None = None,
    ) -> FittedStacking:
        """Return an ensemble that `save` wrote; `loaders` for members of unknown recipes."""
        arms, recipes, settings, arrays = load_members(path, FittedStacking.kind, loaders)
        meta = Meta(arrays["constant"], arrays["weight"])
        return FittedStacking(
            arms, meta, settings["target"], dropped=settings["dropped"], recipes=recipes
        )


@final
class FittedStacking(FittedEnsemble):
    """Fitted arms and the regression on their predictions.

    Attributes:
        meta: The regression.
        target: What it predicts.
        dropped: Arms that were left out, with the reason.
    """

    kind = "ensemble-stacking"

    def __init__(
        self,
        arms: Mapping[str, FittedRecommender],
        meta: Meta,
        target: Target,
        *,
        dropped: Mapping[str, str] | None = None,
        recipes: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(arms, recipes)
        if target == "rating":
            for arm in arms.values():
                arm.require(Capability.RATINGS)
        self.meta, self.target, self.dropped = meta, target, dict(dropped or {})
        known = self._told(self.history).value.indices
        self._known_of_item = np.log1p(np.bincount(known, minlength=len(self.items)))

    @classmethod
    def plain(
        cls, arms: Mapping[str, FittedRecommender], target: Target, *, counts: bool
    ) -> FittedStacking:
        """Return arms with nothing learned about them yet."""
        width = 3 if counts else 1
        return cls(arms, Meta(np.zeros(width), np.zeros((len(arms), width))), target)

    @property
    @override
    def capabilities(self) -> Capability:
        """What all members can do; ratings where they are the target."""
        found = super().capabilities
        return found | Capability.RATINGS if self.target == "rating" else found

    def counts(self, histories: Histories) -> tuple[FloatArray, FloatArray]:
        """Return `log(1 + n)` of each person and item, of ratings where they are the target."""
        return np.log1p(np.diff(self._told(histories).value.indptr)), self._known_of_item

    def _told(self, histories: Histories) -> Histories:
        return histories.ratings if self.target == "rating" else histories

    def inputs(
        self, users: Sequence[Id], items: Sequence[Id], time: npt.ArrayLike | None, unknown: str
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return what each member predicts, `(n, n_arms)`, and both logarithms of counts."""
        predicted = np.stack(
            [arm.predict(users, items, time=time, unknown=unknown) for arm in self.arms.values()],
            axis=1,
        )
        user = self.users.encode(users, unknown="code")
        item = self.items.encode(items, unknown="code")
        of_user, of_item = self.counts(self.history)
        return (
            predicted,
            np.where(user >= 0, of_user[user], 0.0),
            np.where(item >= 0, of_item[item], 0.0),
        )

    @override
    def predict(
        self,
        users: Sequence[Id],
        items: Sequence[Id],
        *,
        time: npt.ArrayLike | None = None,
        unknown: str = "error",
    ) -> FloatArray:
        self.require(Capability.RATINGS)
        rating = self.meta.apply(*self.inputs(users, items, time, unknown))
        told = self.history.ratings.value.data
        return np.clip(rating, float(told.min()), float(told.max()))

    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        tables = self.all_scores(histories)
        nowhere = unranked(tables)
        user, item = self.counts(histories)
        scores = self.meta.base(user, item)
        mean = self.history.ratings.value.data.mean() if self.target == "rating" else 0.0
        for place, table in enumerate(tables):
            if self.target == "ranking":
                predicted = rescaled(table, "z")
            else:
                predicted = np.where(np.isfinite(table), table, mean)
            scores += self.meta.weights_of(place, user, item) * predicted
        scores[nowhere] = -np.inf
        return scores.astype(np.float32), None

    @override
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        arrays = {"constant": self.meta.constant, "weight": self.meta.weight}
        return {"target": self.target, "dropped": self.dropped}, arrays
