"""Alembic's environment and the numbered migrations; see docs/design/0006-metadata.md before adding one."""
