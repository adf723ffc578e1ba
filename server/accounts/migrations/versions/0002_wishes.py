"""What callers wish of an edit that goes on by itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring a database of the version before to this one."""
    op.add_column("edits", sa.Column("wish", sa.String(length=10), nullable=True))
