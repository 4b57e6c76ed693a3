"""How an encoder is trained: a head on it, its top layers, or all of it."""

__all__ = []
