"""An index of the edits under way alone, and none that only the audit would use."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LIVE = sa.text("ended IS NULL")


def upgrade() -> None:
    """Bring a database of the version before to this one."""
    op.create_index("ix_edits_live", "edits", ["owner"], sqlite_where=LIVE, postgresql_where=LIVE)
    op.drop_index("ix_edits_state_owner", table_name="edits")
    op.drop_index("ix_entries_event", table_name="entries")
    op.drop_index("ix_entries_account", table_name="entries")
