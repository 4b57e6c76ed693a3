"""Two towers: users and items in one space, from their ids and from what is known of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Arrays, Shown, Table, counted
from siamrec.data import Catalog, Vocabulary
from siamrec.data.liking import liked, require_threshold, speakers, threshold
from siamrec.data.vocabulary import UNKNOWN
from siamrec.errors import InvalidDataError, ModelLoadError
from siamrec.models.encoders._features import Features
from siamrec.models.encoders._identity import identity_of
from siamrec.models.encoders._texts import distinct, unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from siamrec.data import Feedback
    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

_WEIGHTS = "two-tower.safetensors"
_CARD = "two-tower.json"


@final
@dataclass(frozen=True, slots=True, repr=False)
class Tower(Arrays):
    r"""One side as it was learned.

    .. math:: x = t_{id} + F W + b, \qquad y = \text{normalise}(x + V \max(0, U x + c))

    An id without a row in the table, and one without features, are missing those parts and no
    more.

    Args:
        ids: Known ids, as text.
        learned: t, `(n_ids, dim)`.
        inputs: F, features of the known ids, `(n_ids, width)`.
        parameters: W `(width, dim)`, b `(dim,)`, U `(hidden, dim)`, c `(hidden,)`, V
            `(dim, hidden)` under the names `weight`, `bias`, `inner`, `inner_bias`, `outer`.
    """

    ids: Vocabulary
    learned: Float32Array
    inputs: Float32Array
    parameters: dict[str, Float32Array]

    def vectors(self, ids: Sequence[str]) -> Float32Array:
        """Return a unit vector for each id, `(n, dim)`."""
        rows = self.ids.encode(ids, unknown="code")
        known = (rows != UNKNOWN)[:, None]
        table = np.where(known, self.learned[rows], 0.0) if len(self.ids) else 0.0
        inputs = np.where(known, self.inputs[rows], 0.0) if len(self.ids) else 0.0
        p = self.parameters
        x = table + p["bias"] + (inputs @ p["weight"] if self.inputs.shape[1] else 0.0)
        x = np.broadcast_to(x, (len(ids), p["bias"].size))
        return unit_rows(x + np.maximum(x @ p["inner"].T + p["inner_bias"], 0.0) @ p["outer"].T)


@final
@dataclass(frozen=True, slots=True, repr=False)
class TwoTowerEncoder(Shown):
    """Vectors of users (`kind="query"`) and of items (`kind="document"`) by their ids.

    It is a `SiameseEncoder` whose texts are ids: the inner product of a user and an item says how
    well they go together. An unknown id gets the vector of somebody of whom nothing is known.

    Args:
        users: The tower of users.
        items: The tower of items.
        columns: Columns of the items' features.
    """

    users: Tower
    items: Tower
    columns: Features

    @override
    def title(self) -> str:
        users, items = len(self.users.ids), len(self.items.ids)
        return f"Two-tower encoder of {counted(users, 'user')} and {counted(items, 'item')}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "users": len(self.users.ids),
            "items": len(self.items.ids),
            **identity_of(self),
        }
        return Table.of(self.title(), facts)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.users.parameters["bias"].size)

    @property
    def fingerprint(self) -> str:
        """Hash of both towers."""
        parts: list[Any] = ["two-tower", self.columns.as_dict()]
        for tower in (self.users, self.items):
            parts += [list(tower.ids.ids), tower.learned, tower.inputs]
            parts += [tower.parameters[name] for name in sorted(tower.parameters)]
        return content_hash(*parts)

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each id, shape `(len(texts), dim)`.

        Args:
            texts: Ids as text, `str(id)`.
            kind: `"query"` reads them as users, `"document"` as items.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        unique, place = distinct(texts, kind)
        tower = self.users if kind == "query" else self.items
        if not unique:
            return np.empty((0, self.dim), dtype=np.float32)
        return tower.vectors(unique)[place]

    def with_items(self, catalog: Catalog) -> Self:
        """Return the encoder with the items of `catalog` that it does not know, by features.

        Args:
            catalog: Items with the attributes (and texts) that training read.
        """
        ids = np.array([str(id_) for id_ in catalog.items.ids], dtype=object)
        fresh = self.items.ids.encode(list(ids), unknown="code") == UNKNOWN
        inputs = self.columns.read(catalog)[fresh]
        none = np.zeros((int(fresh.sum()), self.dim), np.float32)
        tower = replace(
            self.items,
            ids=self.items.ids.extend(ids[fresh].tolist()),
            learned=np.concatenate([self.items.learned, none]),
            inputs=np.concatenate([self.items.inputs, inputs]),
        )
        return replace(self, items=tower)

    def save(self, path: str | Path) -> None:
        """Write both towers to a folder: safetensors for numbers, JSON for ids and columns."""
        from safetensors.numpy import save_file

        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, Float32Array] = {}
        for side, tower in (("users", self.users), ("items", self.items)):
            parts = {"table": tower.learned, "inputs": tower.inputs, **tower.parameters}
            tensors |= {f"{side}.{name}": np.array(value) for name, value in parts.items()}
        save_file(tensors, folder / _WEIGHTS)
        card = {
            "kind": "two-tower",
            "users": list(self.users.ids.ids),
            "items": list(self.items.ids.ids),
            "columns": self.columns.as_dict(),
            "fingerprint": self.fingerprint,
        }
        (folder / _CARD).write_text(json.dumps(card), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, *, text: SiameseEncoder | None = None) -> Self:
        """Return the encoder that `save` wrote.

        Args:
            path: The folder.
            text: The encoder that read the items' texts, where one did.

        Raises:
            ModelLoadError: If files are missing or changed, or `text` is another encoder.
        """
        from safetensors.numpy import load_file

        folder = Path(path)
        try:
            card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
            tensors = load_file(folder / _WEIGHTS)
            towers = [_tower(side, card[side], tensors) for side in ("users", "items")]
            words = tuple((name, word) for name, word in card["columns"]["words"])
            numbers = tuple((name, mean, std) for name, mean, std in card["columns"]["numbers"])
            loaded = cls(towers[0], towers[1], Features(words, numbers, text))
        except Exception as error:  # safetensors has its own exception type
            raise ModelLoadError(f"{folder} must hold two saved towers: {error}.") from error
        if loaded.fingerprint != card["fingerprint"]:
            raise ModelLoadError(
                f"{folder} was changed, or its texts were read by another encoder than text=."
            )
        return loaded


def _tower(side: str, ids: list[str], tensors: dict[str, Float32Array]) -> Tower:
    own = {n.partition(".")[2]: v for n, v in tensors.items() if n.startswith(f"{side}.")}
    return Tower(Vocabulary(tuple(ids)), own.pop("table"), own.pop("inputs"), own)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TwoTowerTraining:
    """Learns two towers from what users like.

    Each liked item is to be told from the items that others of the batch like, unless the user is
    known to like them too (`feedback_infonce`), with the logQ correction. A share of the ids is
    hidden at each step, so that features alone say something of users and items that nobody has
    met.

    Args:
        dim: Length of a vector.
        hidden: Width of the bent part of each tower.
        epochs: Passes over the likes.
        batch_size: Likes in a step.
        learning_rate: Largest step size; it falls linearly to zero.
        scale: One over the temperature.
        popularity: Strength in [0, 1] of the logQ correction.
        hide: Share of the ids that are hidden at a step, in [0, 1).
        decay: Weight decay of the optimiser.
        positive: Least rating of a liked item; thumbs up, clicks and conversions are likes.
            `"scale"` is 4 of 5 and the same share of other scales.
        seed: Of everything that is drawn.

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Yi et al. (2019), Sampling-bias-corrected neural modeling for large corpus item
        recommendations, RecSys; Volkovs, Yu, Poutanen (2017), DropoutNet, NeurIPS.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    dim: int = 64
    hidden: int = 128
    epochs: int = 20
    batch_size: int = 512
    learning_rate: float = 5e-3
    scale: float = 10.0
    popularity: float = 1.0
    hide: float = 0.3
    decay: float = 1e-3
    positive: float | Literal["scale"] = "scale"
    seed: int = 42

    def __post_init__(self) -> None:
        for name in ("dim", "hidden", "epochs", "batch_size"):
            check.count(name, getattr(self, name))
        for name in ("learning_rate", "scale"):
            check.positive(name, getattr(self, name))
        require_threshold("positive", self.positive, optional=False)
        check.share("popularity", self.popularity)
        check.share("hide", self.hide)
        check.not_negative("decay", self.decay)
        check.count("seed", self.seed, least=0)

    def fit(
        self,
        feedback: Feedback,
        catalog: Catalog,
        *,
        users: Catalog | None = None,
        text: SiameseEncoder | None = None,
    ) -> TwoTowerEncoder:
        """Return the towers that `feedback` teaches.

        Args:
            feedback: What users did.
            catalog: Items with their attributes; those without feedback are known by these.
            users: Attributes of users, in the form of a catalogue of them.
            text: Reads the items' texts into further features; wrap it in a `CachedEncoder`.

        Raises:
            InvalidDataError: If nothing is liked.
        """
        from siamrec.models.encoders._towers import train_towers  # its torch half

        said = speakers(feedback)
        kind, value = feedback.kind[said], feedback.value[said]
        positive = threshold(self.positive, kind, value)
        known = feedback.where(said[liked(kind, value, positive)])
        if not len(known):
            raise InvalidDataError(
                f"feedback must hold ratings of at least {positive}, thumbs up, clicks or "
                f"conversions, got none in {len(feedback)} events."
            )
        people = Catalog(items=known.users) if users is None else users
        sides = (_ids(people.items, known.users), _ids(catalog.items, known.items))
        user = Vocabulary(_names(known.users)).translate(sides[0])[known.user]
        item = Vocabulary(_names(known.items)).translate(sides[1])[known.item]
        readers = (Features.of(people, text=None), Features.of(catalog, text=text))
        inputs = [
            _padded(reader.read(table), len(ids))
            for reader, table, ids in zip(readers, (people, catalog), sides, strict=True)
        ]
        learned = train_towers(self, user, item, known.weight, inputs)
        towers = [
            Tower(ids, tables.pop("table"), side, tables)
            for ids, side, tables in zip(sides, inputs, learned, strict=True)
        ]
        return TwoTowerEncoder(towers[0], towers[1], readers[1])

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)


def _names(ids: Vocabulary) -> tuple[str, ...]:
    return tuple(str(id_) for id_ in ids.ids)


def _ids(first: Vocabulary, more: Vocabulary) -> Vocabulary:
    """Ids as text: those with attributes, and behind them the others that feedback knows."""
    return Vocabulary(_names(first)).extend(_names(more))


def _padded(rows: Float32Array, n: int) -> Float32Array:
    return np.concatenate([rows, np.zeros((n - len(rows), rows.shape[1]), np.float32)])
