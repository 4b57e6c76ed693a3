"""Somebody's history, and what an arm makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

import numpy as np
from scipy import sparse

from siamrec.lifecycle._draft import Pool
from siamrec.models.recommenders import Capability, Histories

if TYPE_CHECKING:
    from siamrec.data import Feedback, Vocabulary
    from siamrec.models.recommenders import FittedRecommender
    from siamrec.typing import BoolArray, Id, IntArray


@final
@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's history over the items of a release."""

    histories: Histories
    items: Vocabulary
    user: Id | None
    feedback: Feedback | None
    query: str | None = None
    """What the person searches for; arms that answer queries rank by it alone."""
    _among: dict[int, Histories] = field(default_factory=dict)
    """The history over the first items alone, by their number: several arms ask for the same."""

    @classmethod
    def of(cls, feedback: Feedback | None, items: Vocabulary) -> Person:
        """Return somebody by what they did; None for nobody, or for somebody new."""
        if feedback is None:
            nothing = sparse.csr_array((1, len(items)), dtype=np.float32)
            return cls(Histories(nothing), items, None, None)
        user = feedback.users[0]
        return cls(Histories.of(feedback, feedback.users, items), items, user, feedback)

    @property
    def met(self) -> list[Id]:
        """Items of the history."""
        return [] if self.feedback is None else list(self.feedback.items.ids)

    def histories_of(self, arm: FittedRecommender, places: IntArray | None) -> Histories:
        """Return the history over the items of an arm.

        Args:
            arm: The arm.
            places: Code of the release of each item of the arm; None where they are its first.
        """
        n_items = len(arm.items)
        if places is None and n_items not in self._among:
            self._among[n_items] = self.histories.among(n_items)
        if places is None:
            histories = self._among[n_items]
        elif self.feedback is None:
            histories = Histories(sparse.csr_array((1, len(arm.items)), dtype=np.float32))
        else:
            histories = Histories.of(self.feedback, self.feedback.users, arm.items)
        if self.user is not None:
            code = arm.users.encode([self.user], unknown="code")
            if code[0] >= 0:
                histories = replace(histories, user=code)
        return histories

    def ranked(
        self,
        arm: FittedRecommender,
        places: IntArray | None,
        known: BoolArray,
        k: int,
    ) -> Pool:
        """Return the best items of an arm, as codes of the release.

        Args:
            arm: The arm.
            places: Code of the release of each item of the arm; None where they are its first.
            known: Which items of the release may be shown; what was met is no exception.
            k: Most items.
        """
        n_items = len(arm.items)
        allowed = (
            known[:n_items] if places is None else np.where(places >= 0, known[places], False)
        )
        if self.query is not None and Capability.QUERY in arm.capabilities:
            item, score = arm.best_for_query(self.query, k=k, allowed=allowed)
            return Pool(item if places is None else places[item], score)
        histories = self.histories_of(arm, places)
        item, score = arm.best(histories, k=k, allowed=allowed, exclude_seen=False)
        return Pool(item if places is None else places[item], score)
