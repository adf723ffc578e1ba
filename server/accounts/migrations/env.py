"""Runs the migrations on the connection that `Store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from server.accounts.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
