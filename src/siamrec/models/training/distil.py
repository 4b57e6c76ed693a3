"""Teaching a model to say what another says: smaller, exportable, or in another language."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from siamrec.errors import InvalidDataError, InvalidParameterError
from siamrec.models.training.strategies.plain_training import train_plainly
from siamrec.models.training.strategies.trainable import alike

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.models.encoders import SentenceEncoder
    from siamrec.protocols import SiameseEncoder


def distil(
    teacher: SiameseEncoder,
    student: SentenceEncoder,
    texts: Sequence[str],
    *,
    taught_as: Sequence[str] | None = None,
    steps: int = 500,
    batch_size: int = 32,
    learning_rate: float = 5e-5,
    seed: int = 42,
) -> SentenceEncoder:
    """Return a copy of `student` that gives the teacher's vectors.

    An adapter on MiniLM, say, can be taught to MiniLM itself, and then be exported to GGUF. With
    `taught_as`, the student learns to read translations as the teacher reads the originals.

    Args:
        teacher: Whose vectors are learned.
        student: Where to begin; it is not changed. Its vectors must be as long as the teacher's.
        texts: What the student reads.
        taught_as: What the teacher reads in place of each text, such as its original.
        steps: Steps of training.
        batch_size: Texts in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        seed: Of order and dropout.

    Raises:
        InvalidParameterError: If vectors differ in length.
        InvalidDataError: If there is no text, or `taught_as` is not as long as `texts`.

    References:
        Reimers and Gurevych (2020), Making monolingual sentence embeddings multilingual using
        knowledge distillation, EMNLP.
    """
    from datasets import Dataset
    from sentence_transformers.sentence_transformer.losses import MSELoss

    read = list(texts)
    originals = read if taught_as is None else list(taught_as)
    if not read or len(originals) != len(read):
        raise InvalidDataError(
            f"taught_as must have one text for each of at least one, got {len(originals)} for "
            f"{len(read)}."
        )
    if teacher.dim != student.dim:
        raise InvalidParameterError("student", student.dim, f"of {teacher.dim} dimensions")
    model = copy.deepcopy(student.model)
    rows = Dataset.from_dict({"text": read, "label": list(teacher.encode(originals))})
    train_plainly(
        model,
        rows,
        MSELoss(model),
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    return alike(student, model, name=f"{student.name}, distilled")


def teach_translations(
    teacher: SiameseEncoder,
    student: SentenceEncoder,
    originals: Sequence[str],
    translations: Sequence[str],
    *,
    steps: int = 500,
    batch_size: int = 32,
    learning_rate: float = 5e-5,
    seed: int = 42,
) -> SentenceEncoder:
    """Return a copy of `student` that reads translations as the teacher reads their originals.

    The originals themselves are learned too, so that both languages end in one space.

    Args:
        teacher: Reads the originals; a tuned encoder, say.
        student: Where to begin, such as a multilingual model; it is not changed.
        originals: Texts in the teacher's language.
        translations: The translation of each.
        steps: Steps of training.
        batch_size: Texts in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        seed: Of order and dropout.

    Raises:
        InvalidParameterError: If vectors differ in length.
        InvalidDataError: If there is no text, or not one translation for each.

    References:
        Reimers and Gurevych (2020), Making monolingual sentence embeddings multilingual using
        knowledge distillation, EMNLP.
    """
    if len(originals) != len(translations):
        raise InvalidDataError(
            f"translations must have one text for each of {len(originals)} originals, got "
            f"{len(translations)}."
        )
    return distil(
        teacher,
        student,
        [*originals, *translations],
        taught_as=[*originals, *originals],
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
