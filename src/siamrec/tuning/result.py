"""What a search has found: the winner, what it is worth on unseen events, and every trial."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, final

import numpy as np
from typing_extensions import TypeVar, override

from siamrec._core.table import Shown, Table, counted, line
from siamrec.figures import panels
from siamrec.models.recommenders import RecommenderRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec import metrics
    from siamrec.metrics.comparison import PairedComparison
    from siamrec.tuning.study import Trial

__all__ = ["Tuned"]

RecipeT = TypeVar("RecipeT", bound=RecommenderRecipe, default=RecommenderRecipe)
_GAP = 60


@final
@dataclass(frozen=True, slots=True, repr=False)
class Tuned(Shown, Generic[RecipeT]):
    """The outcome of `tune`.

    Attributes:
        recipe: The winner, to be fitted to all feedback.
        settings: Its settings within the searched space.
        chosen: The trial it comes from.
        metric: Name of the metric.
        maximise: Whether higher is better.
        test: The metric of the winner on the test events, which no trial has seen.
        gain: The winner against the settings that the recipe had, on the same test users.
        trials: Every trial in the order of the study.
    """

    recipe: RecipeT
    settings: dict[str, Any]
    chosen: Trial
    metric: str
    maximise: bool
    test: metrics.Estimate
    gain: PairedComparison
    trials: tuple[Trial, ...]

    @override
    def title(self) -> str:
        told = ", ".join(f"{name}={line(value)}" for name, value in self.settings.items())
        trials = counted(len(self.trials), "trial")
        return f"Tuned {type(self.recipe).__name__} by {self.metric} in {trials}: {told}"

    @property
    def improved(self) -> bool:
        """Whether the interval of the gain over the given settings excludes 0."""
        return self.gain.low > 0 if self.maximise else self.gain.high < 0

    @override
    def table(self) -> Table:
        """Return one row for each trial: result, best so far, and its settings."""
        names = tuple(dict.fromkeys(name for trial in self.trials for name in trial.settings))
        rows = tuple(
            (
                *(trial.number, trial.state, trial.value, trial.error, best),
                *(trial.seconds, trial.repeats, trial.reason or None),
                *(trial.settings.get(name) for name in names),
            )
            for trial, best in zip(self.trials, self._best_so_far(), strict=True)
        )
        notes = (f"on the test events: {self.test.title()}", f"gain: {self.gain.title()}")
        head = ("trial", "state", self.metric, "error", "best so far", "seconds", "repeats")
        told = tuple(f"{name} of the arm" if name in {*head, "reason"} else name for name in names)
        return Table(head=(*head, "reason", *told), rows=rows, title=self.title(), notes=notes)

    def _best_so_far(self) -> Sequence[float]:
        worst = -math.inf if self.maximise else math.inf
        values = [t.value if t.state == "complete" else worst for t in self.trials]
        best = np.maximum.accumulate if self.maximise else np.minimum.accumulate
        so_far: list[float] = best(np.array(values)).tolist() if values else []
        return so_far

    def plot(self) -> Any:
        """Return a plotly figure: the search over time, and the metric against each setting.

        Raises:
            siamrec.errors.MissingExtraError: If plotly is not installed.
        """
        done = [trial for trial in self.trials if trial.state == "complete"]
        value = [trial.value for trial in done]
        drawn: list[tuple[str, list[Any], Sequence[float], str]] = [
            ("trial", [trial.number for trial in done], value, "markers"),
            ("trial", [trial.number for trial in self.trials], self._best_so_far(), "steps"),
        ]
        names = sorted({name for trial in done for name in trial.settings})
        scale = {}
        for place, name in enumerate(names, 2):
            at = [trial.settings.get(name) for trial in done]
            known = [each for each in at if isinstance(each, int | float)]
            whole = len(known) == len(at)
            if whole and min(known) > 0 and max(known) > _GAP * min(known):
                scale[place] = "log"
            drawn.append((name, at if whole else [str(each) for each in at], value, "markers"))
        figure = panels(drawn, y=self.metric, beside=True)
        for place, kind in scale.items():
            figure.update_xaxes(type=kind, row=1, col=place)
        return figure
