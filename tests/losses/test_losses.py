"""Every loss: the contract, one hand-computed answer, and the plain trainer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from typing_extensions import override

from siamrec.data import Pairs, Vocabulary
from siamrec.errors import (
    InvalidDataError,
    InvalidParameterError,
    MissingInputError,
    UnknownNameError,
)
from siamrec.losses import (
    LOSSES,
    Anchored,
    BradleyTerry,
    Distilled,
    FeedbackInfoNCE,
    GradCached,
    KnownPositives,
    ListwiseRating,
    MultiTask,
    QueuedInfoNCE,
    ReferencePreference,
    Side,
    WeightedContrastive,
    WeightedCoSENT,
    WeightedCosine,
    WeightedTriplet,
    build_loss,
)
from siamrec.losses._embedding import embedded
from siamrec.losses.theirs import THEIRS
from siamrec.models.training.strategies.dataset import text_set, training_set
from siamrec.testing.losses import LossContract, total
from siamrec.testing.tiny import tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from siamrec.losses import EmbeddingLoss


class TestFeedbackInfoNCE(LossContract):
    row_twice = False
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return FeedbackInfoNCE(scale=5.0)


class TestDebiased(LossContract):
    row_twice = False
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return FeedbackInfoNCE(scale=2.0, debias=0.1)


class TestWithNegatives(LossContract):
    columns = 4
    row_twice = False
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return FeedbackInfoNCE(scale=5.0)


class TestQueued(LossContract):
    row_twice = False
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return QueuedInfoNCE(size=8, scale=5.0)


class TestCosine(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        return WeightedCosine()


class TestCoSENT(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        return WeightedCoSENT(scale=5.0)


class TestContrastive(LossContract):
    @override
    def make(self) -> EmbeddingLoss:
        return WeightedContrastive(margin=1.0)


class TestListwise(LossContract):
    nearest = False  # it asks for shares

    @override
    def make(self) -> EmbeddingLoss:
        return ListwiseRating(scale=3.0)


class TestTriplet(LossContract):
    columns = 3
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return WeightedTriplet(margin=2.0)


class TestBradleyTerry(LossContract):
    columns = 4
    labelled = False

    @override
    def make(self) -> EmbeddingLoss:
        return BradleyTerry(beta=2.0)


class TestReferencePreference(LossContract):
    columns = 3

    @override
    def make(self) -> EmbeddingLoss:
        return ReferencePreference(beta=2.0)


X, Y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def value(loss: EmbeddingLoss, columns: list[torch.Tensor], labels: Any = None) -> float:
    return float(total(loss.compute_loss_from_embeddings(columns, labels)).detach())


def test_hand_computed_answers() -> None:
    assert value(WeightedContrastive(margin=1.5), [X, Y], torch.tensor([0.0])) == pytest.approx(
        0.5 * 0.5**2
    )
    assert value(WeightedTriplet(margin=0.2), [X, Y, X]) == pytest.approx(1.2)
    assert value(BradleyTerry(beta=2.0), [X, X, Y]) == pytest.approx(math.log(1 + math.exp(-2)))
    both = [torch.cat([X, X]), torch.cat([X, Y])]
    wrong = torch.tensor([0.0, 1.0])
    assert value(WeightedCoSENT(scale=1.0), both, wrong) == pytest.approx(math.log(1 + math.e))
    right = torch.tensor([1.0, 0.0])
    # Ratings 1, 0 and cosines 1, 0 at scale 1: the distributions are the same.
    assert value(ListwiseRating(scale=1.0), both, right) == pytest.approx(0.0, abs=1e-7)


def test_what_the_base_already_tells_apart_pulls_no_more() -> None:
    rows = torch.tensor([[1.0, 1.0], [0.0, 1.0]])  # value (the base's gap), weight
    columns = [torch.cat([X, X]), torch.cat([X, X]), torch.cat([Y, Y])]
    loss = ReferencePreference(beta=2.0)
    alone = [
        value(loss, [column[k : k + 1] for column in columns], rows[k : k + 1]) for k in (0, 1)
    ]
    assert alone[0] == pytest.approx(math.log(2))  # nothing beyond the base
    assert alone[1] == pytest.approx(math.log(1 + math.exp(-2)))


def test_known_positives_are_no_rivals() -> None:
    """Three anchors, the third candidate is liked by the first anchor's user."""
    likes = KnownPositives(np.array([0]), np.array([5]), n_texts=6)
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randn(3, 4, generator=generator) for _ in range(2)]
    rows = torch.tensor([[1, 1, 0, 0, 3], [1, 1, 1, 1, 4], [1, 1, 2, 2, 5]], dtype=torch.float32)
    masked = value(FeedbackInfoNCE(likes=likes), columns, rows)
    plain = value(FeedbackInfoNCE(), columns, rows)
    assert masked < plain
    same_text = rows.clone()
    same_text[2, 4] = 3  # the third row's positive is the first row's text
    assert value(FeedbackInfoNCE(), columns, same_text) < plain


