"""A placement: one place in the application where a list is shown, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, final

from typing_extensions import override

from siamrec._core import check
from siamrec._core.clock import duration
from siamrec._core.hashing import canonical_json, config_hash
from siamrec._core.settings import decoded, encoded, require_known
from siamrec._core.table import Record, counted
from siamrec.bandits import POLICIES, Context, Limits, Policy, SuccessRule
from siamrec.bandits.policies.linear import LinearPolicy
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.expressions import Expression
from siamrec.lifecycle._recipes import arm_config, step_config, with_encoders, with_positive
from siamrec.lifecycle.meaning import Meaning, Settles
from siamrec.lifecycle.promotion import Promotion
from siamrec.lifecycle.recommendation import NOBODYS
from siamrec.lifecycle.retraining import Retraining
from siamrec.lifecycle.rules import Rule, check_rules
from siamrec.lifecycle.seen import Seen
from siamrec.models.recommenders import RECOMMENDERS
from siamrec.rerank import SELECTORS, Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from siamrec._core.book import Named
    from siamrec.models.recommenders import RecommenderRecipe

LIVE = "encoder@live"
"""The encoder in use."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Placement(Record):
    """A place where a list is shown: what may fill it, who chooses, and what counts as success.

    A frozen value that is stored as JSON under the registered names of its parts, so that any
    process can open it. Parts are given as recipes, by name, or by name with settings.

    Args:
        name: Name of the placement.
        arms: Arms by name. The encoder of an arm may be a version in use, such as
            `"encoder@live"`; training resolves it.
        policy: How the arms are weighed.
        context: What is known when a list is asked for.
        limits: Least and greatest probability of an arm.
        rerank: Steps by which each arm's candidates are re-ranked, such as `"mmr"`.
        reward: What counts as success, how long after, and when it is learned.
        meaning: A table of what each kind of feedback means, in the place of `reward`. A changed
            meaning begins a new belief beside the old one, which stays.
        k: Length of a list.
        n_arms: Arms that share a list.
        blend: `"draft"`: the arms take turns, and each learns from its own items; or
            `"weights"`: scores are added by confidence, and nothing is learned.
        fallback: Fills what the arms leave empty.
        static_weights: Probabilities of the arms while the bandit is off; even when absent.
        mode: `"bandit"`, or `"static"` for a draw by the weights.
        confirm: Whether a list counts as seen when it is served, or when somebody says so.
        promotion: When what was trained takes the place of what serves.
        retraining: When it is trained anew by whoever works for it; only by hand when absent.
        where: Filter on the columns of the catalogue, such as
            `"stock > 0 and 'kids' not in genres and released > now() - days(730)"`; see
            `siamrec.expressions.Expression`. An item that lacks a column which is read, and not
            asked after, is kept back. `user.…` is what a request tells of the person.
        too_few: What happens where fewer items are left than asked for: the list is `"short"`;
            `"relax"` lets go of the conditions that `and` joins in `where`, the last one first,
            until enough are left; or the `"fallback"` alone makes the list, and no arm is drawn.
        seen: When an item counts as seen, and is left out.
        rules: What the owner pins, boosts, buries, limits, includes or never shows, in order.
        history: Newest events of a person that arms are told of.
        candidates: Candidates of an arm for each place of the list, before the re-ranking.
        patience: How long an arm may take; one that is later is left out and rests.
        unlogged: Whether a list is served when the log cannot be written (marked, and never
            learned from), or refused.
        experiment: Key of the experiment that runs here; see `LivePlacement.test`.
        variants: For variants of it, settings by dotted path.
        unit: What an experiment gives its variants to: a `"user"`, or a `"query"`, so that the
            same words (in any case) get the same variant, whoever searches.
        variant: The variant that this is the resolved placement of, where it has a release and a
            belief of its own.

    Raises:
        siamrec.errors.InvalidParameterError: If a setting is out of range, or a part is a live
            object that cannot be written down.
        siamrec.errors.UnknownNameError: If a part's name or setting is not known.

    Examples:
        >>> home = Placement(name="home", arms={"svd": "pure-svd", "top": "popularity"})
        >>> Placement.from_json(home.to_json()) == home
        True
    """

    name: str
    arms: Mapping[str, Any]
    policy: Policy[Any] | Named = "hierarchical-beta"
    context: Context = field(default_factory=Context.default)
    limits: Limits = field(default_factory=Limits)
    rerank: Sequence[Any] = ()
    reward: SuccessRule = field(default_factory=SuccessRule)
    k: int = 10
    n_arms: int = 1
    blend: Literal["draft", "weights"] = "draft"
    fallback: Any = "popularity"
    static_weights: Mapping[str, float] | None = None
    mode: Literal["bandit", "static"] = "bandit"
    confirm: Literal["on_serve", "on_seen"] = "on_serve"
    promotion: Promotion = field(default_factory=Promotion)
    retraining: Retraining | None = None
    where: str | None = None
    too_few: Literal["short", "relax", "fallback"] = "short"
    seen: Seen = field(default_factory=Seen)
    meaning: Meaning | None = None
    rules: Sequence[Rule] = ()
    history: int = 500
    candidates: int = 5
    patience: str = "1s"
    unlogged: Literal["serve", "refuse"] = "serve"
    experiment: str | None = None
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    variant: str | None = None
    unit: Literal["user", "query"] = "user"

    def __post_init__(self) -> None:
        check.text("name", self.name, longest=64)
        self._take_parts()
        for name, kind in {**_ENCODED, **_WRITTEN}.items():
            if name not in _OPTIONAL or getattr(self, name) is not None:
                check.kind(name, getattr(self, name), kind)
        self._take_wishes()
        for name in ("k", "n_arms", "history", "candidates"):
            check.count(name, getattr(self, name))
        for name, allowed in _WORDS.items():
            check.one_of(name, getattr(self, name), allowed)
        duration("patience", self.patience)
        if self.n_arms > len(self.arms):
            raise InvalidParameterError("n_arms", self.n_arms, f"at most {len(self.arms)} arms")
        self.limits.fit(len(self.arms))
        self.pipeline()
        if self.static_weights is not None:
            object.__setattr__(self, "static_weights", _weights(self.static_weights, self.arms))
        if self.experiment is not None:
            check.text("experiment", self.experiment)
        for name, paths in check.kind("variants", self.variants, Mapping).items():
            self.of_variant(check.text("the name of a variant", name), paths)

    def _take_parts(self) -> None:
        """Put what is written of each part in the place of the part."""
        arms = check.kind("arms", self.arms, Mapping)
        if not arms:
            raise InvalidParameterError("arms", arms, "one or more arms by name")
        for name in arms:
            check.text("the name of an arm", name, longest=64)
            if name in NOBODYS or ":" in name:
                raise InvalidParameterError("the name of an arm", name, "another, without ':'")
        policy: Policy[Any] = POLICIES.make(self.policy)
        if isinstance(policy, LinearPolicy):
            raise InvalidParameterError("policy", self.policy, "one that needs no features")
        put: dict[str, Any] = {
            "arms": {name: arm_config(arm) for name, arm in arms.items()},
            "fallback": arm_config(self.fallback),
            "policy": policy.to_config(),
            "rerank": tuple(step_config(step) for step in check.many("rerank", self.rerank)),
        }
        for name, value in put.items():
            object.__setattr__(self, name, value)

    def _take_wishes(self) -> None:
        """Check what the owner wishes; the catalogue is asked when the placement is kept."""
        if self.where is not None:
            Expression.read("where", self.where)
        if self.meaning is not None and self.reward != SuccessRule():
            raise InvalidParameterError("meaning", self.meaning, "given without a reward")
        rules = tuple(check.many("rules", self.rules, what="rules"))
        for rule in rules:
            check.kind("rule", rule, Rule)
        check_rules(rules, self.k)
        object.__setattr__(self, "rules", rules)

    @property
    def settles(self) -> Settles:
        """What settles rewards: the meaning, or the success rule where there is none."""
        return self.reward if self.meaning is None else self.meaning

    @override
    def title(self) -> str:
        return f"Placement {self.name}: {counted(len(self.arms), 'arm')}, lists of {self.k}"

    @property
    def alias(self) -> str:
        """Alias of the release that serves."""
        return f"placement:{self.name}" if self.variant is None else self._own_name("placement:")

    def _own_name(self, before: str = "") -> str:
        return f"{before}{self.name}/{self.experiment}/{self.variant}"

    @property
    def belief(self) -> str:
        """Name of the bandit whose belief counts: of the policy, the context and the meaning."""
        settings = self.to_config()
        last = "reward" if self.meaning is None else "meaning"
        meant = {name: settings[name] for name in ("policy", "context", last)}
        whose = self.name if self.variant is None else self._own_name()
        return f"{whose}.{config_hash(meant)[:8]}"

    @property
    def recipe(self) -> str:
        """Hash of what is fitted: the arms and the fallback."""
        return config_hash({"arms": dict(self.arms), "fallback": self.fallback})

    def shares(self) -> dict[str, float]:
        """Return the probability of each arm while the bandit is off."""
        if self.static_weights is None:
            return dict.fromkeys(self.arms, 1 / len(self.arms))
        total = sum(self.static_weights.values())
        return {name: self.static_weights.get(name, 0.0) / total for name in self.arms}

    def pipeline(self, diversity: float | None = None) -> Pipeline | None:
        """Return the re-ranking; None where there is none.

        Args:
            diversity: How much unlikeness counts, in [0, 1]: sets the trade-off of the step that
                picks the list, `"mmr"` where there is no such step.

        Raises:
            siamrec.errors.InvalidParameterError: If that step has no trade-off.
        """
        steps = list(self.rerank)
        if diversity is not None:
            trade_off = 1.0 - check.share("diversity", diversity)
            last = dict(steps[-1]) if steps and "trade_off" in steps[-1] else None
            if last is None:
                name = steps[-1]["name"] if steps else "mmr"
                if steps and name in SELECTORS:
                    raise InvalidParameterError(
                        "diversity", diversity, f"left out: {name} has no trade-off"
                    )
                last = {"name": "mmr"}
            else:
                steps.pop()
            steps.append({**last, "trade_off": trade_off})
        return Pipeline(*steps) if steps else None

    def to_config(self) -> dict[str, Any]:
        """Return the placement as JSON values."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        made = {name: encoded(own[name]) for name in _ENCODED}
        made |= {name: own[name] and own[name].to_config() for name in _WRITTEN}
        return {
            **own,
            **made,
            "arms": dict(self.arms),
            "rerank": list(self.rerank),
            "rules": [rule.to_config() for rule in self.rules],
            "static_weights": None if self.static_weights is None else dict(self.static_weights),
            "variants": {name: dict(paths) for name, paths in self.variants.items()},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Placement:
        """Return the placement that `to_config` wrote.

        Raises:
            siamrec.errors.UnknownNameError: If a part is not registered here, or a setting is not
                known, as of a newer release.
            siamrec.errors.InvalidParameterError: If a value is out of range.
        """
        given = dict(check.kind("config", config, Mapping))
        require_known("placement", cls, given)
        for needed in ("name", "arms"):
            if needed not in given:
                raise MissingInputError(f"{needed} of a placement", f"Placement({needed}=…)")
        values: dict[str, Any] = {
            name: kind(**decoded(name, kind, given[name]))
            for name, kind in _ENCODED.items()
            if isinstance(given.get(name), Mapping)
        }
        values |= {
            name: kind.from_config(given[name])
            for name, kind in _WRITTEN.items()
            if isinstance(given.get(name), Mapping)
        }
        if "rules" in given:
            rules = check.many("rules", given["rules"], what="rules")
            values["rules"] = [
                each if isinstance(each, Rule) else Rule.from_config(each) for each in rules
            ]
        return cls(**{**given, **values})

    @override
    def to_json(self) -> str:
        """Return the placement as JSON; equal placements give equal text."""
        return canonical_json(self.to_config())

    @classmethod
    def from_json(cls, text: str) -> Placement:
        """Return the placement that `to_json` wrote; raises as `from_config` does."""
        try:
            config = json.loads(text)
        except ValueError as error:
            raise InvalidDataError(f"text must be JSON of a placement: {error}.") from error
        return cls.from_config(config)

    def overridden(self, paths: Mapping[str, Any]) -> Placement:
        """Return the placement with some settings changed.

        Args:
            paths: Values by dotted path, such as `{"arms.text.encoder": "encoder@candidate"}`.

        Raises:
            siamrec.errors.UnknownNameError: If a path leads nowhere.
        """
        config = json.loads(self.to_json())
        for path, value in paths.items():
            place: Any = config
            *way, last = path.split(".")
            for step in way:
                place = place[check.one_of(f"step of the path {path!r}", step, _keys(place))]
            check.one_of(f"step of the path {path!r}", last, _keys(place))
            if path.partition(".")[0] in _FIXED:
                raise InvalidParameterError("path", path, "a setting that a variant may change")
            place[last] = value
        return type(self).from_config(config)

    def of_variant(self, name: str, paths: Mapping[str, Any]) -> Placement:
        """Return what a variant shows: the placement with other settings.

        Where arms, fallback, policy or context differ it has a release and a belief of its own.

        Args:
            name: The variant.
            paths: Its settings by dotted path.

        Raises:
            siamrec.errors.UnknownNameError: If a path leads nowhere.
        """
        for path in check.kind(f"variant {name}", paths, Mapping):
            check.text("path", path)
        changed = replace(self, variants={}).overridden(paths)
        same = changed.recipe == self.recipe and changed.belief == self.belief
        return changed if same else replace(changed, variant=name)

    def made(
        self, encoder: Callable[[str], Any], positive: float | None
    ) -> tuple[dict[str, RecommenderRecipe], Any]:
        """Return the recipes of the arms, and that of the fallback.

        Args:
            encoder: Returns the encoder behind a reference such as `"encoder@live"`.
            positive: What is a like, for arms that do not say it themselves.
        """
        configs = {**self.arms, "": self.fallback}
        made = {
            name: RECOMMENDERS.make(with_encoders(with_positive(config, positive), encoder))
            for name, config in configs.items()
        }
        fallback = made.pop("")
        return made, fallback

    def switched(self, mode: Literal["bandit", "static"]) -> Placement:
        """Return the placement with its bandit on or off."""
        return replace(self, mode=mode)


_ENCODED: dict[str, Any] = {"limits": Limits, "promotion": Promotion, "reward": SuccessRule}
"""Values that are written by their fields."""
_WRITTEN: dict[str, Any] = {
    "context": Context, "meaning": Meaning, "retraining": Retraining, "seen": Seen,
}  # fmt: skip
"""Values that write themselves."""
_OPTIONAL = ("meaning", "retraining")
_FIXED = ("experiment", "name", "retraining", "variant", "variants")
_WORDS = {
    "blend": ("draft", "weights"),
    "mode": ("bandit", "static"),
    "confirm": ("on_serve", "on_seen"),
    "unlogged": ("serve", "refuse"),
    "too_few": ("short", "relax", "fallback"),
    "unit": ("user", "query"),
}


def _weights(weights: Mapping[str, float], arms: Mapping[str, Any]) -> dict[str, float]:
    for name, weight in check.kind("static_weights", weights, Mapping).items():
        check.one_of("arm", name, arms)
        check.not_negative(f"weight of {name}", weight)
    if not sum(weights.values()) > 0:
        raise InvalidParameterError("static_weights", weights, "weights that are not all 0")
    return {name: float(weight) for name, weight in weights.items()}


def _keys(place: Any) -> list[str]:
    if not isinstance(place, dict):
        raise UnknownNameError("step of a path", str(place)[:40], [])
    return list(place)
