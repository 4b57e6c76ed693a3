"""Every arm can be copied and sent to another process, and ranks there as here."""

from __future__ import annotations

import copy
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
from tests.models.every_arm import NAMES, make

from siamrec.testing.recommenders import small_catalog, small_feedback


@pytest.mark.parametrize("name", NAMES)
def test_copies_rank_alike(name: str) -> None:
    arm = make(name).fit(small_feedback(), catalog=small_catalog())
    users = ["u3", "u8"]
    expected = arm.recommend(users, k=5)
    sent = ForkingPickler.loads(ForkingPickler.dumps(arm))
    for other in (copy.copy(arm), copy.deepcopy(arm), sent):
        found = other.recommend(users, k=5)
        np.testing.assert_array_equal(found.item, expected.item)
        np.testing.assert_array_equal(found.score, expected.score)
