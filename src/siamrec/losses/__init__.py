"""Training losses on embeddings; each also runs in a plain sentence-transformers trainer."""

from siamrec.losses._infonce import feedback_infonce
from siamrec.losses.known import KnownPositives

__all__ = ["KnownPositives", "feedback_infonce"]
