"""Mining hard negatives: texts near an anchor that are not known to suit it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, final

import numpy as np
from typing_extensions import override

from siamrec._core import check
from siamrec._core.hashing import content_hash
from siamrec.data.pairs.splits import normalise
from siamrec.data.vocabulary import UNKNOWN, Vocabulary
from siamrec.errors import InvalidParameterError, StorageError
from siamrec.pairs._search import SEARCHES, word_vectors
from siamrec.pairs.base import MinerRecipe, require_parts

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import BoolArray, CodeArray, Float32Array, IntArray


_ROUNDING = 1e-3
_COPIES = 16_384


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HardNegatives(MinerRecipe):
    """Finds, for each positive pair, near texts that do not belong to the anchor.

    The nearest `pool` texts of each anchor are found exactly. Of these are left out: the anchor
    and its partners in other positive pairs, everything that the pair's user is known to like,
    texts that enough users like together with the anchor, whatever differs from one of these in
    case, spaces and punctuation only, near-duplicates of the positive, and texts so near that they
    are probably positives nobody has labelled: those above `percent` of the positive's own
    similarity. Of the rest, `per_positive` are drawn. A pair that finds too
    few keeps what there is; no pair is dropped.

    Args:
        per_positive: Negatives of each positive pair.
        pool: Texts looked at for each anchor, nearest first.
        skip: Texts left out at the head of the pool.
        percent: Largest similarity, as a share of the positive's own (where that is above 0).
        lowest: Least similarity to the anchor, in [-1, 1]; farther texts are too easy.
        duplicate: Cosine to the positive from which a text counts as the same.
        co_likes: Users that must like two texts for them to belong together; 0 leaves this out.
        draw: `"random"` among those allowed, or `"nearest"` first.
        search: `"exact"`; or `"faiss"` (exact too, extra `[faiss]`) or `"usearch"` (a graph that
            finds nearly all, for millions of texts, extra `[usearch]`).
        seed: Of the drawing.
        encoder: Says what is near where `mine` is not told; without one, texts are near that have
            rare words in common.
        cache: Folder that keeps what was mined, by the pairs, these settings and the fingerprint
            of the encoder's weights; nothing is encoded or searched twice.

    Raises:
        InvalidParameterError: If a number is out of its range.

    References:
        Moreira et al. (2024), NV-Retriever: improving text embedding models with effective
        hard-negative mining (the bound by the positive's similarity).

    Examples:
        >>> from siamrec.data import Pairs
        >>> class Letters:
        ...     dim, fingerprint = 2, "letters"
        ...     def encode(self, texts, *, kind="document"):
        ...         angle = np.array([ord(text[0]) - 97 for text in texts]) / 2
        ...         return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        >>> pairs = Pairs.of(["a", "e"], ["b", "c"])
        >>> recipe = HardNegatives(per_positive=1, draw="nearest")
        >>> mined = recipe.mine(pairs, Letters())
        >>> [mined.texts[code] for code in mined.negatives[:, 0]]
        ['c', 'b']
    """

    per_positive: int = 4
    pool: int = 100
    skip: int = 0
    percent: float = 0.95
    lowest: float = -1.0
    duplicate: float = 0.97
    co_likes: int = 5
    draw: str = "random"
    search: str = "exact"
    seed: int = 0
    encoder: SiameseEncoder | None = None
    cache: str | Path | None = None

    def __post_init__(self) -> None:
        require_parts(self, "encoder")
        if self.cache is not None:
            check.kind("cache", self.cache, str, Path)
        check.count("per_positive", self.per_positive)
        check.count("pool", self.pool)
        check.count("skip", self.skip, least=0)
        check.count("co_likes", self.co_likes, least=0)
        check.count("seed", self.seed, least=0)
        check.positive("percent", self.percent)
        check.one_of("draw", self.draw, ("random", "nearest"))
        check.one_of("search", check.text("search", self.search), SEARCHES)
        for name in ("lowest", "duplicate"):
            if not -1 <= check.real(name, getattr(self, name)) <= 1:
                raise InvalidParameterError(name, getattr(self, name), "in [-1, 1]")
        if self.skip >= self.pool:
            raise InvalidParameterError("skip", self.skip, f"below pool, {self.pool}")

    @override
    def mine(
        self,
        pairs: Pairs,
        encoder: SiameseEncoder | None = None,
        *,
        vectors: Float32Array | None = None,
    ) -> Pairs:
        """Return the same pairs with `negatives`, of shape `(n, per_positive)`.

        Rows that are not positive get none. What was mined before is replaced. The recipe stays
        with the pairs as `miner`, by which `split` mines those of training again.

        Args:
            pairs: Pairs; every text of their table may become a negative.
            encoder: Says what is near, before the recipe's own; mine again when its weights have
                moved.
            vectors: Vectors of `pairs.texts` from that encoder, where they are at hand.

        Raises:
            StorageError: If the cache cannot be written.
        """
        reader = encoder or self.encoder
        again = self if encoder is None else replace(self, encoder=encoder)
        pairs = replace(pairs, miner=again if reader or vectors is None else None)
        kept = None if self.cache is None else self._kept(Path(self.cache), pairs, reader, vectors)
        if kept is not None and (found := _read(kept, len(pairs), self.per_positive)) is not None:
            return replace(pairs, negatives=found)
        if vectors is None:
            vectors = reader.encode(pairs.texts) if reader else word_vectors(pairs.texts)
        negatives = np.full((len(pairs), self.per_positive), UNKNOWN, dtype=np.int32)
        rows = np.flatnonzero(pairs.label >= 0.5)
        if rows.size and len(pairs.texts) > 1:
            negatives[rows] = self._found(pairs, vectors, rows)
        if kept is not None:
            _write(kept, negatives)
        return replace(pairs, negatives=negatives)

    def _kept(
        self,
        folder: Path,
        pairs: Pairs,
        reader: SiameseEncoder | None,
        vectors: Float32Array | None,
    ) -> Path:
        """Return where negatives of these pairs lie: other weights or texts, another file.

        A file holds codes, and the fingerprint of pairs does not depend on these, nor on texts
        that only serve as negatives; so the table of texts counts too, in its order.
        """
        said = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in {"encoder", "cache"}
        }
        if reader is not None:
            weights: object = reader.fingerprint
        else:
            weights = "words" if vectors is None else vectors
        key = content_hash(pairs.fingerprint(), list(pairs.texts), said, weights)
        return folder / f"{key[:32]}.npy"

    def _found(self, pairs: Pairs, vectors: Float32Array, rows: IntArray) -> CodeArray:
        anchors, place = np.unique(pairs.left[rows], return_inverse=True)
        pool = min(self.pool + 1, len(pairs.texts))
        near, similar = SEARCHES[self.search](vectors[anchors], vectors, pool)
        own = (vectors[pairs.left[rows]] * vectors[pairs.right[rows]]).sum(axis=1)
        rng = np.random.default_rng(self.seed)
        known = Known.of(pairs, self.co_likes)
        found = np.empty((rows.size, self.per_positive), dtype=np.int32)
        block = 4_096
        for begin in range(0, rows.size, block):  # bounds memory at block x pool
            part = slice(begin, begin + block)
            codes, cosines = near[place[part]], similar[place[part]]
            positive = pairs.right[rows[part]]
            allowed = self._in_range(cosines, own[part]) & (codes != positive[:, None])
            allowed &= ~known(pairs.user[rows[part]], pairs.left[rows[part]], codes)
            self._leave_copies(vectors, positive, codes, cosines - own[part, None], allowed)
            found[part] = self._drawn(codes, allowed, rng)
        return found

    def _in_range(self, cosines: Float32Array, own: Float32Array) -> BoolArray:
        ceiling = np.where(own > 0, self.percent * own, 1.0)[:, None]
        inside: BoolArray = (cosines <= ceiling) & (cosines >= self.lowest)
        inside[:, : self.skip] = False
        return inside

    def _leave_copies(
        self,
        vectors: Float32Array,
        positive: CodeArray,
        codes: IntArray,
        gaps: Float32Array,
        allowed: BoolArray,
    ) -> None:
        """Take near-duplicates of the positive out of `allowed`.

        Unit vectors of cosine c are sqrt(2 - 2c) apart, and so are, at most, their similarities to
        the anchor; texts with a larger gap need no look.
        """
        reach = np.sqrt(max(2.0 - 2.0 * self.duplicate, 0.0)) + _ROUNDING
        row, place = np.nonzero(allowed & (np.abs(gaps) <= reach))
        for begin in range(0, row.size, _COPIES):  # bounds memory at _COPIES x dim
            some = slice(begin, begin + _COPIES)
            pool = codes[row[some], place[some]]
            cosines = np.einsum("nd,nd->n", vectors[positive[row[some]]], vectors[pool])
            copies = cosines >= self.duplicate
            allowed[row[some][copies], place[some][copies]] = False

    def _drawn(self, codes: IntArray, allowed: BoolArray, rng: np.random.Generator) -> CodeArray:
        """The first allowed places of each row, in order of nearness or of a fair draw."""
        order = np.broadcast_to(np.arange(codes.shape[1], dtype=np.float64), codes.shape)
        rank = rng.random(codes.shape) if self.draw == "random" else order
        rank = np.where(allowed, rank, np.inf)
        width = min(self.per_positive, codes.shape[1])
        chosen = np.argsort(rank, axis=1, kind="stable")[:, :width]
        drawn = np.full((codes.shape[0], self.per_positive), UNKNOWN, dtype=np.int32)
        picked = np.take_along_axis(codes, chosen, axis=1)
        usable = np.take_along_axis(allowed, chosen, axis=1)
        drawn[:, :width] = np.where(usable, picked, UNKNOWN)
        return drawn


@final
@dataclass(frozen=True, slots=True)
class Known:
    """What is known to belong together, so that it serves as no negative.

    Sorted keys of (user, text) likes and of (text, text) that belong together. Texts that differ
    in case, spaces and punctuation only are one text; `same` is the first of each.
    """

    likes: IntArray
    related: IntArray
    n_texts: int
    same: IntArray

    @classmethod
    def of(cls, pairs: Pairs, co_likes: int) -> Known:
        """Return what `pairs` know; `co_likes` users who like two texts join them, 0 leaves it."""
        n = len(pairs.texts)
        codes = Vocabulary.factorize([normalise(text) for text in pairs.texts])[1]
        same = np.append(codes, UNKNOWN).astype(np.int64)  # the last place is that of no text
        positive = pairs.label >= 0.5
        left, right = same[pairs.left[positive]], same[pairs.right[positive]]
        related = [same[:-1] * n + same[:-1], left * n + right, right * n + left]
        users = [pairs.liked_user, pairs.user[positive], pairs.user[positive]]
        user = np.concatenate(users).astype(np.int64)
        text = np.concatenate([same[pairs.liked_text], left, right])
        has = user != UNKNOWN
        likes = np.unique(user[has] * n + text[has])
        if co_likes:
            related.append(_liked_together(likes, n, co_likes))
        return cls(likes, np.unique(np.concatenate(related)), n, same)

    def __call__(
        self, user: CodeArray, anchor: CodeArray, codes: IntArray | CodeArray
    ) -> BoolArray:
        """Return whether each text of `codes`, `(n, m)`, suits the row's user or anchor."""
        texts, near = self.same[codes], self.same[anchor]
        liked = _contains(self.likes, user.astype(np.int64)[:, None] * self.n_texts + texts)
        liked &= (user != UNKNOWN)[:, None]
        together = _contains(self.related, near[:, None] * self.n_texts + texts)
        return np.asarray(liked | together, dtype=np.bool_)


def _contains(keys: IntArray, wanted: IntArray) -> BoolArray:
    if not keys.size:
        return np.zeros(wanted.shape, dtype=np.bool_)
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.asarray(keys[place] == wanted, dtype=np.bool_)


def _liked_together(likes: IntArray, n: int, least: int) -> IntArray:
    from scipy import sparse

    user, text = likes // n, likes % n
    ones = np.ones(likes.size, dtype=np.float32)
    shape = (int(user.max()) + 1 if likes.size else 1, n)
    matrix = sparse.csr_array(sparse.coo_array((ones, (user, text)), shape=shape))
    together = sparse.coo_array(matrix.T @ matrix)
    often = together.data >= least
    keys: IntArray = together.row[often].astype(np.int64) * n + together.col[often]
    return keys


def _read(path: Path, n: int, per_positive: int) -> CodeArray | None:
    """Return negatives that `_write` wrote, or None where there are none to be read."""
    try:
        found: CodeArray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.shape == (n, per_positive) and found.dtype == np.int32 else None


def _write(path: Path, negatives: CodeArray) -> None:
    """Write negatives; the file appears whole or not at all.

    Raises:
        StorageError: If it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=".draft-") as folder:
            draft = Path(folder) / path.name
            np.save(draft, negatives, allow_pickle=False)
            draft.replace(path)
    except OSError as error:
        raise StorageError(f"{path.parent} cannot be written: {error}.") from error
