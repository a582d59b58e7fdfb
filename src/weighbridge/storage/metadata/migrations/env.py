"""Runs migrations on the connection that schema.py hands over, inside its transaction. Nothing else."""

from __future__ import annotations

from alembic import context

from weighbridge.storage.metadata.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
context.run_migrations()
