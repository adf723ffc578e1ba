"""The edits of an account in the order of their time."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring a database of the version before to this one."""
    with op.batch_alter_table("edits", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_edits_account_id_created_id"),
            ["account_id", "created", "id"],
            unique=False,
        )
