"""Sticky variants with the probability and the version that gave them; older rows have neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make room for what analysis needs to know of a sticky variant."""
    op.add_column("sticky", sa.Column("propensity", sa.Float))
    op.add_column("sticky", sa.Column("version", sa.Integer))
