"""Nearest neighbours by inner product: exact, tile by tile; or by a library of the field."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.hashing import hash64
from siamrec._core.lazy import extra

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from siamrec.typing import Float32Array, IntArray

_WORD = re.compile(r"\w+")

TILE_ROWS = 512
SPARE = 16


def nearest(queries: Float32Array, texts: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """Return the k texts of largest inner product for each query, largest first.

    On a CPU that multiplies bfloat16 in hardware the tiles are screened in it, with spare places,
    and what passes is scored again in float32; elsewhere tiles are float32 from the start. Ties
    go to the lower code.

    Args:
        queries: Vectors, `(n, dim)`.
        texts: Vectors to search, `(m, dim)`.
        k: Places, at most m.

    Returns:
        Codes `(n, k)` and inner products `(n, k)`.
    """
    import torch  # noqa: PLC0415  (imported on use, so that pairs stay light)

    k = min(k, texts.shape[0])
    codes = np.empty((queries.shape[0], k), dtype=np.int64)
    scores = np.empty((queries.shape[0], k), dtype=np.float32)
    screen = _screens_in_bfloat16(torch) and texts.shape[0] > k + SPARE
    dtype = torch.bfloat16 if screen else torch.float32
    pool = torch.from_numpy(np.ascontiguousarray(texts))
    low = pool.to(dtype).T.contiguous()
    wanted = min(texts.shape[0], k + SPARE) if screen else k
    for begin in range(0, queries.shape[0], TILE_ROWS):  # bounds memory at TILE_ROWS x m
        tile = torch.from_numpy(np.ascontiguousarray(queries[begin : begin + TILE_ROWS]))
        found = torch.topk(tile.to(dtype) @ low, wanted, dim=1)
        exact = found.values
        if screen:
            exact = torch.einsum("qd,qkd->qk", tile, pool[found.indices])
        part = slice(begin, begin + tile.shape[0])
        codes[part], scores[part] = _sorted(found.indices.numpy(), exact.float().numpy(), k)
    return codes, scores


def _sorted(codes: IntArray, scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    order = np.lexsort((codes, -scores), axis=1)[:, :k]
    return np.take_along_axis(codes, order, axis=1), np.take_along_axis(scores, order, axis=1)


def _screens_in_bfloat16(torch: object) -> bool:
    cpu = getattr(torch, "cpu", None)
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(cpu, probe, bool)()) for probe in probes)


def by_faiss(queries: Float32Array, texts: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """Return what `nearest` does, by a flat index of faiss.

    Raises:
        MissingExtraError: If faiss is not installed.
    """
    faiss = extra("faiss", extra="faiss", purpose="Searching with faiss")
    index = faiss.IndexFlatIP(texts.shape[1])
    index.add(np.ascontiguousarray(texts))
    scores, codes = index.search(np.ascontiguousarray(queries), min(k, texts.shape[0]))
    return _sorted(codes, scores, k)


def by_usearch(
    queries: Float32Array, texts: Float32Array, k: int
) -> tuple[IntArray, Float32Array]:
    """Return nearly what `nearest` does, by a graph of usearch; good for millions of texts.

    Raises:
        MissingExtraError: If usearch is not installed.
    """
    usearch = extra("usearch.index", extra="usearch", purpose="Searching with usearch")
    k = min(k, texts.shape[0])
    wide = max(64, 4 * k)  # places that a walk through the graph keeps open
    index = usearch.Index(ndim=texts.shape[1], metric="ip", dtype="f32", expansion_search=wide)
    index.add(np.arange(texts.shape[0]), np.ascontiguousarray(texts), threads=1)
    found = index.search(np.ascontiguousarray(queries), k, threads=1)
    codes = np.asarray(found.keys).reshape(len(queries), -1).astype(np.int64)
    scores = np.einsum("qd,qkd->qk", queries, texts[codes])
    return _sorted(codes, scores, k)


SEARCHES: dict[str, Callable[[Float32Array, Float32Array, int], tuple[IntArray, Float32Array]]] = {
    "exact": nearest,
    "faiss": by_faiss,
    "usearch": by_usearch,
}
"""Ways to search by name."""


def word_vectors(texts: Sequence[str], *, dim: int = 512) -> Float32Array:
    """Return unit vectors whose inner product tells the rare words that texts share.

    Words are hashed to signed places and weighted by inverse document frequency.
    """
    words = [set(_WORD.findall(text.casefold())) for text in texts]
    known = Counter(word for found in words for word in found)
    vectors = np.zeros((len(texts), dim), dtype=np.float32)
    for row, found in enumerate(words):  # texts are ragged
        for word in found:
            code = hash64(word)
            sign = 1.0 if code >> 63 else -1.0
            vectors[row, code % dim] += sign * math.log1p(len(texts) / known[word])
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Float32Array = (vectors / np.where(length > 0, length, 1.0)).astype(np.float32)
    return unit
