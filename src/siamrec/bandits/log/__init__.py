"""The log of a bandit: decisions, rewards, and the sums that are a fold of them."""

from siamrec.bandits.log.delay import DelayCurve
from siamrec.bandits.log.journal import RewardReceipt
from siamrec.bandits.log.rewards import RewardRule, SuccessRule
from siamrec.bandits.log.snapshot import Snapshot

__all__ = ["DelayCurve", "RewardReceipt", "RewardRule", "Snapshot", "SuccessRule"]
