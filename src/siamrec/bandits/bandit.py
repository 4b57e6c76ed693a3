"""The bandit: a policy, its arms, its memory and the log of its decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import uniforms
from siamrec._core.table import Shown, Table, counted, line
from siamrec.bandits._choice import ArmView, draw_many
from siamrec.bandits._remembering import Remembering
from siamrec.bandits.insight import ArmPerformance, ArmShare, imbalance, performance
from siamrec.bandits.log.delay import DelayCurve
from siamrec.bandits.policies.base import ModelT
from siamrec.data.decisions import Decision, Decisions
from siamrec.figures import intervals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from siamrec.bandits.context import ContextLike
    from siamrec.typing import FloatArray, Instant, IntArray


@final
class ContextualBandit(Remembering[ModelT], Shown):
    """Chooses among named arms by context, learns from rewards, logs every probability.

    The one mutable part of this room. A decision's randomness is a hash of (seed, name,
    decision id), so a log can be replayed; everything learned is a fold over the log of
    decisions and rewards, so workers can be merged in any order. Not to be shared between
    threads: give each its own, under its own `worker` name, and merge.

    Args:
        policy: How to weigh the arms: a policy or its name, such as `"beta-thompson"`.
        arms: Distinct names of the arms.
        context: Factors whose combinations are the cells; one cell when absent.
        limits: Least and greatest probability of an arm.
        half_life: Time after which an observation counts half, such as `"30d"`.
        window: Only rewards of decisions this recent count; not together with `half_life`.
        attribution: Rewards later than this after their decision are left out.
        delay: Mean time that a success takes to be seen, or its whole `DelayCurve`. Picks without
            a reward then count as failures little by little, as much as a success would have
            been seen by now.
        reset: When given, outcomes of an arm from before its rewards are found to have changed
            no longer count; the number, such as 0.01, is the probability of a false alarm
            anywhere at any time. Each arm is tested in each context cell, by `change_point`; the
            tests read the whole log after every change to it, so set `refresh_every` for large
            logs, and a floor in `limits`, because an arm that is not chosen is not seen to
            change. Not for policies with feature vectors.
        baseline: A trusted arm and what exploration may cost against it.
        holdout: Share of decisions made evenly, for later audits; mixed into every propensity.
        tempering: For factors, the temperature of some of their levels, such as
            `{"session_position": {"early": 0.7, "late": 1.5}}`; several multiply.
        seed: Salt of every draw.
        name: Name of the bandit, part of the salt.
        worker: Name of this process among several that serve one bandit; part of every id.
        refresh_every: Rewards to take in before what is believed is worked out anew.
        n_features: Length of the feature vectors, for policies that use them.
        clock: Source of instants; the system's when absent.

    Raises:
        InvalidParameterError: If arms repeat, the floor leaves no room, or a setting is out of
            range.
        UnknownNameError: If tempering names an unknown factor or level.

    Examples:
        >>> from siamrec.bandits import BetaThompson, Context
        >>> bandit = ContextualBandit(
        ...     BetaThompson(), arms=("svd", "graph"), context=Context.default(), seed=7
        ... )
        >>> decision = bandit.select({"time_of_day": "evening", "segment": "cold"})
        >>> bandit.learn(decision.id, reward=1.0).applied
        1
    """

    @override
    def title(self) -> str:
        arms, changes = counted(len(self.arms), "arm"), counted(self.state_version, "change")
        return f"Bandit {self._settings.name!r}: {self.policy.name} over {arms}, {changes}"

    @override
    def table(self) -> Table:
        """Return what it is made of, and how much it has seen."""
        facts = {
            "policy": line(self.policy),
            "arms": self.arms,
            "cells": self.context.n_cells,
            "changes": self.state_version,
            "without a reward": self.n_pending,
            "early rewards": self.n_early,
        }
        return Table.of(self.title(), facts)

    def select(
        self,
        context: ContextLike | None = None,
        *,
        n: int = 1,
        unit: str | None = None,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> Decision:
        """Choose `n` different arms, best rank first, and log the decision.

        Each rank is drawn from the policy's exact probabilities among the arms not drawn yet,
        within the limits.

        Args:
            context: Level, or raw value, of each factor; missing ones are unknown.
            n: Number of arms.
            unit: Whom the decision is for; logged.
            arms: The arms that are eligible this time; all when absent.
            features: Feature vector, for policies that use one.
            time: Instant of the decision; the clock's when absent.

        Raises:
            InvalidParameterError: If fewer than `n` arms are eligible.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        now = self._now(time)
        cell = self.context.cell(context)
        eligible = self._roster.eligible(arms, check.count("n", n))
        vector = self._vectors(None if features is None else np.asarray(features)[None], 1)
        model = self._believe(now)
        id_ = self._new_ids([now])[0]
        first = self._chooser.weights(model, cell, eligible, vector)
        chosen, chances = self._chooser.draw_ranks(model, cell, eligible, vector, id_=id_, n=n)
        in_top: tuple[float, ...] = ()
        if n > 1:
            rounds = self._chooser.rounds(np.array([cell]), eligible, vector)
            among = self.policy.top(model, rounds, n)[0]
            in_top = tuple(float(among[arm]) for arm in chosen)
        decision = Decision(
            id=id_,
            bandit=self._settings.name,
            context=self.context.levels(cell),
            arms=tuple(self._roster.names[arm] for arm in chosen),
            propensities=tuple(chances),
            confidences=tuple(first.best[arm] for arm in chosen),
            means=tuple(first.mean[arm] for arm in chosen),
            intervals=tuple((first.low[arm], first.high[arm]) for arm in chosen),
            in_top=in_top,
            policy=self.policy.name,
            state_version=self._chooser.version,
            time=now,
            unit=unit,
        )
        self._counter += 1
        self._journal.ledger.append_one(id_, chosen, chances, cell=cell, time=now, features=vector)
        return decision

    def select_arms(
        self, context: ContextLike | None = None, n_arms: int = 3
    ) -> tuple[tuple[str, ...], tuple[float, ...]]:
        """Choose arms and return them with their confidences; the decision is logged.

        Confidences are the probabilities of being the best arm. Use `select` to keep the
        decision id that rewards need.
        """
        decision = self.select(context, n=n_arms)
        return decision.arms, decision.confidences

    def select_many(
        self,
        contexts: Sequence[ContextLike] | Mapping[str, Sequence[object]],
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | IntArray | None = None,
    ) -> Decisions:
        """Choose one arm for each context from one state, and log the decisions.

        Args:
            contexts: One mapping per round, or columns by factor name.
            arms: The arms that are eligible; all when absent.
            features: Feature vectors, shape `(n, n_features)`.
            time: One instant, or one for each round; the clock's when absent.

        Raises:
            InvalidParameterError: If no arm is eligible.
            MissingInputError: If the policy needs features and none are given.
            UnknownNameError: If an arm, factor or level is not known.
        """
        cells = self.context.cells(contexts)
        n = cells.size
        times = np.broadcast_to(
            np.asarray(self._clock.now() if time is None else time, dtype=np.int64), (n,)
        )
        eligible = self._roster.eligible(arms, 1)
        vectors = self._vectors(features, n)
        self._now(int(times.min()) if n else None)
        model = self._believe(int(times.max()) if n else self._now(None))
        chance, which = self._chooser.chances(model, cells, eligible, vectors)
        ids = self._new_ids(times.tolist())
        draws = uniforms(ids, self._settings.salt)
        arm = draw_many(chance, which, draws)
        propensity = chance[which, arm]
        decisions = Decisions(
            id=np.array(ids, dtype=np.str_),
            arm=arm.astype(np.int32),
            propensity=propensity,
            cell=cells.astype(np.int32),
            time=times,
            state_version=self._chooser.version,
            arms=self._roster.names,
            bandit=self._settings.name,
            policy=self.policy.name,
        )
        self._counter += n
        self._journal.ledger.append(
            ids,
            arm=arm,
            cell=cells,
            rank=np.zeros(n, dtype=np.int64),
            time=times,
            propensity=propensity,
            origin=0,
            features=vectors,
        )
        return decisions

    def probabilities(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, float]:
        """Return the probability with which each eligible arm would be chosen first."""
        return {
            name: view.probability
            for name, view in self.describe(
                context, arms=arms, features=features, time=time
            ).items()
        }

    def describe(
        self,
        context: ContextLike | None = None,
        *,
        arms: Sequence[str] | None = None,
        features: FloatArray | None = None,
        time: Instant | None = None,
    ) -> dict[str, ArmView]:
        """Return probability, confidence, mean and 95 % interval of each eligible arm."""
        eligible = self._roster.eligible(arms, 1)
        vector = self._vectors(None if features is None else np.asarray(features)[None], 1)
        weights = self._chooser.weights(
            self._believe(self._now(time)), self.context.cell(context), eligible, vector
        )
        columns = (weights.chance, weights.best, weights.mean, weights.low, weights.high)
        return {
            self._roster.names[arm]: ArmView(*(float(column[arm]) for column in columns))
            for arm in np.flatnonzero(eligible).tolist()
        }

    def imbalance(self, *, limit: float = 0.7, alpha: float = 0.01) -> tuple[ArmShare, ...]:
        """Return every arm's share of the logged picks, with an alarm above `limit`.

        See `siamrec.bandits.imbalance` for the test behind the alarm.
        """
        names = self._roster.names
        counts = np.bincount(self._journal.ledger.column("arm"), minlength=len(names))
        return imbalance(names, counts, limit=limit, alpha=alpha)

    def performance(self, factor: str | None = None) -> dict[tuple[str, str], ArmPerformance]:
        """Return what each arm has earned in the log, for each level of a context factor.

        Choices are weighed by their inverse propensities, so that a mean is what the arm would
        have earned on all of the level's traffic.

        Args:
            factor: Name of a factor; the whole traffic, as level "", when absent.

        Raises:
            UnknownNameError: If there is no such factor.
        """
        ledger = self._journal.ledger
        rows = ledger.rewarded()
        outcomes = ledger.outcomes(rows)
        if factor is None:
            labels: tuple[str, ...] = ("",)
            level = np.zeros(rows.size, dtype=np.int64)
        else:
            level = self.context.level_of(factor, outcomes.cell)
            labels = self.context.factors[self.context.names.index(factor)].labels
        names = self._roster.names
        return {
            (labels[code], names[arm]): found
            for (code, arm), found in performance(
                level, outcomes, within=self.policy.reward_range
            ).items()
        }

    def delay_curve(self, *, time: Instant | None = None) -> DelayCurve:
        """Return how long successes take to be seen, estimated from the log.

        Picks that still wait count as long as they have waited, failures as never. To use it,
        make a bandit with `delay=curve` and merge this one's snapshot into it.

        Args:
            time: Instant up to which picks have been watched; the clock's when absent.

        Raises:
            InvalidDataError: If no success has been seen.
        """
        ledger, now = self._journal.ledger, self._now(time)
        done = ledger.rewarded()
        success = np.zeros(ledger.n_rows, dtype=np.bool_)
        success[done] = ledger.column("reward")[done] > 0
        waited = now - ledger.column("time")
        waited[done] = np.iinfo(np.int64).max
        waited[success] = (ledger.column("reward_time") - ledger.column("time"))[success]
        return DelayCurve.estimate(np.maximum(waited, 0), success)

    def plot(
        self, context: ContextLike | None = None, *, features: FloatArray | None = None
    ) -> Any:
        """Return a plotly figure of every arm in a context; needs the extra `plots`.

        Raises:
            MissingExtraError: If plotly is not installed.
        """
        view = self.describe(context, features=features)
        rows = [
            (f"{name} (chosen {arm.probability:.0%})", arm.mean, arm.low, arm.high)
            for name, arm in view.items()
        ]
        title = f"{self.policy.name}: {dict(context or {})}"
        return intervals({"arms": rows}, axis="expected reward with 95 % interval", title=title)
