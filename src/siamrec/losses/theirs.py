"""Every loss of sentence-transformers, reading the labels that our training sets carry."""

from __future__ import annotations

import copy
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from siamrec._core import check
from siamrec.errors import InvalidDataError, InvalidParameterError, MissingInputError
from siamrec.losses.base import Labels, Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from siamrec.data import Pairs

Reading: TypeAlias = Literal["value", "class", "nothing", "vectors", "scores"]
"""What a loss reads beside texts: a number, a class, nothing, a teacher's vectors or scores."""


class Teacher(Protocol):
    """Whatever gives vectors of texts: an encoder, or a model of sentence-transformers."""

    def encode(self, texts: Sequence[str]) -> Any:
        """Return one vector for each text."""
        ...


@final
class TheirLoss(nn.Module):
    """A loss of sentence-transformers under the labels that our training sets carry.

    Args:
        loss: The loss.
        name: Its name, for messages.
        columns: Text columns that it needs.
        reading: What it reads beside the texts.
        teacher: Vector of each text by text code, `(n_texts, dim)`, where it reads a teacher.
    """

    teacher: Tensor | None

    def __init__(
        self,
        loss: nn.Module,
        *,
        name: str,
        columns: tuple[str, ...],
        reading: Reading = "value",
        teacher: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.loss = loss
        self.name = name
        self.columns = columns
        self.reading = reading
        self.register_buffer("teacher", teacher, persistent=False)

    def to_config(self) -> dict[str, Any]:
        """Refuse: what sentence-transformers made tells no settings that make it anew.

        Raises:
            siamrec.errors.InvalidParameterError: Always; the message says what is written.
        """
        raise InvalidParameterError(
            "loss",
            self.name,
            f"written as its name with its settings, as in FineTuneConfig(loss={self.name!r}); "
            "a loss of sentence-transformers does not tell them",
        )

    @property
    def model(self) -> nn.Module:
        """The model that embeds; the trainer swaps a wrapped one in."""
        model: nn.Module = self.loss.model  # type: ignore[assignment]
        return model

    @override
    def __setattr__(self, name: str, value: Any) -> None:
        """Hand a model on to the loss: a module would keep it beside the property."""
        if name == "model":
            self.loss.model = value
        else:
            super().__setattr__(name, value)

    @override
    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Labels = None
    ) -> Any:
        features = list(sentence_features)
        if len(features) < len(self.columns):
            raise InvalidDataError(
                f"{self.name} must get {len(self.columns)} text columns "
                f"({', '.join(self.columns)}), got {len(features)}."
            )
        return self.loss(features, self._read(labels))

    def _read(self, labels: Labels) -> Any:
        if self.reading == "nothing":
            return None
        if labels is None:
            raise MissingInputError(f"A label of each row for {self.name}", "the label column")
        if self.reading in {"vectors", "scores"}:
            return self._taught(labels)
        value = Side.of(labels).value
        return value.long() if self.reading == "class" and value is not None else value

    def _taught(self, labels: Any) -> Any:
        """Labels as they are where they come from a teacher already."""
        if self.teacher is None:
            return labels
        texts = Side.of(labels).texts
        if texts is None:
            raise InvalidDataError(f"{self.name} needs text codes in the labels.")
        vectors = self.teacher[texts]
        if self.reading == "vectors":
            return vectors
        return (vectors[:, :1] * vectors[:, 1:]).sum(dim=2)


