"""Neural rating arms: the fitted values compute what the networks compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from siamrec.data import Feedback
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingCapabilityError
from siamrec.models.recommenders import AttentionMF, BiasModel, MultiTaskMF, NeuMF
from siamrec.models.recommenders._deep_nets import AttentionNet, NeuMFNet
from siamrec.testing.recommenders import RecommenderContract, small_feedback

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.models.recommenders import FittedRecommender, RecommenderRecipe


class DeepContract(RecommenderContract):
    recipe: Any

    @override
    def make(self) -> RecommenderRecipe:
        made: RecommenderRecipe = self.recipe
        return made

    @override
    def load(self, path: Path) -> FittedRecommender:
        loaded: FittedRecommender = type(self.recipe).load(path)
        return loaded


class TestNeuMF(DeepContract):
    recipe = NeuMF(factors=4, hidden=6, epochs=2, batch_size=64)


class TestAttentionMF(DeepContract):
    recipe = AttentionMF(factors=4, hidden=6, epochs=2, batch_size=8)


class TestMultiTaskMF(DeepContract):
    recipe = MultiTaskMF(factors=4, epochs=2, batch_size=16)


def tensors(arm: Any) -> dict[str, torch.Tensor]:
    return {name[4:]: torch.as_tensor(array) for name, array in arm._net.items()}


def test_neumf_answers_as_its_network() -> None:
    arm = TestNeuMF.recipe.fit(small_feedback())
    net = NeuMFNet((30, 24), arm.recipe).eval()
    net.load_state_dict(tensors(arm))
    user, item = np.array([3, 3, 7]), np.array([0, 9, 9])
    with torch.no_grad():
        expected = net(torch.as_tensor(user), torch.as_tensor(item)).numpy()
    np.testing.assert_allclose(arm._lift(user, item), expected, atol=1e-6)


def test_attention_answers_as_its_network_and_never_reads_the_item_itself() -> None:
    arm = TestAttentionMF.recipe.fit(small_feedback())
    net = AttentionNet(24, arm.recipe).eval()
    net.load_state_dict(tensors(arm))
    item = np.array([2, 5, 11, 17])
    error = np.array([0.5, -1.0, 2.0, 0.1], dtype=np.float32)
    there = torch.ones(1, 4, dtype=torch.bool)
    with torch.no_grad():
        expected = net(torch.as_tensor(item)[None], torch.as_tensor(error)[None], there)[0]
    np.testing.assert_allclose(arm._lift(item, error)[item], expected.numpy(), atol=1e-5)
    changed = error.copy()
    changed[2] = -9.0
    np.testing.assert_allclose(arm._lift(item, changed)[11], arm._lift(item, error)[11], atol=1e-6)
    alone = arm._lift(item[:1], error[:1])
    with torch.no_grad():
        one = net(torch.tensor([[2]]), torch.tensor([[0.5]]), torch.ones(1, 1, dtype=torch.bool))
    assert alone[2] == pytest.approx(float(one), abs=1e-6)


def taste() -> Feedback:
    """Forty people of two tastes: each likes one half of the items and dislikes the other."""
    rng = np.random.default_rng(0)
    user, item, value = [], [], []
    for person in range(40):
        for code in rng.permutation(16)[:10].tolist():
            user.append(person)
            item.append(code)
            value.append(5 if (code < 8) == (person % 2 == 0) else 1)
    return Feedback.of(user=user, item=item, value=value, time=np.arange(len(user)))


@pytest.mark.parametrize(
    "recipe",
    [
        NeuMF(factors=4, hidden=8, epochs=80, learning_rate=0.02, weight_decay=0.01, patience=20),
        AttentionMF(factors=8, epochs=80, learning_rate=0.02, weight_decay=0.01, patience=20),
        MultiTaskMF(factors=8, positive=4.0, epochs=80, learning_rate=0.02, validation=0),
    ],
)
def test_tastes_are_learned(recipe: Any) -> None:
    feedback = taste()
    arm, bias = recipe.fit(feedback), BiasModel().fit(feedback)
    pairs = [(user, item) for user in range(40) for item in range(16)]
    truth = np.array([5 if (i < 8) == (u % 2 == 0) else 1 for u, i in pairs])
    users, items = [u for u, _ in pairs], [i for _, i in pairs]
    error = [np.sqrt(((a.predict(users, items) - truth) ** 2).mean()) for a in (arm, bias)]
    assert error[0] < 0.5 * error[1]


def test_multi_task_ranks_by_one_head_and_rates_by_another() -> None:
    recipe = MultiTaskMF(factors=8, positive=4.0, epochs=80, learning_rate=0.02, validation=0)
    arm = recipe.fit(taste())
    lists = arm.recommend(list(range(40)), k=3, exclude_seen=False).lists()
    own = [(item < 8) == (user % 2 == 0) for user, items in lists.items() for item in items]
    assert np.mean(own) > 0.95
    assert arm.task_weight.shape == (3,)
    assert (arm.task_weight > 0).all()


def test_who_is_unknown_gets_the_biases_or_a_refusal() -> None:
    feedback = small_feedback()
    bias = BiasModel().fit(feedback)
    for recipe in (TestNeuMF.recipe, TestMultiTaskMF.recipe):
        arm = recipe.fit(feedback)
        found = arm.predict(["nobody"], ["i3"], unknown="fallback")
        np.testing.assert_allclose(found, bias.predict(["nobody"], ["i3"], unknown="fallback"))
        with pytest.raises(MissingCapabilityError, match="COLD_USER"):
            arm.recommend_for_history([["i1"]])


def test_settings_are_checked() -> None:
    with pytest.raises(InvalidParameterError, match="hidden must be a whole number of at least 2"):
        NeuMF(hidden=1)
    with pytest.raises(InvalidParameterError, match="length must be a whole number of at least 2"):
        AttentionMF(length=1)
    with pytest.raises(InvalidDataError, match="MultiTaskMF needs at least one liked item"):
        MultiTaskMF(positive=9.0).fit(small_feedback())
    for recipe in (NeuMF(), AttentionMF(), MultiTaskMF()):
        with pytest.raises(InvalidDataError, match="needs at least one rating"):
            recipe.fit(Feedback.of(user=[], item=[]))
