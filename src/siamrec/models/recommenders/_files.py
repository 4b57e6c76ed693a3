"""How a fitted arm lies on disk: `arm.json` and `arrays.safetensors`, checked when read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy import sparse

from siamrec._core.hashing import content_hash
from siamrec.data import Vocabulary
from siamrec.errors import InvalidDataError, ModelLoadError, shown
from siamrec.models.recommenders.histories import COLUMN_TYPES, Histories

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from siamrec.models.recommenders.base import FittedRecommender

FORMAT = 1


def save_arm(
    path: str | Path,
    arm: FittedRecommender,
    *,
    kind: str,
    recipe: Mapping[str, Any],
    arrays: Mapping[str, npt.NDArray[Any]],
) -> None:
    """Write an arm; the folder appears whole or not at all."""
    target = Path(path)
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    seen = arm.history.value
    tensors = {
        **{name: np.ascontiguousarray(array) for name, array in arrays.items()},
        "history.item": seen.indices.astype(np.int32),
        "history.start": seen.indptr.astype(np.int64),
    }
    for name, kind_of in COLUMN_TYPES.items():
        matrix = getattr(arm.history, name)
        if matrix is not None:
            tensors[f"history.{name}"] = matrix.data.astype(kind_of)
    head = {
        "format": FORMAT,
        "kind": kind,
        "recipe": dict(recipe),
        "users": _plain_ids(arm.users),
        "items": _plain_ids(arm.items),
        "hash": content_hash(*(tensors[name] for name in sorted(tensors))),
    }
    save_file(tensors, draft / "arrays.safetensors")
    (draft / "arm.json").write_text(json.dumps(head), encoding="utf-8")
    if target.exists():
        shutil.rmtree(target)
    draft.rename(target)


def load_arm(path: str | Path, *, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the recipe, and `users`, `items`, `history` and the arrays of a saved arm.

    Raises:
        ModelLoadError: If the folder is absent, of another kind or format, or was changed.
    """
    folder = Path(path)
    try:
        head = json.loads((folder / "arm.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "arrays.safetensors")
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"No fitted arm can be read from {folder}: {error}.") from error
    if head.get("kind") != kind or head.get("format") != FORMAT:
        raise ModelLoadError(
            f"{folder} holds {shown(head.get('kind'))} of format {shown(head.get('format'))}, "
            f"not {kind!r} of format {FORMAT}."
        )
    if content_hash(*(tensors[name] for name in sorted(tensors))) != head["hash"]:
        raise ModelLoadError(f"The arrays in {folder} do not match their hash; save it again.")
    users, items = Vocabulary(tuple(head["users"])), Vocabulary(tuple(head["items"]))
    entries = {
        name: sparse.csr_array(
            (tensors[f"history.{name}"], tensors["history.item"], tensors["history.start"]),
            shape=(len(users), len(items)),
        )
        for name in COLUMN_TYPES
        if f"history.{name}" in tensors
    }
    history = Histories(**entries)
    values = {name: array for name, array in tensors.items() if not name.startswith("history.")}
    return head["recipe"], values | {"users": users, "items": items, "history": history}


def _plain_ids(vocabulary: Vocabulary) -> list[str | int]:
    for id_ in vocabulary.ids:
        if not isinstance(id_, str | int) or isinstance(id_, bool):
            raise InvalidDataError(
                f"Only text and whole numbers can be saved as ids, got {shown(id_)}."
            )
    return list(vocabulary.ids)  # type: ignore[arg-type]