@final
class TheirFactory:
    """Builds one of their losses: `factory(model, *, pairs=None, **settings)`.

    Args:
        name: Our name of it.
        kind: Their class.
        columns: Text columns that it needs.
        reading: What it reads beside the texts.
        defaults: Settings in the place of theirs, from their module and the model.
    """

    def __init__(
        self,
        name: str,
        kind: str,
        columns: tuple[str, ...],
        reading: Reading = "value",
        defaults: Callable[[Any, Any], Mapping[str, Any]] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.columns = columns
        self.reading = reading
        self.defaults = defaults

    def __call__(
        self,
        model: nn.Module,
        *,
        pairs: Pairs | None = None,
        teacher: Teacher | None = None,
        **settings: Any,
    ) -> nn.Module:
        """Return the loss for a model.

        Args:
            model: The model whose embeddings it judges.
            pairs: What it will be trained on; losses with a teacher take its texts from there.
            teacher: For these: whose vectors are learned; the model as it stands by default.
            settings: Settings of their class.

        Raises:
            InvalidParameterError: If a teacher is given to a loss that has none.
        """
        from sentence_transformers.sentence_transformer import losses as theirs

        taught = self.reading in {"vectors", "scores"}
        if teacher is not None and not taught:
            raise InvalidParameterError("teacher", teacher, f"None: {self.name} has no teacher")
        fixed = {} if self.defaults is None else self.defaults(theirs, model)
        kind = getattr(theirs, self.kind)
        with _readable(model) if self.kind == "DenoisingAutoEncoderLoss" else _as_is():
            loss = kind(model, **{**fixed, **settings})
        vectors = None
        if taught and pairs is not None:
            reader: Any = model if teacher is None else teacher
            vectors = _unit(np.asarray(reader.encode(list(pairs.texts))))
        return TheirLoss(
            loss, name=self.name, columns=self.columns, reading=self.reading, teacher=vectors
        )


def _unit(vectors: np.ndarray) -> Tensor:
    return nn.functional.normalize(torch.from_numpy(vectors.astype(np.float32)), dim=1)


@contextmanager
def _as_is() -> Iterator[None]:
    yield


@contextmanager
def _readable(model: Any) -> Iterator[None]:
    """Let a decoder be read from the model as it stands, and not from where it once came from."""
    config = model[0].auto_model.config
    came_from = config._name_or_path  # noqa: SLF001  (where their loss reads the decoder)
    from transformers.utils import logging

    spoken, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(40)  # errors: a decoder's new weights are no news
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with tempfile.TemporaryDirectory() as folder:
            model[0].auto_model.save_pretrained(folder)
            model.tokenizer.save_pretrained(folder)
            config._name_or_path = folder  # noqa: SLF001
            yield
    finally:
        config._name_or_path = came_from  # noqa: SLF001
        logging.set_verbosity(spoken)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _symmetric(theirs: Any, model: Any) -> dict[str, Any]:
    """What their classes of that name, which are deprecated, stand for."""
    del theirs, model
    return {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}


def _cosine_triplet(theirs: Any, model: Any) -> dict[str, Any]:
    """Unit vectors are at most 2 apart, so their margin of 5 could never be reached."""
    del model
    return {"distance_metric": theirs.TripletDistanceMetric.COSINE, "triplet_margin": 0.2}


def _cosine_batch(theirs: Any, model: Any) -> dict[str, Any]:
    return {**_cosine_soft(theirs, model), "margin": 0.2}


def _cosine_soft(theirs: Any, model: Any) -> dict[str, Any]:
    del model
    return {"distance_metric": theirs.BatchHardTripletLossDistanceFunction.cosine_distance}


def _guided(theirs: Any, model: Any) -> dict[str, Any]:
    """The model as it stands says what is no negative."""
    del theirs
    return {"guide": copy.deepcopy(model).requires_grad_(requires_grad=False)}


def _two_classes(theirs: Any, model: Any) -> dict[str, Any]:
    del theirs
    return {"embedding_dimension": model.get_embedding_dimension(), "num_labels": 2}


def _around_mnrl(theirs: Any, model: Any) -> dict[str, Any]:
    return {"loss": theirs.MultipleNegativesRankingLoss(model)}


def _nested(theirs: Any, model: Any) -> dict[str, Any]:
    dim = check.count("embedding dimension", model.get_embedding_dimension(), least=4)
    return {**_around_mnrl(theirs, model), "matryoshka_dims": [dim, dim // 2, dim // 4]}


POSITIVES = ("anchor", "positive")
TRIPLETS = ("anchor", "positive", "negative")
LABELLED = ("left", "right")
TEXTS = ("text",)
TENSIONS = ("text", "other")
DAMAGED = ("damaged", "text")

THEIRS: tuple[TheirFactory, ...] = (
    TheirFactory("adaptive-layer", "AdaptiveLayerLoss", POSITIVES, "nothing", _around_mnrl),
    TheirFactory("angle", "AnglELoss", LABELLED),
    TheirFactory("batch-all-triplet", "BatchAllTripletLoss", TEXTS, "class", _cosine_batch),
    TheirFactory("batch-hard-triplet", "BatchHardTripletLoss", TEXTS, "class", _cosine_batch),
    TheirFactory(
        "batch-hard-soft-margin-triplet",
        "BatchHardSoftMarginTripletLoss",
        TEXTS,
        "class",
        _cosine_soft,
    ),
    TheirFactory(
        "batch-semi-hard-triplet", "BatchSemiHardTripletLoss", TEXTS, "class", _cosine_batch
    ),
    TheirFactory("cached-gist", "CachedGISTEmbedLoss", POSITIVES, "nothing", _guided),
    TheirFactory("cached-mnrl", "CachedMultipleNegativesRankingLoss", POSITIVES, "nothing"),
    TheirFactory(
        "cached-mnrl-symmetric",
        "CachedMultipleNegativesRankingLoss",
        POSITIVES,
        "nothing",
        _symmetric,
    ),
    TheirFactory("contrastive", "ContrastiveLoss", LABELLED),
    TheirFactory("contrastive-tension", "ContrastiveTensionLoss", TENSIONS),
    TheirFactory(
        "contrastive-tension-in-batch", "ContrastiveTensionLossInBatchNegatives", TEXTS, "nothing"
    ),
    TheirFactory("cosent", "CoSENTLoss", LABELLED),
    TheirFactory("cosine", "CosineSimilarityLoss", LABELLED),
    TheirFactory("denoising-auto-encoder", "DenoisingAutoEncoderLoss", DAMAGED, "nothing"),
    TheirFactory("distill-kl-div", "DistillKLDivLoss", TRIPLETS, "scores"),
    TheirFactory("embed-distill", "EmbedDistillLoss", POSITIVES, "vectors"),
    TheirFactory("gist", "GISTEmbedLoss", POSITIVES, "nothing", _guided),
    TheirFactory("global-orthogonal", "GlobalOrthogonalRegularizationLoss", POSITIVES, "nothing"),
    TheirFactory("margin-mse", "MarginMSELoss", TRIPLETS, "scores"),
    TheirFactory("matryoshka", "MatryoshkaLoss", POSITIVES, "nothing", _nested),
    TheirFactory("matryoshka-2d", "Matryoshka2dLoss", POSITIVES, "nothing", _nested),
    TheirFactory("mega-batch-margin", "MegaBatchMarginLoss", POSITIVES, "nothing"),
    TheirFactory("mnrl", "MultipleNegativesRankingLoss", POSITIVES, "nothing"),
    TheirFactory(
        "mnrl-symmetric", "MultipleNegativesRankingLoss", POSITIVES, "nothing", _symmetric
    ),
    TheirFactory("mse", "MSELoss", POSITIVES, "vectors"),
    TheirFactory("online-contrastive", "OnlineContrastiveLoss", LABELLED),
    TheirFactory("softmax", "SoftmaxLoss", LABELLED, "class", _two_classes),
    TheirFactory("triplet", "TripletLoss", TRIPLETS, "nothing", _cosine_triplet),
)
"""Each of their losses; ours of the same kind carry weights."""
