"""What tells whether training helps: held-out users, and general skill that may not be lost."""

from siamrec.models.training.validation.choosing import Slices
from siamrec.models.training.validation.retention import Retention

__all__ = ["Retention", "Slices"]
