"""The contract of an ensemble: an arm made of arms.

The members are fitted to the same feedback. They may rank different items (an arm that reads
texts knows more of the catalogue); here their scores are laid over one set of items. An item
that no member can rank has the score minus infinity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError, shown
from siamrec.models.recommenders import Capability, FittedRecommender, Histories, RecommenderRecipe
from siamrec.models.recommenders._files import load_arm, save_arm
from siamrec.models.recommenders.base import known_recipes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from siamrec.data import Catalog, Feedback
    from siamrec.typing import CodeArray, Float32Array

_OF_MEMBERS = Capability.COLD_USER | Capability.RANKING | Capability.WEIGHTS
"""What an ensemble can do where all of its members can."""
_HEAD = ("users", "items", "history")
_TOLD = 8
"""Members that are named where a recipe is printed."""


class EnsembleRecipe(RecommenderRecipe, ABC):
    """A recipe made of recipes, which are named by their classes where it is printed."""

    __slots__ = ()

    @override
    def __repr__(self) -> str:
        held = ((each.name, getattr(self, each.name)) for each in fields(self))  # type: ignore[arg-type]
        told = ", ".join(f"{name}={_in_short(value)}" for name, value in held)
        return f"{type(self).__name__}({told})"


class FittedEnsemble(FittedRecommender, ABC):
    """Fitted members over one set of users and items.

    An author writes `traced`, from `tables`, and `_settings`.

    Args:
        arms: The fitted members by name.
        recipes: Names of their recipes' classes, for `load`; may lack members.

    Attributes:
        arms: The fitted members by name.
        members: Their names.
    """

    kind: ClassVar[str]

    def __init__(
        self,
        arms: Mapping[str, FittedRecommender],
        recipes: Mapping[str, str] | None = None,
    ) -> None:
        if not arms:
            raise InvalidParameterError("arms", arms, "one or more arms by name")
        self.arms = dict(arms)
        self.members = tuple(arms)
        self._recipes = dict(recipes or {})
        first, *others = arms.values()
        if any(set(other.users.ids) != set(first.users.ids) for other in others):
            raise InvalidDataError("Members must be fitted to the feedback of the same users.")
        self.users, items = first.users, first.items
        for other in others:
            items = items.extend(other.items)
        self.items = items
        self._column = [arm.items.translate(items) for arm in self.arms.values()]
        self._row = [first.users.translate(arm.users) for arm in self.arms.values()]
        self.history = first.history.grown(len(self.users), len(items))

    @property
    @override
    def capabilities(self) -> Capability:
        """What all members can do, of what an ensemble can pass on."""
        found = _OF_MEMBERS
        for arm in self.arms.values():
            found &= arm.capabilities
        return found

    def all_scores(self, histories: Histories) -> list[Float32Array]:
        """Return the scores of each member over all items, minus infinity where it has none."""
        return [self.scores_of(place, histories) for place in range(len(self.members))]

    def scores_of(self, place: int, histories: Histories) -> Float32Array:
        """Return the scores of one member over all items."""
        arm = self.arms[self.members[place]]
        scores = arm.score(self._as_seen_by(place, histories))
        column = self._column[place]
        if column.size == len(self.items) and (np.diff(column) == 1).all():
            return scores
        table = np.full((len(histories), len(self.items)), -np.inf, dtype=np.float32)
        table[:, column] = scores
        return table

    def _as_seen_by(self, place: int, histories: Histories) -> Histories:
        """Return histories over the items and users of a member."""
        column, row = self._column[place], self._row[place]
        user = histories.user
        if user is not None:  # people who came after the member was fitted are new to it
            known = (user >= 0) & (user < row.size)
            user = np.where(known, row[np.where(known, user, 0)], -1).astype(np.int32)
        if column.size == len(self.items) and (np.diff(column) == 1).all():
            return replace(histories, user=user)
        return histories.over(column, user)

    @override
    def score(self, histories: Histories) -> Float32Array:
        return self.traced(histories)[0]

    @abstractmethod
    @override
    def traced(self, histories: Histories) -> tuple[Float32Array, CodeArray | None]:
        """Return the scores, and which member each comes from where that is one."""

    @override
    def update(self, feedback: Feedback) -> FittedEnsemble:
        self.require(Capability.COLD_USER)
        newer = copy(self)
        arms = {name: arm.update(feedback) for name, arm in self.arms.items()}
        FittedEnsemble.__init__(newer, arms, self._recipes)
        return newer

    @abstractmethod
    def _settings(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return what `save` writes beside the members: JSON values and arrays."""

    @override
    def save(self, path: str | Path) -> None:
        settings, arrays = self._settings()
        members = {name: self._recipes.get(name) for name in self.members}
        target = Path(path)
        head = {"members": members, "settings": settings}
        save_arm(target, self, kind=self.kind, recipe=head, arrays=arrays)
        for place, arm in enumerate(self.arms.values()):
            arm.save(target / f"member-{place}")


def _in_short(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = [f"{key!r}: {_in_short(each)}" for key, each in list(value.items())[:_TOLD]]
        return "{" + ", ".join([*parts, *["…"] * (len(value) > _TOLD)]) + "}"
    return f"{type(value).__name__}(…)" if is_dataclass(value) else shown(value)


def fit_members(
    arms: Mapping[str, RecommenderRecipe], feedback: Feedback, catalog: Catalog | None
) -> dict[str, FittedRecommender]:
    """Return every recipe fitted to the feedback."""
    return {name: recipe.fit(feedback, catalog=catalog) for name, recipe in arms.items()}


def recipe_names(arms: Mapping[str, RecommenderRecipe]) -> dict[str, str]:
    """Return the names of the recipes' classes."""
    return {name: type(recipe).__name__ for name, recipe in arms.items()}


def load_members(
    path: str | Path,
    kind: str,
    loaders: Mapping[str, Callable[[Path], FittedRecommender]] | None,
) -> tuple[
    dict[str, FittedRecommender], dict[str, str], dict[str, Any], dict[str, npt.NDArray[Any]]
]:
    """Return members, the names of their recipes, settings and arrays of a saved ensemble.

    Args:
        path: The folder.
        kind: Kind of the ensemble.
        loaders: How to load members by name; the recipe's own `load` where absent.

    Raises:
        siamrec.errors.ModelLoadError: If the folder does not hold such an ensemble.
        siamrec.errors.MissingInputError: If nobody knows how to load a member.
    """
    head, parts = load_arm(path, kind=kind)
    known: dict[str, Any] = {recipe.__name__: recipe for recipe in known_recipes()}
    arms, recipes = {}, {}
    for place, (name, recipe) in enumerate(head["members"].items()):
        own = (loaders or {}).get(name) or getattr(known.get(recipe or ""), "load", None)
        if own is None:
            raise MissingInputError(f"a loader of {name!r}", "load(path, loaders={name: load})")
        arms[name] = own(Path(path) / f"member-{place}")
        if recipe:
            recipes[name] = recipe
    arrays = {key: value for key, value in parts.items() if key not in _HEAD}
    return arms, recipes, head["settings"], arrays


def unranked(tables: list[Float32Array]) -> npt.NDArray[np.bool_]:
    """Return where no member has a score, shape `(n, n_items)`."""
    missing = ~np.isfinite(tables[0])
    for table in tables[1:]:
        missing &= ~np.isfinite(table)
    return missing
