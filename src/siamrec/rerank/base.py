"""What the steps of a pipeline are: adjusters of scores, and selectors of lists."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from siamrec._core.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping

    from siamrec.rerank.candidates import Candidates
    from siamrec.typing import FloatArray, IntArray


class Adjuster(Recipe, ABC):
    """A recipe that moves the scores of candidates, one by one and for all users at once.

    A leaf is a `@final` frozen dataclass; `name` labels its part of the score in explanations.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: ClassVar[str]
    """What its part of a score is called."""

    @abstractmethod
    def shift(self, candidates: Candidates, score: FloatArray) -> FloatArray:
        """Return what to add to the score of each place, shape `(n_places,)`.

        Args:
            candidates: All places, with what is known of their items.
            score: Scores so far, normalised for each user, shape `(n_places,)`.
        """


class Selector(Recipe, ABC):
    """A recipe that picks a list from each user's candidates, place after place.

    A leaf is a `@final` frozen dataclass. Equal candidates are told apart by higher score, then
    by earlier place, so results do not depend on the machine.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}

    name: ClassVar[str]
    """What its gain is called in explanations."""

    @abstractmethod
    def select(
        self, candidates: Candidates, score: FloatArray, k: int
    ) -> tuple[IntArray, FloatArray]:
        """Return the places chosen for all users and the gain of each when it was chosen.

        Args:
            candidates: All places, with what is known of their items.
            score: Adjusted scores, shape `(n_places,)`.
            k: Length of the lists; shorter for users with fewer candidates.

        Returns:
            Places in order of user, then of choice, and as many gains.
        """
