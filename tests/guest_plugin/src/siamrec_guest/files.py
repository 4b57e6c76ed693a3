"""A format of files: votes, as a guest's site writes them."""

from __future__ import annotations

from siamrec.feedback import FileFormat

VOTES = FileFormat(
    about="Votes of a guest's site",
    header=("voter", "thing", "vote"),
    columns={"user": "voter", "item": "thing", "kind": "vote"},
    settings={"kinds": {"aye": "like", "nay": "dislike"}},
)
