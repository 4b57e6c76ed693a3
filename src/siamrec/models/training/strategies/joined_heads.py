"""Several heads as one: what each of them learned, in the dimension of the base."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np
from scipy import linalg

from siamrec.models.encoders import AdapterEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec.typing import Float32Array, FloatArray

_MOST = 20_000


def joined(heads: Sequence[AdapterEncoder], vectors: Float32Array) -> AdapterEncoder:
    r"""Return one head whose inner products come nearest to the mean of those of several.

    The outputs of the heads side by side have the mean of their inner products. Their principal
    axes, as many as the base has dimensions, keep what can be kept of it (the best approximation
    of a Gram matrix, Eckart and Young 1936). Turning all outputs alike changes no inner product,
    so they are turned to where the base's own vectors lie (orthogonal Procrustes, Schönemann
    1966); mixing with the base then stays meaningful.

    Args:
        heads: Heads on the same base and of its dimension, with a bias; a single one comes back
            as it is.
        vectors: Vectors of the base, `(n, dim)`, for which the products are to be kept; of more
            than 20,000 an even share is looked at.
    """
    if len(heads) == 1:
        return heads[0]
    inputs = vectors[:: -(-len(vectors) // _MOST)].astype(np.float64)
    maps = [_Affine(head, inputs) for head in heads]
    outputs = np.concatenate([each.outputs for each in maps], axis=1)
    _, axes = linalg.eigh(outputs.T @ outputs)
    axes = axes[:, -heads[0].dim :]  # eigenvalues rise
    centred = inputs - inputs.mean(axis=0)
    left, _, right = linalg.svd((outputs @ axes).T @ centred)
    turned = (axes @ (left @ right)).T
    weight = turned @ np.concatenate([each.weight for each in maps])
    bias = turned @ np.concatenate([each.bias for each in maps])
    if heads[0].inner is None:
        return AdapterEncoder(heads[0].base, _single(weight), _single(bias))
    return AdapterEncoder(
        heads[0].base,
        _single(weight),
        _single(bias),
        np.concatenate([head.inner for head in heads]),
        np.concatenate([head.inner_bias for head in heads]),
        _single(turned @ linalg.block_diag(*(each.outer for each in maps))),
    )


@final
class _Affine:
    """A head before the normalising, scaled so that all heads speak equally loud."""

    def __init__(self, head: AdapterEncoder, inputs: FloatArray) -> None:
        self.weight: FloatArray = head.weight.astype(np.float64)
        self.bias: FloatArray = (
            np.zeros(head.dim) if head.bias is None else head.bias.astype(np.float64)
        )
        self.outer: FloatArray = np.zeros((head.dim, 0))
        self.outputs: FloatArray = inputs @ self.weight.T + self.bias
        if head.outer is not None and head.inner is not None and head.inner_bias is not None:
            self.outer = head.outer.astype(np.float64)
            bent = np.maximum(inputs @ head.inner.T + head.inner_bias, 0.0)
            self.outputs += bent @ self.outer.T
        loudness = np.sqrt(np.square(self.outputs).sum(axis=1).mean()) or 1.0
        for name in ("weight", "bias", "outer", "outputs"):
            setattr(self, name, getattr(self, name) / loudness)


def _single(values: FloatArray) -> Float32Array:
    return np.asarray(values, dtype=np.float32)
