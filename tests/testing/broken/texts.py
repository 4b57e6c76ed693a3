"""Broken encoders, losses, generators, miners and formats, each with one fault."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch

from siamrec.data import PairOrigin, Vocabulary
from siamrec.errors import InvalidDataError
from siamrec.losses import EmbeddingLoss, Side
from siamrec.models import HashingEncoder
from siamrec.models.export import Exporter, Thresholds
from siamrec.pairs import HardNegatives, MinimumCounts, RatingPairs
from siamrec.testing.encoders import EncoderContract
from siamrec.testing.export import ExporterContract
from siamrec.testing.losses import LossContract
from siamrec.testing.pairs import MinerContract, PairGeneratorContract

# --- encoders --------------------------------------------------------------------------------


class RightEncoder:
    def __init__(self, dim=24, salt=""):
        self.right, self.dim, self.salt = HashingEncoder(dim=dim), dim, salt

    @property
    def fingerprint(self):
        return f"hashing of {self.dim} with {self.salt!r}"

    def checked(self, texts):
        if isinstance(texts, str):
            raise InvalidDataError("texts must be a sequence of texts, got one.")
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise InvalidDataError(f"texts must be text, got {text} in place {place}.")
        return list(texts)

    def encode(self, texts, *, kind="document"):
        return self.right.encode([self.salt + text for text in self.checked(texts)])


class NotOfUnitLength(RightEncoder):
    def encode(self, texts, *, kind="document"):
        return 2 * super().encode(texts, kind=kind)


class ConstantFingerprint(RightEncoder):
    fingerprint = "always the same name"


class InDoubles(RightEncoder):
    def encode(self, texts, *, kind="document"):
        return super().encode(texts, kind=kind).astype(np.float64)


class NoisyEncoder(RightEncoder):
    def encode(self, texts, *, kind="document"):
        found = super().encode(texts, kind=kind)
        found = found + 1e-3 * np.random.rand(*found.shape).astype(np.float32)
        return found / np.linalg.norm(found, axis=1, keepdims=True)


class CentredByCompany(RightEncoder):
    def encode(self, texts, *, kind="document"):
        found = super().encode(texts, kind=kind)
        found = found - 0.5 * found.mean(axis=0)
        return found / np.linalg.norm(found, axis=1, keepdims=True).clip(1e-9)


class SortedTexts(RightEncoder):
    def encode(self, texts, *, kind="document"):
        return super().encode(sorted(self.checked(texts)), kind=kind)


class KeepsItsVectors(RightEncoder):
    kept: ClassVar[dict] = {}

    def encode(self, texts, *, kind="document"):
        key = tuple(self.checked(texts)), self.fingerprint
        if key not in self.kept:
            self.kept[key] = super().encode(texts, kind=kind)
        return self.kept[key]


class TakesOneText(RightEncoder):
    def checked(self, texts):
        return [texts] if isinstance(texts, str) else super().checked(texts)


class ReadsNoneAsNothing(RightEncoder):
    def checked(self, texts):
        if isinstance(texts, str):
            return super().checked(texts)
        return ["" if text is None else text for text in texts]


class NothingOfNoShape(RightEncoder):
    def encode(self, texts, *, kind="document"):
        return super().encode(texts, kind=kind) if len(texts) else np.zeros(0, np.float32)


class OneVectorForAll(RightEncoder):
    def encode(self, texts, *, kind="document"):
        return np.tile(super().encode(["a"]), (len(self.checked(texts)), 1))


class FirstWord(RightEncoder):
    """Reads the first word alone: whether two texts mean the same, a suite cannot know."""

    def checked(self, texts):
        return [text.split(" ", 2)[0] + text[:12] for text in super().checked(texts)]


class EncoderCase(EncoderContract):
    def other(self):
        return type(self.make())(salt="other ")


@dataclass(frozen=True)
class RightSettings:
    """A right encoder of a suite that is told of no second one."""

    dim: int = 24
    power: float = 1.0
    signed: bool = True

    @property
    def fingerprint(self):
        return f"letters in {self.dim}, {self.power}, {self.signed}"

    def encode(self, texts, *, kind="document"):
        found = HashingEncoder(dim=self.dim).encode(RightEncoder().checked(texts))
        rows = np.abs(found) ** self.power * (np.sign(found) if self.signed else 1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class LeavesOutANumber(RightSettings):
    @property
    def fingerprint(self):
        return f"letters in {self.dim}, {self.signed}, but to what power?"


class LeavesOutATruthValue(RightSettings):
    @property
    def fingerprint(self):
        return f"letters in {self.dim}, {self.power}, with signs?"


# --- losses ----------------------------------------------------------------------------------


class RightLoss(EmbeddingLoss):
    """Squared distance between the cosine and the label, weighted."""

    def __init__(self, model=None, *, scale=1.0):
        super().__init__(model)
        self.scale = scale

    def cosine(self, embeddings):
        return torch.nn.functional.cosine_similarity(embeddings[0], embeddings[1])

    def rows(self, cosine, side):
        return self.scale * (cosine - side.value) ** 2

    def compute_loss_from_embeddings(self, embeddings, labels=None):
        side = Side.of(labels)
        values = self.rows(self.cosine(embeddings), side)
        return (side.weight.to(values.dtype) * values).sum() / side.weight.sum().to(values.dtype)

    def get_config_dict(self):
        return {"scale": self.scale}


class PushesAway(RightLoss):
    def rows(self, cosine, side):
        return self.scale * (cosine + side.value) ** 2


class ReadsNoLabel(RightLoss):
    def rows(self, cosine, side):
        return self.scale * (cosine - 1) ** 2


class ReadsTheMeanLabel(RightLoss):
    def rows(self, cosine, side):
        return self.scale * (cosine - side.value.mean()) ** 2


class ReadsTheFirstLabels(RightLoss):
    def rows(self, cosine, side):
        value = torch.where(torch.arange(len(cosine)) < 4, side.value, 0.25)
        return self.scale * (cosine - value) ** 2


class WithoutWeights(RightLoss):
    def compute_loss_from_embeddings(self, embeddings, labels=None):
        side = Side.of(labels)
        return self.rows(self.cosine(embeddings), side).mean()


class OneSidedGradient(RightLoss):
    def cosine(self, embeddings):
        return super().cosine([embeddings[0], embeddings[1].detach()])


class ByRow(RightLoss):
    def rows(self, cosine, side):
        return super().rows(cosine, side) * torch.arange(1, len(cosine) + 1)


class NoisyLoss(RightLoss):
    def rows(self, cosine, side):
        return super().rows(cosine, side) + torch.rand(len(cosine))


class LosesSettings(RightLoss):
    def __init__(self, model=None, *, scale=3.0):
        super().__init__(model, scale=scale)

    def get_config_dict(self):
        return {"scale": 1.0}


class NotFinite(RightLoss):
    def rows(self, cosine, side):
        return super().rows(cosine, side) / (cosine - cosine)


class WritesIntoEmbeddings(RightLoss):
    def cosine(self, embeddings):
        with torch.no_grad():
            embeddings[0].mul_(0.5).add_(0.1)
        return super().cosine(embeddings)


class SquaresWeights(RightLoss):
    def compute_loss_from_embeddings(self, embeddings, labels=None):
        labels = labels.clone()
        labels[:, 1] = labels[:, 1] ** 2
        return super().compute_loss_from_embeddings(embeddings, labels)


class VectorOfLosses(RightLoss):
    def compute_loss_from_embeddings(self, embeddings, labels=None):
        return self.rows(self.cosine(embeddings), Side.of(labels))


class RemembersBatches(RightLoss):
    seen: ClassVar[list] = []

    def rows(self, cosine, side):
        self.seen.append(1)
        return super().rows(cosine, side) * len(self.seen)


# --- generators ------------------------------------------------------------------------------


class RightGenerator:
    right: ClassVar = RatingPairs(minimum=MinimumCounts(positive=1, negative=0, total=1))

    def generate(self, feedback, catalog, *, rng):
        return self.right.generate(feedback, catalog, rng=rng)


class JoinsAcrossUsers(RightGenerator):
    """Moves the likes of each user on to the next: two people's likes become one pair."""

    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        row = np.flatnonzero((pairs.label >= 0.5) & (pairs.origin != PairOrigin.SYNTHETIC))
        apart = np.roll(row, row.size // 2)
        left, left_item = pairs.left.copy(), pairs.left_item.copy()
        left[row], left_item[row] = pairs.left[apart], pairs.left_item[apart]
        keep = left != pairs.right
        return replace(pairs, left=left, left_item=left_item).where(keep)


class OwnSeed(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        return super().generate(feedback, catalog, rng=np.random.default_rng(0))


class GlobalPairs(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        chance = np.random.default_rng(int(np.random.rand() * 2**31))
        return super().generate(feedback, catalog, rng=chance)


class IdsAsTextOfCodes(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, users=Vocabulary(tuple(map(str, range(len(pairs.users))))))


class UsersOffByOne(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, user=((pairs.user + 1) % len(pairs.users)).astype(np.int32))


class TextsOffByOne(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        moved = (pairs.right + 1) % len(pairs.texts)
        return replace(pairs, right=np.where(moved == pairs.left, pairs.right, moved))


class DislikesForLikes(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, label=1 - pairs.label)


class WeighsNothing(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, weight=np.zeros_like(pairs.weight))


class WithItself(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, right=pairs.left)


class NoPairs(RightGenerator):
    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return pairs.where(np.zeros(len(pairs), dtype=bool))


class WeightTwice(RightGenerator):
    """Every weight twice: only their shares are used."""

    def generate(self, feedback, catalog, *, rng):
        pairs = super().generate(feedback, catalog, rng=rng)
        return replace(pairs, weight=2 * pairs.weight)


# --- miners ----------------------------------------------------------------------------------


class RightMiner:
    right: ClassVar = HardNegatives(per_positive=3, pool=16)

    def mine(self, pairs, encoder=None):
        return self.right.mine(pairs, encoder)


class TakesPositives(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        negatives = found.negatives.copy()
        negatives[pairs.label >= 0.5, 0] = pairs.right[pairs.label >= 0.5]
        return replace(found, negatives=negatives)


class TooFew(RightMiner):
    right: ClassVar = HardNegatives(per_positive=1, pool=16)


class OneOfThree(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        negatives = found.negatives.copy()
        negatives[:, 1:] = -1
        return replace(found, negatives=negatives)


class DropsRows(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        return found.where(found.label >= 0.5)


class ForAllRows(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        negatives = found.negatives.copy()
        negatives[pairs.label < 0.5] = negatives[pairs.label >= 0.5][0]
        return replace(found, negatives=negatives)


class Farthest(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        vectors = encoder.encode(pairs.texts)
        order = np.argsort((vectors @ vectors.T)[pairs.left], axis=1)[:, :3].astype(np.int32)
        order[pairs.label < 0.5] = -1
        return replace(found, negatives=order)


class AnyText(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        negatives = found.negatives.copy()
        chosen = negatives >= 0
        negatives[chosen] = np.random.randint(0, len(pairs.texts), chosen.sum())
        return replace(found, negatives=negatives)


class TheSameThrice(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        return replace(found, negatives=np.repeat(found.negatives[:, :1], 3, axis=1))


class MovesWeights(RightMiner):
    def mine(self, pairs, encoder=None):
        found = super().mine(pairs, encoder)
        return replace(found, weight=found.weight * 0.5)


# --- formats ---------------------------------------------------------------------------------


def _write(encoder, folder, quantization):
    (folder / "encoder.json").write_text(json.dumps({"dim": encoder.dim, "salt": encoder.salt}))


def _read(encoder, folder, texts):
    return RightEncoder(**json.loads((folder / "encoder.json").read_text())).encode(texts), "me"


def _read_beside(encoder, folder, texts):
    return encoder.encode(texts), "me"


def _read_rounded(encoder, folder, texts):
    vectors, by = _read(encoder, folder, texts)
    return np.round(vectors * 2) / 2, by


def _read_sorted(encoder, folder, texts):
    return _read(encoder, folder, sorted(texts))


def _read_short(encoder, folder, texts):
    vectors, by = _read(encoder, folder, texts)
    return vectors[:, :-1], by


def _read_nameless(encoder, folder, texts):
    return _read(encoder, folder, texts)[0], ""


def _read_broken(encoder, folder, texts):
    vectors, by = _read(encoder, folder, texts)
    return vectors * np.nan, by


_STRICT = MappingProxyType({"": Thresholds(0.9999, 0.99)})


class FormatCase(ExporterContract):
    made: Any

    def encoder(self, seed=0):
        return RightEncoder(salt=f"{seed} ")


FORMATS = {
    "ReadsTheEncoderBeside": Exporter(_write, _read_beside, _STRICT),
    "Rounded": Exporter(_write, _read_rounded, _STRICT),
    "SortedOnReading": Exporter(_write, _read_sorted, _STRICT),
    "ShorterVectors": Exporter(_write, _read_short, _STRICT),
    "ReadByNobody": Exporter(_write, _read_nameless, _STRICT),
    "NoNumbers": Exporter(_write, _read_broken, _STRICT),
    "NoQuantization": Exporter(_write, _read, MappingProxyType({})),
    "AnythingPasses": Exporter(_write, _read, MappingProxyType({"": Thresholds(-1.0, -1.0)})),
}

KINDS = {
    EncoderCase: RightEncoder,
    LossContract: RightLoss,
    PairGeneratorContract: RightGenerator,
    MinerContract: RightMiner,
}
RIGHT = {
    FormatCase: lambda: Exporter(_write, _read, _STRICT),
    EncoderContract: RightSettings,
}
MORE = {
    EncoderContract: {each.__name__: each for each in RightSettings.__subclasses__()},
    FormatCase: {name: (lambda made=made: made) for name, made in FORMATS.items()},
}
