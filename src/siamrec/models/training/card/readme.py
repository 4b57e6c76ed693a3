"""What a person reads of a tuned encoder: where it comes from, what it gained, how to open it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siamrec._core.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


def readme(card: Mapping[str, Any], *, head: bool) -> str:
    """Return the README of a result, in Markdown.

    Args:
        card: The card, as JSON values.
        head: Whether the folder holds a head without its base.
    """
    if head:
        library, use = "siamrec", 'AdapterEncoder.load("this folder", base)'
        note = "The folder holds the head alone; `base` is the encoder of the fingerprint below."
    else:
        library, use = "sentence-transformers", 'SentenceTransformer("this folder")'
        note = "`SentenceEncoder` of siamrec opens the folder too."
    lineage = {
        "parent": card["parent"],
        "fingerprint": card["fingerprint"],
        "previous version": card["previous"],
        "training pairs": f"{card['data']['train_pairs']}, {card['data']['train']}",
        "validation pairs": f"{card['data']['valid_pairs']}, {card['data']['valid']}",
        "strategy": card["config"]["strategy"]["name"],
        "loss": card["config"]["loss"]["name"],
        "seed": card["config"]["seed"],
        "steps": card["steps"],
        "share of the tuned weights": card["wise_ft"],
        "settings": card["config_hash"],
    }
    parts = [
        f"---\nlibrary_name: {library}\ntags: [sentence-similarity, siamrec]\n---\n",
        f"# A tuned encoder\n\nVerdict: {card['verdict']}.\n",
        f"## Use\n\n```python\nencoder = {use}\n```\n\n{note}\n",
        "## Lineage\n",
        Table.of(
            "", {name: value for name, value in lineage.items() if value is not None}
        ).markdown(),
        "## Measured on validation\n",
        Table.of("", card["metrics"]).markdown(),
        "`card.json` holds all settings, the history and the versions of packages.\n",
    ]
    return "\n".join(parts)
