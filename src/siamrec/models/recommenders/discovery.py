"""Arms for discovery over any arm: hidden gems, niches, and what is never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec.data.liking import require_threshold, top_of
from siamrec.errors import InvalidDataError, MissingInputError, UnknownNameError
from siamrec.models.recommenders._book import RECOMMENDERS, Arm
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders._item_features import names_of
from siamrec.models.recommenders.base import FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders.capability import PASSED_ON, Capability
from siamrec.models.recommenders.ease import EASE
from siamrec.models.recommenders.search import Float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from siamrec.data import Catalog, Feedback, Vocabulary
    from siamrec.models.recommenders.histories import Histories
    from siamrec.models.recommenders.search import Range
    from siamrec.typing import Float32Array, FloatArray

    Loader = Callable[[Path], FittedRecommender]

_GOOD = 0.75  # of the top of a scale: 7.5 of 10
_BOOST: dict[str, Range] = {"weight": Float(0.0, 3.0)}


@final
class FittedBoost(FittedRecommender):
    """A fitted arm whose scores, standardised for each person, are raised for some items.

    Attributes:
        base: The arm underneath.
        boost: What is added for each item, in standard deviations, shape `(n_items,)`.
    """

    @property
    @override
    def capabilities(self) -> Capability:
        """Ranking, and what the arm underneath can pass on."""
        return Capability.RANKING | (self.base.capabilities & PASSED_ON)

    def __init__(self, base: FittedRecommender, boost: FloatArray, *, kind: str) -> None:
        self.base, self.boost, self._kind = base, boost.astype(np.float32), kind
        self.users, self.items, self.history = base.users, base.items, base.history

    @override
    def score(self, histories: Histories) -> Float32Array:
        return standardised(self.base.score(histories)) + self.boost

    @override
    def save(self, path: str | Path) -> None:
        target = Path(path)
        save_arm(target, self, kind=self._kind, recipe={}, arrays={"boost": self.boost})
        self.base.save(target / "base")

    @classmethod
    def load(cls, path: str | Path, *, kind: str, base: Loader) -> FittedBoost:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        _, parts = load_arm(path, kind=kind)
        return cls(base(Path(path) / "base"), parts["boost"], kind=kind)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenGems(RecommenderRecipe):
    """Raise what few have voted for and those few like.

    By rule, `weight` is added to items with fewer than `votes` votes whose average is above
    `average`. With `smooth`, it is `weight σ((log votes − log(1 + n)) / smooth)
    σ((mean − average) / smooth)`, which does not jump.

    Args:
        base: The arm underneath: a recipe or its name.
        weight: In standard deviations of a person's scores, at least 0.
        votes: Votes below which an item is in the long tail, above 0.
        average: Average above which an item is good, on the scale of the averages; `"scale"` is
            three quarters of its top: 7.5 of 10, 3.75 of 5.
        smooth: Width of the steps, above 0; None for the rule.
        counted: Attribute of the catalogue that holds the number of votes; None counts feedback.
        averaged: Attribute that holds the average; None averages the ratings of the feedback.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
        siamrec.errors.MissingInputError: On fitting, if attributes are named without a catalogue.

    Examples:
        >>> from siamrec.data import Feedback
        >>> feedback = Feedback.of(
        ...     user=["a", "b", "c", "a"], item=["hit", "hit", "gem", "dud"], value=[9, 9, 9, 2]
        ... )
        >>> arm = HiddenGems(base=EASE(l2=1.0), votes=2, average=7.5, weight=9.0).fit(feedback)
        >>> arm.recommend(["b"], k=2).lists()
        {'b': ['gem', 'dud']}
    """

    search_space: ClassVar[Mapping[str, Range]] = _BOOST

    base: Arm = field(default_factory=EASE)
    weight: float = 1.0
    votes: float = 1000.0
    average: float | Literal["scale"] = "scale"
    smooth: float | None = None
    counted: str | None = None
    averaged: str | None = None

    def __post_init__(self) -> None:
        self.take_by_name(base=RECOMMENDERS)
        check.not_negative("weight", self.weight)
        check.positive("votes", self.votes)
        require_threshold("average", self.average, optional=False)
        for name in ("counted", "averaged"):
            if getattr(self, name) is not None:
                check.text(name, getattr(self, name))
        if self.smooth is not None:
            check.positive("smooth", self.smooth)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedBoost:
        base = RECOMMENDERS.make(self.base).fit(feedback, catalog=catalog)
        n_items, ratings = len(base.items), base.history.ratings
        count = np.bincount(base.history.value.indices, minlength=n_items).astype(np.float64)
        item, weight = ratings.value.indices, ratings.weights.astype(np.float64)
        total = np.bincount(item, weights=weight * ratings.value.data, minlength=n_items)
        heavy = np.bincount(item, weights=weight, minlength=n_items).astype(np.float64)
        mean = total / np.where(heavy > 0, heavy, 1.0)
        if self.counted is not None:
            count = _numbers(catalog, self.counted, base.items)
        if self.averaged is not None:
            mean = _numbers(catalog, self.averaged, base.items)
        told = ratings.value.data if self.averaged is None else mean
        average = _GOOD * top_of(told) if self.average == "scale" else self.average
        if self.smooth is None:
            share = ((count < self.votes) & (mean > average)).astype(np.float64)
        else:
            rare = _step((np.log(self.votes) - np.log1p(count)) / self.smooth)
            share = rare * _step((mean - average) / self.smooth)
        return FittedBoost(base, self.weight * share, kind="hidden-gems")

    @staticmethod
    def load(path: str | Path, *, base: Loader = EASE.load) -> FittedBoost:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        return FittedBoost.load(path, kind="hidden-gems", base=base)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Niche(RecommenderRecipe):
    """Raise items of rare genres, languages, or of any other named attribute.

    With `m` the likings of all items that carry a name, an item gets `weight (1 − log(1 + m) /
    log(1 + max m))` for the rarest of its names; an item without a name gets nothing.

    Args:
        base: The arm underneath.
        attribute: Attribute of the catalogue, texts or tuples of texts.
        weight: In standard deviations of a person's scores, at least 0.

    Raises:
        siamrec.errors.InvalidParameterError: If `weight` is below 0.
        siamrec.errors.MissingInputError: On fitting, without a catalogue.
        siamrec.errors.UnknownNameError: On fitting, if the attribute is absent.
    """

    search_space: ClassVar[Mapping[str, Range]] = _BOOST

    base: Arm = field(default_factory=EASE)
    attribute: str = "genres"
    weight: float = 1.0

    def __post_init__(self) -> None:
        self.take_by_name(base=RECOMMENDERS)
        check.not_negative("weight", self.weight)
        check.text("attribute", self.attribute)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedBoost:
        base = RECOMMENDERS.make(self.base).fit(feedback, catalog=catalog)
        names = [names_of(value) for value in _attribute(catalog, self.attribute, base.items)]
        count = np.bincount(base.history.value.indices, minlength=len(base.items))
        met: dict[str, float] = {}
        for code, row in enumerate(names):  # names are Python values; once for each item
            for name in row:
                met[name] = met.get(name, 0.0) + float(count[code])
        most = np.log1p(max(met.values(), default=0.0))
        rare = {name: 1.0 - np.log1p(m) / most if most > 0 else 0.0 for name, m in met.items()}
        boost = np.array([max((rare[name] for name in row), default=0.0) for row in names])
        return FittedBoost(base, self.weight * boost, kind="niche")

    @staticmethod
    def load(path: str | Path, *, base: Loader = EASE.load) -> FittedBoost:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        return FittedBoost.load(path, kind="niche", base=base)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage(RecommenderRecipe):
    """Raise what another arm never shows.

    The arm underneath makes a list of `depth` items for every training user; an item shown `e`
    times gets `weight (1 − log(1 + e) / log(1 + max e))`.

    Args:
        base: The arm underneath: a recipe or its name.
        weight: In standard deviations of a person's scores, at least 0.
        depth: Length of the lists that are counted, at least 1.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of its range.
    """

    search_space: ClassVar[Mapping[str, Range]] = _BOOST

    base: Arm = field(default_factory=EASE)
    weight: float = 1.0
    depth: int = 10

    def __post_init__(self) -> None:
        self.take_by_name(base=RECOMMENDERS)
        check.not_negative("weight", self.weight)
        check.count("depth", self.depth)

    @override
    def fit(self, feedback: Feedback, *, catalog: Catalog | None = None) -> FittedBoost:
        base = RECOMMENDERS.make(self.base).fit(feedback, catalog=catalog)
        lists = base.recommend(base.users.ids, k=self.depth)
        shown = np.log1p(np.bincount(lists.item, minlength=len(base.items)))
        boost = self.weight * (1.0 - shown / max(float(shown.max(initial=0.0)), 1e-12))
        return FittedBoost(base, boost, kind="coverage")

    @staticmethod
    def load(path: str | Path, *, base: Loader = EASE.load) -> FittedBoost:
        """Return an arm that `save` wrote; `base` loads the arm underneath."""
        return FittedBoost.load(path, kind="coverage", base=base)


def standardised(scores: Float32Array) -> Float32Array:
    """Return rows of mean 0 and deviation 1 over their finite entries; equal rows are all 0."""
    ranked = np.isfinite(scores)
    mean = np.mean(scores, axis=1, where=ranked, keepdims=True)
    spread = np.std(scores, axis=1, where=ranked, keepdims=True)
    even: Float32Array = ((scores - mean) / np.maximum(spread, 1e-12)).astype(np.float32)
    return even


def _attribute(catalog: Catalog | None, name: str, items: Vocabulary) -> tuple[object, ...]:
    if catalog is None:
        raise MissingInputError("catalog", "fit(feedback, catalog=catalog)")
    if name not in catalog.attributes:
        raise UnknownNameError("attribute", name, catalog.attributes)
    return tuple(catalog.aligned(items).attributes[name])


def _numbers(catalog: Catalog | None, name: str, items: Vocabulary) -> FloatArray:
    """Return an attribute as numbers; an item without one has 0."""
    values = [0.0 if v is None else v for v in _attribute(catalog, name, items)]
    try:
        return check.finite(name, np.asarray(values, dtype=np.float64))
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidDataError):
            raise
        raise InvalidDataError(f"{name} must hold numbers.") from error


def _step(values: FloatArray) -> FloatArray:
    return 0.5 * (1.0 + np.tanh(values / 2.0))  # never overflows