def test_own_negatives_stay_negatives_whatever_is_known() -> None:
    likes = KnownPositives(np.array([0]), np.array([2]), n_texts=3)
    rows = torch.tensor([[1, 1, 0, 0, 1, 2]], dtype=torch.float32)
    columns = [X, X, X]
    assert value(FeedbackInfoNCE(likes=likes), columns, rows) == pytest.approx(math.log(2))


def test_a_copy_of_the_positive_fills_a_place_and_is_no_rival() -> None:
    rows = torch.tensor([[1, 1, 0, 0, 1, 1]], dtype=torch.float32)
    assert value(FeedbackInfoNCE(), [X, Y, Y], rows) == 0.0


def test_equals_mnrl_of_sentence_transformers() -> None:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = tiny_model(["a b c d e f"])
    texts = [["a b", "c d", "e f"], ["b c", "d e", "f a"]]
    outcomes = []
    for loss in (FeedbackInfoNCE(model, scale=20.0), MultipleNegativesRankingLoss(model)):
        model.eval().zero_grad()
        found = loss([model.preprocess(column) for column in texts], torch.ones(3))
        torch.autograd.backward(found)
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        outcomes.append((found.detach(), grads))
    torch.testing.assert_close(outcomes[0][0], outcomes[1][0], rtol=1e-6, atol=0)
    for ours, theirs in zip(outcomes[0][1], outcomes[1][1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dropout", [False, True])
def test_grad_cached_equals_the_loss_itself(dropout: bool) -> None:  # noqa: FBT001
    model = tiny_model(["a b c d e f g h"])
    texts = [["a b", "c d e", "e f", "g", "h a"], ["b c", "d e", "f a h", "h g", "a a"]]
    model.train(dropout)
    inner = FeedbackInfoNCE(model)
    outcomes = []
    for loss in (inner, GradCached(inner, mini_batch_size=2)):
        torch.manual_seed(0)
        model.zero_grad()
        found = total(loss([model.preprocess(column) for column in texts], torch.ones(5)))
        torch.autograd.backward(found)
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        outcomes.append((float(found.detach()), grads))
    if not dropout:  # with dropout, pieces draw other masks than one whole batch
        assert outcomes[0][0] == pytest.approx(outcomes[1][0], rel=1e-5)
        for one, other in zip(outcomes[0][1], outcomes[1][1], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert all(torch.isfinite(grad).all() for grad in outcomes[1][1])


def test_queue_adds_rivals_and_forgets_copies_of_the_positive() -> None:
    loss = QueuedInfoNCE(size=4, scale=1.0)
    first = value(loss, [X, X])
    assert first == 0.0
    assert value(loss, [X, Y]) == pytest.approx(math.log(1 + math.e))  # X is remembered
    loss.forget()
    rows = torch.tensor([[1, 1, 0, 0, 7]], dtype=torch.float32)
    value(loss, [X, X], rows)
    assert value(loss, [X, X], rows) == 0.0, "text 7 is the positive itself"


def test_several_tasks_add_up() -> None:
    parts = {"a": WeightedCosine(), "b": WeightedContrastive()}
    labels = torch.tensor([0.5])
    fixed = MultiTask(parts, weights={"a": 2.0, "b": 0.0})
    assert value(fixed, [X, Y], labels) == pytest.approx(0.5)
    learned = MultiTask(parts)
    assert value(learned, [X, Y], labels) == pytest.approx(
        value(parts["a"], [X, Y], labels) + value(parts["b"], [X, Y], labels)
    )
    assert learned.log_scale.requires_grad
    with pytest.raises(InvalidParameterError, match="one for each of"):
        MultiTask(parts, weights={"a": 1.0})


def test_anchored_pulls_back_by_the_square() -> None:
    model = torch.nn.Linear(2, 2, bias=False)
    loss = Anchored(WeightedCosine(model), strength=2.0)
    assert float(loss.pull().detach()) == 0.0
    with torch.no_grad():
        model.weight += 0.5
    assert float(loss.pull().detach()) == pytest.approx(4 * 0.25)
    free = Anchored(WeightedCosine(model), importance={})
    with torch.no_grad():
        model.weight += 1.0
    assert float(free.pull().detach()) == 0.0


def test_distillation_is_zero_at_the_teacher() -> None:
    teacher = torch.cat([X, Y])
    loss = Distilled(WeightedCosine(), teacher=teacher, strength=3.0)
    rows = torch.tensor([[0.0, 1, 0, 0, 1]])
    parts = loss.compute_loss_from_embeddings([X, Y], rows)
    assert float(parts["distillation"]) == pytest.approx(0.0, abs=1e-6)
    moved = loss.compute_loss_from_embeddings([Y, X], rows)
    assert float(moved["distillation"]) == pytest.approx(3.0)
    with pytest.raises(InvalidDataError, match="text codes"):
        loss.compute_loss_from_embeddings([X, Y], torch.tensor([0.0]))


def test_labels_come_in_every_form() -> None:
    assert Side.of(None) == Side()
    weights = torch.ones(2)
    assert Side.of(weights, plain="weight").weight is weights
    mapped = Side.of({"weight": weights, "user": torch.tensor([1, 2])})
    assert mapped.weight is weights
    with pytest.raises(InvalidDataError, match="labels must be one number per row"):
        Side.of(torch.ones(2, 1))
    with pytest.raises(InvalidDataError, match="below 16777216"):
        Side.of(torch.tensor([[1.0, 1.0, 2.0**24]]))


def test_missing_parts_are_named() -> None:
    with pytest.raises(MissingInputError, match="label of each pair for WeightedCosine"):
        value(WeightedCosine(), [X, Y])
    with pytest.raises(InvalidDataError, match="WeightedTriplet must get at least 3 text columns"):
        value(WeightedTriplet(), [X, Y])
    with pytest.raises(InvalidDataError, match="needs a model"):
        WeightedCosine()([], None)


def test_names_find_losses() -> None:
    assert {"feedback-infonce", "mnrl", "gist", "bradley-terry"} <= set(LOSSES)
    with pytest.raises(UnknownNameError, match="Did you mean 'feedback-infonce'"):
        build_loss("feedback_infonce", tiny_model(["a"]))


def training_pairs() -> Pairs:
    left = [f"query {k % 5} a" for k in range(20)]
    right = [f"document {k}" for k in range(20)]
    pairs = Pairs.of(left, right, label=[1.0, 0.0] * 10)
    from dataclasses import replace

    negatives = np.stack([(pairs.right + 2) % len(pairs.texts)], axis=1)
    user = np.arange(20, dtype=np.int32) // 2 % 2
    users = Vocabulary(("ann", "bob"))
    return replace(pairs, negatives=negatives, user=user, users=users)


@pytest.mark.parametrize("name", sorted(LOSSES.house()))
def test_every_loss_runs_in_the_plain_trainer(name: str, tmp_path: Path) -> None:
    from sentence_transformers import (
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )

    pairs = training_pairs()
    model = tiny_model(pairs.texts)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=5,
        use_cpu=True,
        report_to="none",
        disable_tqdm=True,
        save_strategy="no",
        dataloader_pin_memory=False,
    )
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=training_set(pairs, LOSSES.factory(name).columns),
        loss=build_loss(name, model, pairs=pairs),
    ).train()
    after = model.state_dict()
    assert all(torch.isfinite(t).all() for t in after.values() if t.is_floating_point())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_every_loss_of_sentence_transformers_has_a_name() -> None:
    from sentence_transformers.sentence_transformer import losses as theirs

    wrapped = {factory.kind for factory in THEIRS}
    no_losses = {
        "TripletDistanceMetric",
        "SiameseDistanceMetric",
        "BatchHardTripletLossDistanceFunction",
        "ContrastiveTensionDataLoader",
        # deprecated there; the names stand for what replaces them
        "MultipleNegativesSymmetricRankingLoss",
        "CachedMultipleNegativesSymmetricRankingLoss",
    }
    assert set(theirs.__all__) - no_losses == wrapped
    assert {factory.name for factory in THEIRS} <= set(LOSSES)


def test_a_triplet_loss_given_pairs_says_so() -> None:
    model = tiny_model(["a b c"])
    features = [model.preprocess(["a", "b"]), model.preprocess(["b", "c"])]
    with pytest.raises(InvalidDataError, match=r"triplet must get 3 text columns \(anchor, pos"):
        build_loss("triplet", model)(features)


@pytest.mark.parametrize("name", ["mse", "margin-mse"])
def test_the_model_itself_is_the_teacher_unless_another_is_given(name: str) -> None:
    pairs = training_pairs()
    model = tiny_model(pairs.texts).eval()
    rows = training_set(pairs, LOSSES.factory(name).columns)[:4]
    labels = torch.tensor(np.array(rows["label"]))
    features = [model.preprocess(rows[column]) for column in LOSSES.factory(name).columns]
    own = build_loss(name, model, pairs=pairs)(features, labels)
    assert float(own.detach()) == pytest.approx(0.0, abs=1e-10)
    other = build_loss(name, model, pairs=pairs, teacher=tiny_model(pairs.texts, seed=1))
    assert float(other(features, labels).detach()) > 1e-6
    with pytest.raises(InvalidParameterError, match="cosine has no teacher"):
        build_loss("cosine", model, teacher=model)


def test_a_teacher_needs_codes_of_texts() -> None:
    pairs = training_pairs()
    model = tiny_model(pairs.texts)
    features = [model.preprocess(["a", "b"])] * 2
    with pytest.raises(InvalidDataError, match="embed-distill needs text codes"):
        build_loss("embed-distill", model, pairs=pairs)(features, torch.ones(2))
    given = torch.ones(2, 32)  # as a plain user of sentence-transformers gives them
    assert torch.isfinite(build_loss("embed-distill", model)(features, given))


def test_a_decoder_is_read_from_the_model_as_it_stands() -> None:
    """It shares its weights with the encoder, so old ones would undo what was learned."""
    model = tiny_model(["a b c d"])
    for parameter in model.parameters():
        parameter.data.mul_(1.5)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    build_loss("denoising-auto-encoder", model)
    assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())


