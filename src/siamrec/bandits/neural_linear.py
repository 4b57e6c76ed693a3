"""Neural-linear bandits: a linear posterior on what a Siamese encoder makes of a text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from siamrec._core.table import Shown, Table
from siamrec.bandits.bandit import ContextualBandit
from siamrec.bandits.policies.linear import LinearThompson
from siamrec.data.decisions import Decision
from siamrec.errors import InvalidDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from siamrec._core.book import Named
    from siamrec.bandits.limits import Limits
    from siamrec.bandits.log.journal import RewardReceipt
    from siamrec.bandits.log.snapshot import Snapshot
    from siamrec.bandits.policies.base import Policy
    from siamrec.data.decisions import Decisions
    from siamrec.data.rewards import Rewards
    from siamrec.protocols import Clock, SiameseEncoder
    from siamrec.typing import FloatArray, Instant


@final
class NeuralLinear(Shown):
    """Chooses an arm for a text: the encoder's vector goes into a Bayesian linear model.

    With `z = encode(text)` every arm has its own posterior over `θ_a` in `reward ≈ z·θ_a`, exact
    given the encoder; an arm is drawn by Thompson sampling with exact propensities. What is
    learned belongs to one encoder: other weights make other vectors, so a snapshot names the
    encoder's fingerprint and no other encoder may continue it.

    Args:
        encoder: Maps texts to unit vectors.
        arms: Distinct names of the arms.
        policy: A policy on features; linear Thompson sampling when absent.
        limits: Least and greatest probability of an arm.
        seed: Salt of every draw.
        name: Name of the bandit.
        clock: Source of instants; the system's when absent.

    References:
        Riquelme, Tucker, Snoek (2018), Deep Bayesian bandits showdown, ICLR, section 3.

    Examples:
        >>> import numpy as np
        >>> class Letters:
        ...     dim, fingerprint = 2, "letters"
        ...
        ...     def encode(self, texts, *, kind="document"):
        ...         return np.array([[1.0, 0.0] if "a" in text else [0.0, 1.0] for text in texts])
        >>> bandit = NeuralLinear(Letters(), ("svd", "graph"), seed=7)
        >>> decision = bandit.select("a story")
        >>> bandit.learn(decision.id, reward=1.0).applied
        1
    """

    def __init__(
        self,
        encoder: SiameseEncoder,
        arms: Sequence[str],
        *,
        policy: Policy[Any] | Named | None = None,
        limits: Limits | None = None,
        seed: int | str = 0,
        name: str = "neural-linear",
        clock: Clock | None = None,
    ) -> None:
        self.encoder = encoder
        self.bandit: ContextualBandit[Any] = ContextualBandit(
            LinearThompson() if policy is None else policy,
            arms,
            limits=limits,
            seed=seed,
            name=f"{name}/{encoder.fingerprint[:16]}",
            n_features=encoder.dim,
            clock=clock,
        )

    @override
    def title(self) -> str:
        return f"Neural-linear {self.bandit.title()}"

    @override
    def table(self) -> Table:
        """Return what there is to see of the bandit behind it."""
        return replace(self.bandit.table(), title=self.title())

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms; an arm's code is its place here."""
        return self.bandit.arms

    def select(
        self, text: str, *, n: int = 1, unit: str | None = None, time: Instant | None = None
    ) -> Decision:
        """Choose `n` different arms for a text, best rank first, and log the decision."""
        return self.bandit.select(features=self._vectors([text])[0], n=n, unit=unit, time=time)

    def select_many(self, texts: Sequence[str], *, time: Instant | None = None) -> Decisions:
        """Choose one arm for each text from one state, and log the decisions."""
        contexts: list[dict[str, object]] = [{} for _ in texts]
        return self.bandit.select_many(contexts, features=self._vectors(texts), time=time)

    def learn(
        self, rewards: Rewards | Decision | str, reward: float | None = None
    ) -> RewardReceipt:
        """Take in one reward, or a batch; as in `ContextualBandit.learn`."""
        if isinstance(rewards, str | Decision):
            return self.bandit.learn(rewards, float("nan") if reward is None else reward)
        return self.bandit.learn(rewards)

    def probabilities(self, text: str) -> dict[str, float]:
        """Return the probability with which each arm would be chosen for a text."""
        return self.bandit.probabilities(features=self._vectors([text])[0])

    def snapshot(self) -> Snapshot:
        """Return what has been learned; it belongs to this encoder alone."""
        return self.bandit.snapshot()

    def merge(self, other: Snapshot) -> None:
        """Take in what another worker with the same encoder has learned.

        Raises:
            siamrec.errors.InvalidDataError: If the snapshot is of another encoder or bandit.
        """
        self.bandit.merge(other)

    def _vectors(self, texts: Sequence[str]) -> FloatArray:
        vectors: FloatArray = np.asarray(
            self.encoder.encode(list(texts), kind="query"), dtype=np.float64
        )
        if vectors.shape != (len(texts), self.encoder.dim):
            raise InvalidDataError(
                f"encoder must give {(len(texts), self.encoder.dim)}, got {vectors.shape}."
            )
        return vectors
