"""Which arms there are, and which may be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from siamrec._core import check
from siamrec.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.bandits.limits import Limits
    from siamrec.typing import BoolArray


LONGEST_NAME = 200
"""Letters of the name of an arm or a bandit, at most."""


@final
class Roster:
    """Named arms in order of arrival; an arm keeps its code for ever. Mutable.

    Args:
        names: Distinct names.
        limits: Whose floor must leave room for all of them.
    """

    def __init__(self, names: Sequence[str], limits: Limits) -> None:
        self.names: tuple[str, ...] = ()
        self.codes: dict[str, int] = {}
        self.retired: frozenset[int] = frozenset()
        self.disabled: frozenset[int] = frozenset()
        self._limits = limits
        listed = check.distinct("arms", check.many("arms", names, what="names"))
        for each in listed:
            check.text("arm", each, longest=LONGEST_NAME)
        limits.fit(len(listed))
        self._become(listed)

    @property
    def active(self) -> tuple[str, ...]:
        """Names of the arms that are not retired."""
        return tuple(name for code, name in enumerate(self.names) if code not in self.retired)

    def code(self, name: str) -> int:
        """Return the code of an arm.

        Raises:
            UnknownNameError: If there is no such arm.
        """
        return self.codes[check.one_of("arm", name, self.codes)]

    def eligible(self, names: Sequence[str] | None, least: int) -> BoolArray:
        """Return which arms may be chosen, `(n_arms,)`.

        Args:
            names: Those asked for; all when absent.
            least: How many there must be.

        Raises:
            InvalidParameterError: If there are fewer.
            UnknownNameError: If an arm is not known.
        """
        mask = np.ones(len(self.names), dtype=np.bool_)
        if names is not None:
            mask[:] = False
            mask[[self.code(name) for name in check.many("arms", names, what="names")]] = True
        closed = self.retired | self.disabled
        if closed:
            mask[list(closed)] = False
        if mask.sum() < least:
            raise InvalidParameterError(
                "n", least, f"at most the number of eligible arms, {int(mask.sum())}"
            )
        return mask

    def add(self, name: str) -> bool:
        """Add an arm or bring a retired one back; tell whether the code is new.

        Raises:
            InvalidParameterError: If it is there already, or the floor leaves no room.
        """
        check.text("arm", name, longest=LONGEST_NAME)
        if name in self.active:
            raise InvalidParameterError("arm", name, "a new name")
        self._limits.fit(len(self.active) + 1)
        if name in self.codes:
            self.retired -= {self.codes[name]}
            return False
        self._become((*self.names, name))
        return True

    def retire(self, name: str) -> None:
        """Take an arm out of the choice for good.

        Raises:
            InvalidParameterError: If it is the last one.
            UnknownNameError: If there is no such arm.
        """
        code = self.code(name)
        if self.active == (name,):
            raise InvalidParameterError("arm", name, "not the last arm")
        self.retired |= {code}

    def _become(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.codes = {name: code for code, name in enumerate(names)}
