"""What a host hands in: asked at once for all that will be called, and seen as our own parts are.

A host's classes need not import siamrec; what they return may be plain: lists by user for
rankings, an object with `id`, `arms` and `propensities` for a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, final

import numpy as np

from siamrec._core import check
from siamrec._core.clock import ManualClock
from siamrec.bandits import POLICIES, Policy
from siamrec.data import Catalog, Decision, Feedback, Rankings
from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.recommenders import Capability, FittedRecommender, RecommenderRecipe
from siamrec.models.recommenders._book import arms_by_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from siamrec._core.book import Named
    from siamrec.models.recommenders._book import Arms
    from siamrec.protocols import (
        Bandit,
        BanditFactory,
        Clock,
        MetricSuite,
        Recommender,
    )
    from siamrec.protocols import RecommenderRecipe as HostRecipe
    from siamrec.typing import Id

CONTROL, TREATMENT = "control", "bandit"
"""Variants of the experiment of a cycle."""

BANDIT = ("arms", "select", "learn")
STORE = (
    "feedback.write",
    "feedback.read_all",
    "decisions.write",
    *(f"versions.{name}" for name in ("add", "get", "all", "active", "point", "history")),
)


def require(
    *,
    catalog: object,
    assigner: object,
    store: object,
    blobs: object,
    clock: object,
    observers: object,
) -> None:
    """Pass when everything that was handed in can do what it will be asked for.

    Raises:
        siamrec.errors.InvalidParameterError: If something is of another kind, or lacks a member;
            all that it lacks is named.
    """
    if catalog is not None:
        check.kind("catalog", catalog, Catalog)
    if assigner is not None:
        what = "an assigner of variants"
        check.methods("assigner", assigner, ["assign", "assign_many"], what=what)
        assigned(assigner, [])
    if store is not None and not isinstance(store, str):
        check.methods("store", store, STORE, what="a store or a database URL")
    if blobs is not None:
        check.methods("blobs", blobs, ["put", "get"], what="a store of files")
    if clock is not None:
        check.methods("clock", clock, ["now"], what="a clock")
    for each in check.many("observers", observers, what="functions"):
        if not callable(each):
            raise InvalidParameterError("observer", each, "a function of one event")


def assigned(assigner: Any, units: Sequence[str]) -> npt.NDArray[np.str_]:
    """Return the variant of each unit, an empty text for those outside of the experiment.

    Asked for nobody it tells whether an assigner answers as it will have to, and leaves no trace.

    Raises:
        siamrec.errors.InvalidParameterError: If what is returned has no `variants` and `codes`, or
            they do not split units into control and treatment.
    """
    many = assigner.assign_many(units)
    name = "what assigner.assign_many(...) returns"
    check.methods(name, many, ["variants", "codes"], what="the variants of many units")
    variants = [check.text("variant", each) for each in check.many("variants", many.variants)]
    codes = np.asarray(many.codes)
    whole = codes.shape == (len(units),) and (codes.size == 0 or codes.dtype.kind in "iu")
    if not whole or not ((codes >= -1) & (codes < len(variants))).all():
        expected = f"a place in variants, or -1, for each of {len(units)} units"
        raise InvalidParameterError("codes of the assigner", codes, expected)
    if variants and not {CONTROL, TREATMENT} <= set(variants):
        expected = f"variants among which are {CONTROL!r} and {TREATMENT!r}"
        raise InvalidParameterError("variants of the assigner", variants, expected)
    return np.asarray([*variants, ""])[codes.astype(np.int64)]  # code -1, outside, is the last


def required_suite(suite: MetricSuite) -> MetricSuite:
    """Return the suite when it has what is asked of one; raises as `require` does."""
    check.methods("suite", suite, ["names", "evaluate"], what="a suite of metrics")
    return suite


def recipes_of(arms: Arms | Mapping[str, HostRecipe], **known: Any) -> dict[str, Any]:
    """Return recipes by name: our own, those given by name, and those of the host.

    Args:
        arms: Recipes or names; a recipe of the host's own class needs a name of its own.
        known: As in `arms_by_name`.

    Raises:
        siamrec.errors.InvalidParameterError: If something is no recipe.
        siamrec.errors.UnknownNameError: If a name is not known.
    """
    if not isinstance(arms, Mapping):
        return dict(arms_by_name(arms, least=0, **known))
    found: dict[str, Any] = {}
    for name, arm in arms.items():
        if isinstance(arm, str | Mapping | RecommenderRecipe):
            found |= arms_by_name({name: arm}, **known)
        else:
            check.methods(f"arms[{name!r}]", arm, ["fit"], what="a recipe or its name")
            found[name] = arm
    return found


def fitted(
    recipes: Mapping[str, HostRecipe], feedback: Feedback, catalog: Catalog
) -> dict[str, FittedRecommender | HostArm]:
    """Return every recipe fitted; an arm of the host's own class behind a check of its lists.

    Raises:
        siamrec.errors.InvalidParameterError: If what a recipe returns is no arm.
    """
    arms: dict[str, FittedRecommender | HostArm] = {}
    for name, recipe in recipes.items():
        arm = recipe.fit(feedback, catalog=catalog)
        if isinstance(arm, FittedRecommender):
            arms[name] = arm
        else:
            what = "an arm"
            check.methods(f"fitted {name!r}", arm, ["recommend_for_feedback"], what=what)
            arms[name] = HostArm(name, arm)
    return arms


def once(feedback: Feedback) -> Feedback:
    """Return events in time order, each of them once, as the log stores them."""
    columns = ("user", "item", "kind", "value", "weight")
    table = np.column_stack([getattr(feedback, name).astype(np.float64) for name in columns])
    _, row = np.unique(table, axis=0, return_inverse=True)
    pair = np.column_stack([row.reshape(-1), feedback.time])  # times do not fit a float
    _, first = np.unique(pair, axis=0, return_index=True)
    kept = np.sort(first)
    return feedback.where(kept[np.argsort(feedback.time[kept], kind="stable")])


@final
class HostArm:
    """A fitted arm of the host's own class; its lists are held to what was asked.

    Args:
        name: Name of the arm.
        arm: The arm.
    """

    capabilities = Capability.RANKING | Capability.COLD_USER

    def __init__(self, name: str, arm: Recommender) -> None:
        self._name, self._arm = name, arm

    def recommend_for_feedback(
        self, feedback: Feedback, *, k: int, candidates: Sequence[Id]
    ) -> Rankings:
        """Return lists in the order of the users of `feedback`.

        Raises:
            siamrec.errors.InvalidDataError: If a list is longer than `k`, repeats an item or
                holds one that is no candidate.
        """
        given = self._arm.recommend_for_feedback(feedback, k=k, candidates=candidates)
        by_user = given.lists() if isinstance(given, Rankings) else given
        check.kind(f"what {self._name!r} returns", by_user, Mapping, Rankings)
        lists = {user: list(by_user.get(user, ())) for user in feedback.users.ids}
        known = frozenset(candidates)
        for user, row in lists.items():
            if len(row) > k or len(set(row)) < len(row) or not known.issuperset(row):
                raise InvalidDataError(
                    f"The arm {self._name!r} must return at most {k} different candidates for "
                    f"each user, got {row[: k + 1]!r:.200} for {user!r}."
                )
        return Rankings.from_lists(lists)


def bandit_of(
    bandit: Bandit | BanditFactory | Policy[Any] | Named | None,
    names: tuple[str, ...],
    seed: int,
) -> BanditFactory | Policy[Any] | None:
    """Return a policy, or what makes bandits, when it can serve a replay over these arms.

    A replay and a test need a bandit that has learned nothing, so a bandit that was made already
    cannot serve them: it learns from live serving only.

    Raises:
        siamrec.errors.InvalidParameterError: If it is no policy and no factory, or if the
            factory makes something else than a bandit over the arms.
        siamrec.errors.UnknownNameError: If there is no policy of that name.
    """
    if bandit is None or isinstance(bandit, Policy):
        return bandit
    is_policy = isinstance(bandit, type) and issubclass(bandit, Policy)
    if is_policy or isinstance(bandit, str | Mapping):
        policy: Policy[Any] = POLICIES.make(bandit)  # type: ignore[arg-type]
        return policy
    if not callable(bandit):
        raise InvalidParameterError(
            "bandit",
            bandit,
            "a policy, its name, or a function (arms, *, clock, seed) that makes a bandit: each "
            "replay starts with a fresh one, and a bandit that is there learns from live serving",
        )
    new_bandit(bandit, names, clock=ManualClock(), seed=seed)
    return bandit


def new_bandit(
    factory: BanditFactory, names: tuple[str, ...], *, clock: Clock, seed: int
) -> Bandit:
    """Return a bandit over exactly these arms.

    Raises:
        siamrec.errors.InvalidParameterError: If the factory makes something else.
    """
    made = factory(names, clock=clock, seed=seed)
    check.methods("what bandit(...) makes", made, BANDIT, what="a bandit")
    if set(made.arms) != set(names):
        raise InvalidParameterError("bandit", made.arms, f"a bandit over the arms {names}")
    return made


def decision_of(given: Any, *, time: int, unit: str) -> Decision:
    """Return what a bandit answered as a decision of ours, to be logged.

    Raises:
        siamrec.errors.InvalidParameterError: If it has no id, arms or propensities.
    """
    if isinstance(given, Decision):
        return given
    needed = ("id", "arms", "propensities")
    check.methods("what select(...) returns", given, needed, what="a decision")
    return Decision(
        id=str(given.id),
        bandit=str(getattr(given, "bandit", "host")),
        arms=tuple(given.arms),
        propensities=tuple(given.propensities),
        time=time,
        unit=unit,
    )


def told(part: object) -> str:
    """Return what stands for a part in the key of a run: the same in every process."""
    if isinstance(part, type) or (callable(part) and hasattr(part, "__qualname__")):
        return f"{part.__module__}.{part.__qualname__}"
    if type(part).__repr__ is object.__repr__:
        return f"{type(part).__module__}.{type(part).__qualname__}"
    return repr(part)