def test_sets_of_texts() -> None:
    pairs = training_pairs()
    texts = text_set(pairs, ("text",), seed=0)
    spoken = set(zip(texts["text"], [row[0] for row in texts["label"]], strict=True))
    assert len(spoken) == len(texts["text"])
    assert {who for _, who in spoken} == {0.0, 1.0}
    tensions = text_set(pairs, ("text", "other"), seed=0)
    same = np.array(tensions["text"]) == np.array(tensions["other"])
    np.testing.assert_array_equal(same, np.array(tensions["label"])[:, 0] == 1)
    assert same.mean() == 0.25
    broken = text_set(pairs, ("damaged", "text"), seed=0)
    for left, whole in zip(broken["damaged"], broken["text"], strict=True):
        assert left
        assert set(left.split()) <= set(whole.split())


def test_matryoshka_wraps_ours() -> None:
    from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

    model = tiny_model(["a b c d"])
    loss = MatryoshkaLoss(model, FeedbackInfoNCE(model), matryoshka_dims=[32, 16])
    features = [model.preprocess(["a b", "c d"]), model.preprocess(["b a", "d c"])]
    found = loss(features, torch.ones(2))
    assert torch.isfinite(total(found))


def test_texts_are_embedded_as_one_by_one() -> None:
    """Repeats, lengths and pieces change the work, not the vectors nor the gradients."""
    model = tiny_model(["a b c d e f g h"]).eval()
    columns = [["a", "a b c d e f", "b", "a"], ["c d", "a", "h g f e d c b a", "b"]]
    outcomes = []
    for piece in (2, 16):
        model.zero_grad()
        together = embedded(model, [model.preprocess(c) for c in columns], piece=piece)
        torch.autograd.backward([part.square().sum() * (k + 1) for k, part in enumerate(together)])
        outcomes.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        for column, vectors in zip(columns, together, strict=True):
            alone = torch.cat(
                [model(model.preprocess([text]))["sentence_embedding"] for text in column]
            )
            torch.testing.assert_close(vectors, alone, rtol=1e-4, atol=1e-5)
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_equal_texts_are_read_once() -> None:
    model = tiny_model(["a b c"]).eval()
    read: list[int] = []
    model.register_forward_pre_hook(lambda _, inputs: read.append(len(inputs[0]["input_ids"])))
    embedded(model, [model.preprocess(["a", "a", "b"]), model.preprocess(["b", "c", "a"])])
    assert read == [3]
