"""The event log and state, on SQLite by default and on PostgreSQL by URL."""

from siamrec.storage.blobs import FolderBlobs
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.feedback import FeedbackLog, Receipt
from siamrec.storage.store import Store
from siamrec.storage.versions import Activation, StoredVersion, VersionTable

__all__ = [
    "Activation",
    "DecisionLog",
    "FeedbackLog",
    "FolderBlobs",
    "Receipt",
    "Store",
    "StoredVersion",
    "VersionTable",
]
