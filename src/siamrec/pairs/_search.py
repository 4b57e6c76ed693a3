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

TILE_ROWS = 256
SPARE = 16
GROUP = 16


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
    low = pool.to(dtype).T
    wanted = min(texts.shape[0], k + SPARE) if screen else k
    # One buffer for all tiles: new memory would cost a fifth of the time of the product.
    buffer = torch.empty(min(TILE_ROWS, queries.shape[0]), texts.shape[0], dtype=dtype)
    for begin in range(0, queries.shape[0], TILE_ROWS):
        tile = torch.from_numpy(np.ascontiguousarray(queries[begin : begin + TILE_ROWS]))
        products = torch.mm(tile.to(dtype), low, out=buffer[: tile.shape[0]])
        found, exact = largest(products.float().numpy(), wanted)
        if screen:
            exact = torch.einsum("qd,qkd->qk", tile, pool[torch.from_numpy(found)]).numpy()
            found, exact = _sorted(found, exact, k)
        part = slice(begin, begin + tile.shape[0])
        codes[part], scores[part] = found, exact
    return codes, scores


def largest(scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """Return the places of the k largest of each row and their values, largest first; exact.

    Columns fall into groups. At least k groups, and so k values, reach the k-th largest of the
    groups' maxima; so what is below it is not among the k largest, and little is left to sort.
    Ties go to the lower place.

    Args:
        scores: `(n, m)`, with k at most m.
        k: Places.
    """
    n, m = scores.shape
    width = m // GROUP
    if width >= k:
        maxima = scores[:, : width * GROUP].reshape(n, GROUP, width).max(axis=1)
    else:
        maxima = scores
    least = np.partition(maxima, maxima.shape[1] - k, axis=1)[:, maxima.shape[1] - k]
    flat = np.flatnonzero(scores >= least[:, None])
    row, place = np.divmod(flat, m)
    count = np.bincount(row, minlength=n)
    turn = np.arange(flat.size) - np.repeat(np.cumsum(count) - count, count)
    values = np.full((n, int(count.max(initial=k))), -np.inf, dtype=np.float32)
    places = np.zeros(values.shape, dtype=np.int64)
    values[row, turn] = scores[row, place]
    places[row, turn] = place
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(values, order, axis=1)


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
