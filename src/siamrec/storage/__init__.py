"""The event log and state, on SQLite by default and on PostgreSQL by URL."""

from siamrec.storage.audit import Past, Verification
from siamrec.storage.bandit import StoredBandit
from siamrec.storage.blobs import FolderBlobs
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.experiments import StoredExperiments, StoredSticky
from siamrec.storage.feedback import FeedbackLog, Receipt
from siamrec.storage.store import Store
from siamrec.storage.versions import Activation, StoredVersion, VersionTable

__all__ = [
    "Activation",
    "DecisionLog",
    "FeedbackLog",
    "FolderBlobs",
    "Past",
    "Receipt",
    "Store",
    "StoredBandit",
    "StoredExperiments",
    "StoredSticky",
    "StoredVersion",
    "Verification",
    "VersionTable",
]
