"""A linear head on a frozen encoder: what the adapter strategy of the fine-tuner learns."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec._core.table import Shown, Table, line
from siamrec.errors import InvalidDataError, ModelLoadError
from siamrec.models._writing import writing
from siamrec.models.encoders._identity import identity_of
from siamrec.models.encoders._texts import unit_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from siamrec.models.encoders._texts import TextKind
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

_WEIGHTS = "adapter.safetensors"
_CARD = "adapter.json"


_OPTIONAL = ("bias", "inner", "inner_bias", "outer")


@final
@dataclass(frozen=True, slots=True, repr=False)
class AdapterEncoder(Shown):
    r"""Reads with a frozen encoder and maps its vectors.

    .. math:: y = \text{normalise}(W x + b + V \max(0, U x + c))

    With :math:`W = I + A` the head starts as no change at all, and A, b and the optional bent part
    V, U, c are what feedback taught. It costs small matrix products, and old vectors can be mapped
    without reading a text again.

    Args:
        base: The frozen encoder.
        weight: W, shape `(dim, base.dim)`.
        bias: b, shape `(dim,)`; none by default.
        inner: U, shape `(hidden, base.dim)`; the three of the bent part go together.
        inner_bias: c, shape `(hidden,)`.
        outer: V, shape `(dim, hidden)`.

    Raises:
        InvalidDataError: If shapes do not fit or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from siamrec.models import HashingEncoder
        >>> base = HashingEncoder(dim=4)
        >>> same = AdapterEncoder.identity(base)
        >>> bool(np.allclose(same.encode(["Heat"]), base.encode(["Heat"])))
        True
    """

    base: SiameseEncoder
    weight: Float32Array
    bias: Float32Array | None = None
    inner: Float32Array | None = None
    inner_bias: Float32Array | None = None
    outer: Float32Array | None = None

    def __post_init__(self) -> None:
        weight = check.frozen(np.asarray(self.weight), np.float32)
        if weight.ndim != 2 or weight.shape[1] != self.base.dim or not weight.shape[0]:
            raise InvalidDataError(
                f"weight must have shape (dim, {self.base.dim}), got {weight.shape}."
            )
        object.__setattr__(self, "weight", weight)
        check.finite("weight", weight)
        bent = [getattr(self, name) is not None for name in _OPTIONAL[1:]]
        if any(bent) and not all(bent):
            raise InvalidDataError("inner, inner_bias and outer must be given together.")
        hidden = len(self.inner_bias) if self.inner_bias is not None else 0
        dim, base_dim = weight.shape
        shapes = {
            "bias": (dim,),
            "inner": (hidden, base_dim),
            "inner_bias": (hidden,),
            "outer": (dim, hidden),
        }
        for name, shape in shapes.items():
            self._check(name, shape)

    @override
    def title(self) -> str:
        bent = "" if self.inner is None else f", {len(self.inner):,} bent"
        return f"Adapter to {self.dim:,} numbers{bent} on {line(self.base)}"

    @override
    def table(self) -> Table:
        """Return what it is made of."""
        facts = {
            "base": line(self.base),
            **identity_of(self),
        }
        return Table.of(self.title(), facts)

    def _check(self, name: str, shape: tuple[int, ...]) -> None:
        value = getattr(self, name)
        if value is None:
            return
        array = check.frozen(np.asarray(value), np.float32)
        if array.shape != shape:
            raise InvalidDataError(f"{name} must have shape {shape}, got {array.shape}.")
        check.finite(name, array)
        object.__setattr__(self, name, array)

    @classmethod
    def identity(cls, base: SiameseEncoder) -> Self:
        """Return a head that changes nothing."""
        return cls(base, np.eye(base.dim, dtype=np.float32))

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.weight.shape[0])

    @property
    def fingerprint(self) -> str:
        """Hash of the base's fingerprint and the head."""
        none = np.zeros(0, np.float32)
        parts = [none if (v := getattr(self, name)) is None else v for name in _OPTIONAL]
        return content_hash("adapter", self.base.fingerprint, self.weight, *parts)

    def encode(self, texts: Sequence[str], *, kind: TextKind = "document") -> Float32Array:
        """Return one unit vector for each text, shape `(len(texts), dim)`.

        Args:
            texts: Texts.
            kind: Whether they are queries or documents, for the base.

        Raises:
            InvalidDataError: If `texts` is not a sequence of texts.
        """
        return self.project(self.base.encode(texts, kind=kind))

    def project(self, vectors: Float32Array) -> Float32Array:
        """Return what the head makes of the base's vectors, shape `(n, dim)`."""
        mapped = vectors @ self.weight.T
        if self.bias is not None:
            mapped += self.bias
        if self.inner is not None and self.inner_bias is not None and self.outer is not None:
            mapped += np.maximum(vectors @ self.inner.T + self.inner_bias, 0.0) @ self.outer.T
        return unit_rows(mapped)

    def towards(self, share: float) -> Self:
        """Return the head `share` of the way from the untouched base (0) to this one (1).

        References:
            Wortsman et al. (2022), Robust fine-tuning of zero-shot models (WiSE-FT), CVPR.

        Raises:
            InvalidDataError: If the head changes the dimension, so that there is no way between.
        """
        if self.dim != self.base.dim:
            raise InvalidDataError(
                f"A head from {self.base.dim} to {self.dim} dimensions has no untouched base to "
                "mix with."
            )
        eye = np.eye(self.dim, dtype=np.float32)
        return replace(
            self,
            weight=eye + share * (self.weight - eye),
            bias=None if self.bias is None else share * self.bias,
            outer=None if self.outer is None else share * self.outer,
        )

    def save(self, path: str | Path) -> None:
        """Write the head to a folder: safetensors for the numbers, JSON for what it belongs to.

        The base is not written: `AdapterEncoder.load(path, base)` reads the head back onto it.

        Raises:
            StorageError: If the folder cannot be written.
        """
        from safetensors.numpy import save_file

        folder = Path(path)
        tensors = {"weight": np.array(self.weight)}
        for name in _OPTIONAL:
            if getattr(self, name) is not None:
                tensors[name] = np.array(getattr(self, name))
        card = {
            "kind": "adapter",
            "base_fingerprint": self.base.fingerprint,
            "fingerprint": self.fingerprint,
        }
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, folder / _WEIGHTS)
            (folder / _CARD).write_text(json.dumps(card, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path, base: SiameseEncoder) -> Self:
        """Return the encoder whose head `save` wrote, on top of `base`.

        Raises:
            ModelLoadError: If files are missing or unreadable, or `base` is another encoder than
                the one that the head was learned on.
        """
        from safetensors.numpy import load_file

        folder = Path(path)
        try:
            card = json.loads((folder / _CARD).read_text(encoding="utf-8"))
            tensors = load_file(folder / _WEIGHTS)
            loaded = cls(base, **tensors)
        except Exception as error:  # safetensors has its own exception type
            raise ModelLoadError(f"{folder} must hold a saved adapter: {error}.") from error
        if loaded.fingerprint != card.get("fingerprint"):
            raise ModelLoadError(
                f"{folder} holds a head for the encoder {str(card.get('base_fingerprint'))[:16]}, "
                f"got the base {base.fingerprint[:16]}, or its weights were changed."
            )
        return loaded
