"""A sentence-transformers model small enough to build in memory, for tests of training."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sentence_transformers import SentenceTransformer

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_model(
    texts: Iterable[str], *, dim: int = 32, layers: int = 2, seed: int = 0
) -> SentenceTransformer:
    """Return an untrained BERT with mean pooling over the words of `texts`.

    Args:
        texts: Texts whose words (lower case, split at spaces) become the vocabulary.
        dim: Length of a vector, a multiple of 4.
        layers: Number of layers.
        seed: Of the weights.
    """
    import tempfile

    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import (
        Normalize,
        Pooling,
        Transformer,
    )
    from transformers import BertConfig, BertModel, BertTokenizer

    words = dict.fromkeys(word for text in texts for word in text.lower().split())
    vocabulary = {word: code for code, word in enumerate((*_SPECIAL, *words))}
    tokenizer = BertTokenizer(vocab=vocabulary, do_lower_case=True)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=dim,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * dim,
        max_position_embeddings=64,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bert = BertModel(config)
    from siamrec.models.encoders.sentence import quietly

    with tempfile.TemporaryDirectory() as folder, quietly():
        bert.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        transformer = Transformer(folder, max_seq_length=32)
    return SentenceTransformer(modules=[transformer, Pooling(dim), Normalize()], device="cpu")
