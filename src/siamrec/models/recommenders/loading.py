"""Any saved arm, loaded by what its folder says it is."""

from __future__ import annotations

import json
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from siamrec.errors import ModelLoadError, shown
from siamrec.models.recommenders._book import RECOMMENDERS

if TYPE_CHECKING:
    from siamrec.models.recommenders.base import FittedRecommender

_ENSEMBLE = "ensemble-"


def load_recommender(path: str | Path, *, name: str | None = None) -> FittedRecommender:
    """Return the arm that `save` wrote to a folder, whichever it is.

    Args:
        path: The folder.
        name: Registered name of its recipe; told by the folder when absent.

    Raises:
        siamrec.errors.ModelLoadError: If the folder holds no arm, or one that cannot be loaded.
        siamrec.errors.UnknownNameError: If no recipe of that name is registered.

    Examples:
        >>> from tempfile import mkdtemp
        >>> from siamrec.data import Feedback
        >>> from siamrec.models.recommenders import Popularity
        >>> folder = Path(mkdtemp()) / "arm"
        >>> feedback = Feedback.of(user=["a", "b"], item=["x", "x"])
        >>> Popularity().fit(feedback).save(folder)
        >>> load_recommender(folder).items.ids
        ('x',)
    """
    folder = Path(path)
    recipe: Any = RECOMMENDERS.factory(_kind_of(folder) if name is None else name)
    load = getattr(recipe, "load", None)
    if load is None:
        raise ModelLoadError(f"{shown(recipe)} has no `load`, so {folder} cannot be read.")
    takes = signature(load).parameters
    inner: dict[str, Any] = {"base": load_recommender} if "base" in takes else {}
    arm: FittedRecommender = load(folder, **inner)
    return arm


def _kind_of(folder: Path) -> str:
    try:
        kind = json.loads((folder / "arm.json").read_text(encoding="utf-8"))["kind"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"No fitted arm can be read from {folder}: {error}.") from error
    return str(kind).removeprefix(_ENSEMBLE)
