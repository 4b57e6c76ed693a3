"""Nearest neighbours by inner product: exact, tile by tile; or by a library of the field."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from siamrec._core.hashing import hash64
from siamrec._core.lazy import extra
from siamrec.pairs._screening import screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from siamrec.pairs._screening import Screen
    from siamrec.typing import Float32Array, IntArray

_WORD = re.compile(r"\w+")

TILE_ROWS = 256
SPARE = 64
GROUP = 16
_WORTH_SCREENING = 100  # texts for each one that is scored again
_SURE = 8.0
_AT_ONCE = 2


def nearest(queries: Float32Array, texts: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """Return the k texts of largest inner product for each query, largest first.

    On a CPU that multiplies bfloat16 or int8 in hardware many texts are screened in it, with spare
    places, and what passes is scored in float32. The errors of what passed tell how far the
    screen can be wrong; a query whose last place is not clear of the texts left out, by eight
    times their root mean square, is searched again in float32. Ties go to the lower code.

    Args:
        queries: Vectors, `(n, dim)`.
        texts: Vectors to search, `(m, dim)`.
        k: Places, at most m.

    Returns:
        Codes `(n, k)` and inner products `(n, k)`.
    """
    queries = np.ascontiguousarray(queries, dtype=np.float32)
    texts = np.ascontiguousarray(texts, dtype=np.float32)
    k = min(k, texts.shape[0])
    build = screen() if texts.shape[0] >= _WORTH_SCREENING * (k + SPARE) else None
    if build is None:
        return _searched(queries, texts, k)
    codes, scores, unsure = _screened(queries, texts, k, build(texts))
    if unsure.size:
        codes[unsure], scores[unsure] = _searched(queries[unsure], texts, k)
    return codes, scores


def _searched(queries: Float32Array, texts: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    import torch  # imported on use, so that pairs stay light

    codes, scores = _places(queries, k)
    columns = torch.from_numpy(texts).T
    # One buffer for all tiles: new memory would cost a fifth of the time of the product.
    buffer = torch.empty(min(TILE_ROWS, queries.shape[0]), texts.shape[0])
    for part in _tiles(queries):
        tile = torch.from_numpy(queries[part])
        products = torch.mm(tile, columns, out=buffer[: tile.shape[0]])
        codes[part], scores[part] = largest(products.numpy(), k)
    return codes, scores


def _screened(
    queries: Float32Array, texts: Float32Array, k: int, low: Screen
) -> tuple[IntArray, Float32Array, IntArray]:
    """Return codes and scores, and the queries whose last place is in doubt."""
    codes, scores = _places(queries, k)
    doubtful = np.empty(queries.shape[0], dtype=np.bool_)
    for part in _tiles(queries):
        tile = queries[part]
        passed, rough = largest(low.products(tile), k + SPARE)
        rough = rough * low.unit(tile)
        exact = _scored(tile, texts, passed)
        codes[part], scores[part] = _sorted(passed, exact, k)
        error = np.sqrt(np.square(rough - exact).mean(axis=1))
        # What is left out has a rough score of at most the last one that passed.
        doubtful[part] = ~(scores[part, -1] > rough[:, -1] + _SURE * error)
    return codes, scores, np.flatnonzero(doubtful)


def _scored(queries: Float32Array, texts: Float32Array, codes: IntArray) -> Float32Array:
    """Return the inner products of each query with texts of its own, a few rows in the cache."""
    n, m = codes.shape
    scores = np.empty((n, m), dtype=np.float32)
    rows = np.empty((_AT_ONCE * m, texts.shape[1]), dtype=np.float32)
    for begin in range(0, n, _AT_ONCE):
        some = codes[begin : begin + _AT_ONCE]
        own = np.take(texts, some.ravel(), axis=0, out=rows[: some.size], mode="clip")
        product = own.reshape(len(some), m, -1) @ queries[begin : begin + _AT_ONCE, :, None]
        scores[begin : begin + _AT_ONCE] = product[:, :, 0]
    return scores


def _places(queries: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    shape = (queries.shape[0], k)
    return np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.float32)


def _tiles(queries: Float32Array) -> Iterator[slice]:
    starts = range(0, queries.shape[0], TILE_ROWS)
    return (slice(begin, begin + TILE_ROWS) for begin in starts)


def largest(scores: npt.NDArray[np.number], k: int) -> tuple[IntArray, Float32Array]:
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
