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

    from torch import Tensor

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
    low = pool.to(dtype).T.contiguous()
    wanted = min(texts.shape[0], k + SPARE) if screen else k
    # One buffer for all tiles: new memory would cost a fifth of the time of the product.
    buffer = torch.empty(min(TILE_ROWS, queries.shape[0]), texts.shape[0], dtype=dtype)
    for begin in range(0, queries.shape[0], TILE_ROWS):
        tile = torch.from_numpy(np.ascontiguousarray(queries[begin : begin + TILE_ROWS]))
        products = torch.mm(tile.to(dtype), low, out=buffer[: tile.shape[0]])
        exact, found = _top(products, wanted)
        if screen:
            exact = torch.einsum("qd,qkd->qk", tile, pool[found])
        part = slice(begin, begin + tile.shape[0])
        codes[part], scores[part] = _sorted(found.numpy(), exact.float().numpy(), k)
    return codes, scores


def _top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row and their places, in falling order; exact.

    Columns fall into groups. The k largest all stand in the k groups of largest maximum, for each
    of these groups holds at least one value that is no smaller than anything outside of them.
    """
    import torch  # noqa: PLC0415

    n, m = scores.shape
    width = m // GROUP
    if width <= 2 * k:
        values, places = torch.topk(scores, k, dim=1)
        return values, places
    whole = scores[:, : width * GROUP]
    groups = torch.topk(whole.view(n, GROUP, width).amax(dim=1), k, dim=1, sorted=False).indices
    turn = width * torch.arange(GROUP, device=scores.device)
    places = (groups[:, None, :] + turn[None, :, None]).reshape(n, -1)
    rest = torch.arange(width * GROUP, m, device=scores.device).expand(n, -1)
    places = torch.cat([places, rest], dim=1)
    values, chosen = torch.topk(torch.gather(scores, 1, places), k, dim=1)
    return values, torch.gather(places, 1, chosen)


def _sorted(codes: IntArray, scores: Float32Array, k: int) -> tuple[IntArray, Float32Array]:
    """The k largest, largest first; where some are equal, the lower code first."""
    ordered = (scores[:, 1:] < scores[:, :-1]).all(axis=1)
    tied = np.flatnonzero(~ordered)
    if tied.size:
        order = np.lexsort((codes[tied], -scores[tied]), axis=1)
        codes, scores = codes.copy(), scores.copy()
        codes[tied] = np.take_along_axis(codes[tied], order, axis=1)
        scores[tied] = np.take_along_axis(scores[tied], order, axis=1)
    return codes[:, :k], scores[:, :k]


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
