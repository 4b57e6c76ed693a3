"""Reward models for the direct method and the doubly robust family, fitted across folds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from typing_extensions import override

from siamrec._core import check

if TYPE_CHECKING:
    from siamrec.bandits.ope.log import Log
    from siamrec.typing import FloatArray


class RewardModel(ABC):
    """Predicts the reward of every action in every row."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    @abstractmethod
    def predict(self, train: Log, weight: FloatArray, test: Log) -> FloatArray:
        """Fit to `train` with a weight per row and predict for `test`: `(n_test, n_actions)`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Ridge(RewardModel):
    """Ridge regression of the reward on the features, with coefficients for each action.

    An action's coefficients are drawn to those of all actions together, so that an action seen
    rarely is predicted by the average one. Without features it is a shrunken mean per action.
    Rewards are taken from their mean, so that adding a constant to all of them adds it to the
    predictions, and a constant reward is predicted exactly.

    Args:
        strength: Pseudo-rows that pull an action towards the average one, above 0.

    Raises:
        InvalidParameterError: If the strength is not above 0.
    """

    strength: float = 5.0

    def __post_init__(self) -> None:
        check.positive("strength", self.strength)

    @override
    def predict(self, train: Log, weight: FloatArray, test: Log) -> FloatArray:
        rows, wanted = _design(train), _design(test)
        penalty = self.strength * np.eye(rows.shape[1])
        weighed = rows * weight[:, None]
        centre = train.reward.mean()
        centred = train.reward - centre
        common = np.linalg.solve(rows.T @ weighed + penalty, weighed.T @ centred)
        rest = centred - rows @ common
        prediction = np.empty((len(test), train.n_actions or 0))
        for action in range(prediction.shape[1]):  # actions, not rows
            own = train.action == action
            top = weighed[own].T @ rest[own]
            shift = np.linalg.solve(rows[own].T @ weighed[own] + penalty, top)
            prediction[:, action] = centre + wanted @ (common + shift)
        return prediction


def _design(log: Log) -> FloatArray:
    ones = np.ones((len(log), 1))
    return ones if log.features is None else np.hstack([ones, log.features])


def cross_fitted(model: RewardModel, log: Log, weight: FloatArray, *, n_folds: int) -> FloatArray:
    """Return predictions for each row by a model that has not seen the row.

    Folds are taken in turn (row i is in fold i mod n_folds), so that the result is a function
    of the log alone.

    Args:
        model: The reward model.
        log: The log.
        weight: Weight of each row in the fit.
        n_folds: Number of folds; 1 to fit and predict on the same rows.
    """
    n = len(log)
    folds = np.arange(n) % min(n_folds, n)
    if n_folds == 1:
        return model.predict(log, weight, log)
    prediction = np.empty((n, log.n_actions or 0))
    for fold in range(int(folds.max()) + 1):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        prediction[test] = model.predict(log.rows(train), weight[train], log.rows(test))
    return prediction
