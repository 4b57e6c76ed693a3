"""The event log and state, on SQLite by default and on PostgreSQL by URL."""

from siamrec.storage.archive import ArchiveBlobs, Sealed
from siamrec.storage.audit import Past, Verification
from siamrec.storage.backup import Backup, restored
from siamrec.storage.bandit import StoredBandit
from siamrec.storage.blobs import FolderBlobs
from siamrec.storage.blocks import BlockLog
from siamrec.storage.catalog import CatalogLog
from siamrec.storage.copies import Copies, Exported, Imported
from siamrec.storage.decisions import DecisionLog
from siamrec.storage.diary import Diary, DiaryEntry
from siamrec.storage.erasure import Erasure
from siamrec.storage.experiments import StoredExperiments, StoredSticky
from siamrec.storage.feedback import FeedbackLog, Receipt
from siamrec.storage.identity import IdentityLog, Whose
from siamrec.storage.incoming import Written
from siamrec.storage.inspection import Inspection, inspected
from siamrec.storage.jobs import Claim, Job, JobLog
from siamrec.storage.persons import PersonLog
from siamrec.storage.recommendations import Heads, Looked, RecommendationLog, StoredList
from siamrec.storage.snapshots import Snapshots, TrainingSnapshot
from siamrec.storage.store import Store
from siamrec.storage.summary import FeedbackSummary
from siamrec.storage.tail import Tail
from siamrec.storage.values import Revision, StoredValues
from siamrec.storage.versions import Activation, StoredVersion, VersionTable
from siamrec.storage.writer import FeedbackWriter

__all__ = [
    "Activation",
    "ArchiveBlobs",
    "Backup",
    "BlockLog",
    "CatalogLog",
    "Claim",
    "Copies",
    "DecisionLog",
    "Diary",
    "DiaryEntry",
    "Erasure",
    "Exported",
    "FeedbackLog",
    "FeedbackSummary",
    "FeedbackWriter",
    "FolderBlobs",
    "Heads",
    "IdentityLog",
    "Imported",
    "Inspection",
    "Job",
    "JobLog",
    "Looked",
    "Past",
    "PersonLog",
    "Receipt",
    "RecommendationLog",
    "Revision",
    "Sealed",
    "Snapshots",
    "Store",
    "StoredBandit",
    "StoredExperiments",
    "StoredList",
    "StoredSticky",
    "StoredValues",
    "StoredVersion",
    "Tail",
    "TrainingSnapshot",
    "Verification",
    "VersionTable",
    "Whose",
    "Written",
    "inspected",
    "restored",
]
