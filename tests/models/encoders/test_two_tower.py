"""Two towers: the contract, one vector by hand, items that nobody has met, and folders."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typing_extensions import override

from siamrec.data import Catalog, Feedback, Vocabulary
from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError
from siamrec.models import HashingEncoder, TwoTowerEncoder, TwoTowerTraining
from siamrec.models.encoders import Tower
from siamrec.models.encoders._features import Features
from siamrec.testing.encoders import TEXTS, EncoderContract

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.protocols import SiameseEncoder

THEMES = ("war", "love", "space", "food")
N_ITEMS, N_USERS, N_COLD = 80, 60, 16
QUICK = TwoTowerTraining(dim=16, hidden=16, epochs=60, batch_size=128, seed=1)


def catalog() -> Catalog:
    rng = np.random.default_rng(0)
    return Catalog(
        items=Vocabulary(tuple(range(N_ITEMS))),
        text=tuple(f"{THEMES[k % 4]} film {k}" for k in range(N_ITEMS)),
        attributes={
            "genres": [(THEMES[k % 4], "film") for k in range(N_ITEMS)],
            "year": [None if k == 3 else 1950.0 + rng.integers(70) for k in range(N_ITEMS)],
            "one": [7] * N_ITEMS,
        },
    )


def feedback() -> Feedback:
    """Users like one theme; the last items are met by nobody."""
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(N_USERS), 20)
    item = np.concatenate(
        [rng.choice(N_ITEMS - N_COLD, 20, replace=False) for _ in range(N_USERS)]
    )
    return Feedback.of(user=user, item=item, value=np.where(item % 4 == user % 4, 5.0, 1.0))


@pytest.fixture(scope="module")
def towers() -> TwoTowerEncoder:
    return QUICK.fit(feedback(), catalog())


class TestTwoTower(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        rng = np.random.default_rng(0)

        def tower() -> Tower:
            table = rng.normal(size=(len(TEXTS), 4)).astype(np.float32)
            parameters = {
                "weight": np.zeros((0, 4), np.float32),
                "bias": np.ones(4, np.float32),
                "inner": np.zeros((2, 4), np.float32),
                "inner_bias": np.zeros(2, np.float32),
                "outer": np.zeros((4, 2), np.float32),
            }
            inputs = np.zeros((len(TEXTS), 0), np.float32)
            return Tower(Vocabulary(TEXTS), table, inputs, parameters)

        return TwoTowerEncoder(tower(), tower(), Features((), ()))


def test_a_vector_by_hand() -> None:
    tower = Tower(
        Vocabulary(("a",)),
        np.array([[3.0, 0.0]], np.float32),
        np.array([[2.0]], np.float32),
        {
            "weight": np.array([[0.0, 1.0]], np.float32),
            "bias": np.array([0.0, 1.0], np.float32),
            "inner": np.array([[1.0, 0.0]], np.float32),
            "inner_bias": np.array([-1.0], np.float32),
            "outer": np.array([[0.0], [0.5]], np.float32),
        },
    )
    # a: x = (3, 0 + 2 + 1) = (3, 3), bent part max(0, 3 - 1) * (0, 0.5) = (0, 1), y = (3, 4) / 5
    # stranger: x = (0, 1), bent part max(0, -1) = 0
    np.testing.assert_allclose(tower.vectors(["a", "?"]), [[0.6, 0.8], [0.0, 1.0]], atol=1e-6)


def test_users_find_their_theme_also_among_items_that_nobody_has_met(
    towers: TwoTowerEncoder,
) -> None:
    users = towers.encode([str(u) for u in range(N_USERS)], kind="query")
    for low, high in ((0, N_ITEMS - N_COLD), (N_ITEMS - N_COLD, N_ITEMS)):
        items = towers.encode([str(i) for i in range(low, high)])
        best = low + np.argsort(-users @ items.T, axis=1)[:, :3]
        right = (best % 4 == np.arange(N_USERS)[:, None] % 4).mean()
        assert right > 0.9, "chance is a quarter"


def test_same_seed_same_towers(towers: TwoTowerEncoder) -> None:
    assert QUICK.fit(feedback(), catalog()).fingerprint == towers.fingerprint
    assert replace(QUICK, seed=2).fit(feedback(), catalog()).fingerprint != towers.fingerprint


def test_items_of_tomorrow_are_known_by_their_features(towers: TwoTowerEncoder) -> None:
    tomorrow = Catalog(
        items=Vocabulary((0, "new war", "new love")),
        attributes={"genres": [("love",), ("war", "film"), ("love", "film")]},
    )
    more = towers.with_items(tomorrow)
    np.testing.assert_array_equal(more.encode(["0"]), towers.encode(["0"]))
    users = towers.encode(["0", "1"], kind="query")  # one likes war, the other love
    scores = users @ more.encode(["new war", "new love"]).T
    assert scores[0, 0] > scores[0, 1]
    assert scores[1, 1] > scores[1, 0]
    assert more.fingerprint != towers.fingerprint


def test_users_have_features_too() -> None:
    liked = feedback()
    people = Catalog(
        items=Vocabulary(tuple(range(N_USERS + 4))),
        attributes={"taste": [THEMES[u % 4] for u in range(N_USERS + 4)]},
    )
    towers = QUICK.fit(liked, catalog(), users=people, text=HashingEncoder(dim=8))
    strangers = towers.encode([str(N_USERS + k) for k in range(4)], kind="query")
    items = towers.encode([str(i) for i in range(N_ITEMS)])
    best = np.argsort(-strangers @ items.T, axis=1)[:, :5]
    assert (best % 4 == (N_USERS + np.arange(4))[:, None] % 4).mean() > 0.9
    assert towers.columns.width == towers.items.inputs.shape[1] == 5 + 1 + 8


def test_columns_by_hand() -> None:
    table = Catalog(
        items=Vocabulary(("a", "b", "c")),
        attributes={"g": [("x", "y"), ("x",), None], "n": [1.0, 3.0, None], "same": [2, 2, 2]},
    )
    columns = Features.of(table, text=None, least=1)
    assert columns.words == (("g", "x"), ("g", "y"))
    assert columns.numbers == (("n", 2.0, 1.0),)
    half = 0.5**0.5
    np.testing.assert_allclose(
        columns.read(table), [[half, half, -1], [1, 0, 1], [0, 0, 0]], atol=1e-6
    )


def test_a_folder_gives_them_back(tmp_path: Path, towers: TwoTowerEncoder) -> None:
    towers.save(tmp_path)
    again = TwoTowerEncoder.load(tmp_path)
    assert again.fingerprint == towers.fingerprint
    np.testing.assert_array_equal(again.encode(["1", "?"]), towers.encode(["1", "?"]))
    with pytest.raises(ModelLoadError, match="read by another encoder"):
        TwoTowerEncoder.load(tmp_path, text=HashingEncoder())
    with pytest.raises(ModelLoadError, match="must hold two saved towers"):
        TwoTowerEncoder.load(tmp_path / "nothing")


def test_bad_input_is_clear() -> None:
    with pytest.raises(InvalidDataError, match="ratings of at least 6.0, thumbs up"):
        TwoTowerTraining(positive=6.0).fit(feedback(), catalog())
    with pytest.raises(InvalidParameterError, match="hide"):
        TwoTowerTraining(hide=1.5)
