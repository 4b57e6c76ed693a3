"""What is known to belong together, so that it never serves as a negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from typing_extensions import override

from siamrec.data.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from siamrec.data import Pairs
    from siamrec.losses.base import Side
    from siamrec.typing import IntArray


@final
class KnownPositives(nn.Module):
    """A set of (row, text) couples that answers many membership questions at once.

    `known(rows, texts)` tells whether each couple of a row and a text is in the set, as a mask of
    shape `(rows, texts)`; a negative row (no user) knows nothing.

    Couples are kept as sorted 64-bit keys `row * n_texts + text`, so memory is 8 bytes for each
    and a lookup is a binary search.

    Args:
        rows: Row of each couple: a user, or an anchor's text.
        texts: Text of each couple, of the same length.
        n_texts: Number of texts.

    Examples:
        >>> known = KnownPositives(np.array([0, 0]), np.array([1, 2]), n_texts=3)
        >>> known(torch.tensor([0, 1]), torch.tensor([1, 2])).tolist()
        [[True, True], [False, False]]
    """

    keys: Tensor

    def __init__(self, rows: IntArray, texts: IntArray, *, n_texts: int) -> None:
        super().__init__()
        keys = np.unique(np.asarray(rows, np.int64) * n_texts + np.asarray(texts, np.int64))
        self.n_texts = n_texts
        self.register_buffer("keys", torch.from_numpy(keys), persistent=False)

    @classmethod
    def likes(cls, pairs: Pairs) -> KnownPositives:
        """Return what each user of `pairs` is known to like, by user code and text code."""
        positive = (pairs.label >= 0.5) & (pairs.user != UNKNOWN)
        users = [pairs.liked_user, pairs.user[positive], pairs.user[positive]]
        texts = [pairs.liked_text, pairs.left[positive], pairs.right[positive]]
        return cls(np.concatenate(users), np.concatenate(texts), n_texts=len(pairs.texts))

    @classmethod
    def related(cls, pairs: Pairs, *, least_users: int = 5) -> KnownPositives:
        """Return the texts that belong to each text, by text code twice.

        A text belongs to itself, to what a positive pair joins it with, and to what at least
        `least_users` users like together with it (0 leaves these out).
        """
        n = len(pairs.texts)
        positive = pairs.label >= 0.5
        left, right = pairs.left[positive], pairs.right[positive]
        rows: list[Any] = [np.arange(n), left, right]
        texts: list[Any] = [np.arange(n), right, left]
        if least_users and pairs.liked_user.size:
            both = (
                np.ones(pairs.liked_user.size, np.float32),
                (pairs.liked_user, pairs.liked_text),
            )
            likes = sparse.csr_array(sparse.coo_array(both, shape=(len(pairs.users), n)))
            likes.data[:] = 1.0
            together = sparse.coo_array(likes.T @ likes)
            often = together.data >= least_users
            rows.append(together.row[often])
            texts.append(together.col[often])
        return cls(np.concatenate(rows), np.concatenate(texts), n_texts=n)

    @override
    def forward(self, rows: Tensor, texts: Tensor) -> Tensor:
        if not self.keys.numel():
            return torch.zeros(rows.shape[0], texts.shape[0], dtype=torch.bool, device=rows.device)
        wanted = rows.long()[:, None] * self.n_texts + texts.long()[None, :]
        place = torch.searchsorted(self.keys, wanted).clamp(max=self.keys.numel() - 1)
        return (self.keys[place] == wanted) & (rows >= 0)[:, None]


def known_candidates(
    side: Side,
    codes: Tensor,
    *,
    likes: KnownPositives | None,
    related: KnownPositives | None,
) -> Tensor:
    """Return which candidates of a batch are known to suit each row, `(rows, candidates)`.

    Equal texts always are, so that the same text twice in a batch is no rival. A row's own
    negatives are negatives whatever is known, but a copy of the positive only fills a place.

    Args:
        side: What stands beside the texts, with their codes.
        codes: Text code of each candidate: all positives, then all first negatives, and so on.
        likes: What each user likes.
        related: Which texts belong together.
    """
    assert side.texts is not None
    n_rows, columns = side.texts.shape
    rows = torch.arange(n_rows, device=codes.device)
    same = side.texts[:, 1][:, None] == codes[None, :]
    known = same
    if likes is not None and side.user is not None:
        known = known | likes(side.user, codes)
    if related is not None:
        known = known | related(side.texts[:, 0], codes)
    for column in range(1, columns - 1):
        own = column * n_rows + rows
        known[rows, own] = same[rows, own]
    return known
