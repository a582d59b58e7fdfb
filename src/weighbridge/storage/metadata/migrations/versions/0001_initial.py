"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_audit_events()
    _create_entities()
    _create_projects()
    _create_collections()
    _create_runs()
    _create_alias_events()
    _create_collection_tags()
    _create_history_chunks()
    _create_history_keys()
    _create_history_segments()
    _create_run_documents()
    _create_run_tags()
    _create_run_values()
    _create_spools()
    _create_versions()
    _create_evaluations()
    _create_history_blocks()
    _create_memberships()
    _create_run_inputs()
    _create_run_outputs()
    _create_version_tags()
    _create_aliases()


def _create_audit_events() -> None:
    op.create_table(
        "audit_events",
        sa.Column("audit_event_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("audit_event_pk", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_subject", "audit_events", ["subject", "at"], unique=False)


def _create_entities() -> None:
    op.create_table(
        "entities",
        sa.Column("entity_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("entity_pk", name=op.f("pk_entities")),
        sa.UniqueConstraint("name", name=op.f("uq_entities_name")),
    )


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("project_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("entity_pk", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_number", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["entity_pk"],
            ["entities.entity_pk"],
            name=op.f("fk_projects_entity_pk_entities"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_pk", name=op.f("pk_projects")),
        sa.UniqueConstraint("entity_pk", "name", name=op.f("uq_projects_entity_pk_name")),
    )


def _create_collections() -> None:
    op.create_table(
        "collections",
        sa.Column("collection_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("project_pk", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("next_index", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_pk"],
            ["projects.project_pk"],
            name=op.f("fk_collections_project_pk_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_pk", name=op.f("pk_collections")),
        sa.UniqueConstraint("project_pk", "name", name=op.f("uq_collections_project_pk_name")),
    )


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("project_pk", KEY, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("job_type", sa.Text(), server_default="", nullable=False),
        sa.Column("group_name", sa.Text(), server_default="", nullable=False),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("user_name", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("row_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=True),
        sa.Column("is_deleted", sa.Boolean(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["project_pk"],
            ["projects.project_pk"],
            name=op.f("fk_runs_project_pk_projects"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_pk", name=op.f("pk_runs")),
        sa.UniqueConstraint("project_pk", "run_id", name=op.f("uq_runs_project_pk_run_id")),
    )
    op.create_index("ix_runs_project_created", "runs", ["project_pk", "created_at", "run_pk"], unique=False)
    op.create_index(
        "ix_runs_project_heartbeat", "runs", ["project_pk", "heartbeat_at", "run_pk"], unique=False
    )
    op.create_index("ix_runs_project_state", "runs", ["project_pk", "state"], unique=False)


def _create_alias_events() -> None:
    op.create_table(
        "alias_events",
        sa.Column("alias_event_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("from_index", sa.Integer(), nullable=True),
        sa.Column("to_index", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("run_pk", KEY, nullable=True),
        sa.ForeignKeyConstraint(
            ["collection_pk"],
            ["collections.collection_pk"],
            name=op.f("fk_alias_events_collection_pk_collections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_alias_events_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("alias_event_pk", name=op.f("pk_alias_events")),
    )
    op.create_index(
        "ix_alias_events_collection_alias", "alias_events", ["collection_pk", "alias", "at"], unique=False
    )


def _create_collection_tags() -> None:
    op.create_table(
        "collection_tags",
        sa.Column("collection_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"],
            ["collections.collection_pk"],
            name=op.f("fk_collection_tags_collection_pk_collections"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_pk", "tag", name=op.f("pk_collection_tags")),
    )


def _create_history_chunks() -> None:
    op.create_table(
        "history_chunks",
        sa.Column("chunk_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("run_pk", KEY, nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("step_min", sa.BigInteger(), nullable=False),
        sa.Column("step_max", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_history_chunks_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("chunk_pk", name=op.f("pk_history_chunks")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_history_chunks_run_pk"), "history_chunks", ["run_pk"], unique=False)


def _create_history_keys() -> None:
    op.create_table(
        "history_keys",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value_count", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_history_keys_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_pk", "name", name=op.f("pk_history_keys")),
    )


def _create_history_segments() -> None:
    op.create_table(
        "history_segments",
        sa.Column("segment_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("run_pk", KEY, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("step_min", sa.BigInteger(), nullable=False),
        sa.Column("step_max", sa.BigInteger(), nullable=False),
        sa.Column("directory", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_history_segments_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("segment_pk", name=op.f("pk_history_segments")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_history_segments_run_pk"), "history_segments", ["run_pk"], unique=False)


def _create_run_documents() -> None:
    op.create_table(
        "run_documents",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("config", sa.Text(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("metrics", sa.Text(), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_run_documents_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_pk", name=op.f("pk_run_documents")),
    )


def _create_run_tags() -> None:
    op.create_table(
        "run_tags",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_run_tags_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_pk", "tag", name=op.f("pk_run_tags")),
    )
    op.create_index("ix_run_tags_tag", "run_tags", ["tag", "run_pk"], unique=False)


def _create_run_values() -> None:
    op.create_table(
        "run_values",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project_pk", KEY, nullable=False),
        sa.Column("num", sa.Double(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_pk"],
            ["projects.project_pk"],
            name=op.f("fk_run_values_project_pk_projects"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_run_values_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_pk", "scope", "key", name=op.f("pk_run_values")),
    )
    op.create_index(
        "ix_run_values_num", "run_values", ["project_pk", "scope", "key", "num", "run_pk"], unique=False
    )
    op.create_index(
        "ix_run_values_text", "run_values", ["project_pk", "scope", "key", "text", "run_pk"], unique=False
    )


def _create_spools() -> None:
    op.create_table(
        "spools",
        sa.Column("spool_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("run_pk", KEY, nullable=False),
        sa.Column("spool_id", sa.Text(), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("is_attached", sa.Boolean(), nullable=False),
        sa.Column("heartbeat_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_spools_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("spool_pk", name=op.f("pk_spools")),
        sa.UniqueConstraint("spool_id", name=op.f("uq_spools_spool_id")),
    )
    op.create_index(op.f("ix_spools_run_pk"), "spools", ["run_pk"], unique=False)


def _create_versions() -> None:
    op.create_table(
        "versions",
        sa.Column("version_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("manifest_digest", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("file_count", sa.Integer(), nullable=False),
        sa.Column("history_step", sa.BigInteger(), nullable=True),
        sa.Column("producer_pk", KEY, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("is_deleted", sa.Boolean(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"],
            ["collections.collection_pk"],
            name=op.f("fk_versions_collection_pk_collections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["producer_pk"], ["runs.run_pk"], name=op.f("fk_versions_producer_pk_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("version_pk", name=op.f("pk_versions")),
        sa.UniqueConstraint("client_id", name=op.f("uq_versions_client_id")),
    )
    op.create_index("ix_versions_collection_digest", "versions", ["collection_pk", "digest"], unique=False)
    op.create_index(op.f("ix_versions_producer_pk"), "versions", ["producer_pk"], unique=False)


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("evaluation_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("run_pk", KEY, nullable=False),
        sa.Column("version_pk", KEY, nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("scorer", sa.Text(), server_default="", nullable=False),
        sa.Column("evaluated_at", sa.Double(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_evaluations_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_pk"],
            ["versions.version_pk"],
            name=op.f("fk_evaluations_version_pk_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_pk", name=op.f("pk_evaluations")),
        sa.UniqueConstraint("run_pk", "version_pk", name=op.f("uq_evaluations_run_pk_version_pk")),
    )
    op.create_index(
        "ix_evaluations_version_newest",
        "evaluations",
        ["version_pk", "evaluated_at", "evaluation_pk", "verdict"],
        unique=False,
    )


def _create_history_blocks() -> None:
    op.create_table(
        "history_blocks",
        sa.Column("segment_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("blocks", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["segment_pk"],
            ["history_segments.segment_pk"],
            name=op.f("fk_history_blocks_segment_pk_history_segments"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("segment_pk", "name", name=op.f("pk_history_blocks")),
    )


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("membership_pk", KEY, autoincrement=True, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("version_pk", KEY, nullable=False),
        sa.Column("version_index", sa.Integer(), nullable=False),
        sa.Column("linked_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"],
            ["collections.collection_pk"],
            name=op.f("fk_memberships_collection_pk_collections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["version_pk"],
            ["versions.version_pk"],
            name=op.f("fk_memberships_version_pk_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("membership_pk", name=op.f("pk_memberships")),
        sa.UniqueConstraint(
            "collection_pk", "version_index", name=op.f("uq_memberships_collection_pk_version_index")
        ),
        sa.UniqueConstraint(
            "collection_pk", "version_pk", name=op.f("uq_memberships_collection_pk_version_pk")
        ),
    )
    op.create_index(op.f("ix_memberships_version_pk"), "memberships", ["version_pk"], unique=False)


def _create_run_inputs() -> None:
    op.create_table(
        "run_inputs",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("version_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("collection_pk", KEY, nullable=False),
        sa.Column("used_as", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_run_inputs_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_pk"],
            ["versions.version_pk"],
            name=op.f("fk_run_inputs_version_pk_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_pk", "version_pk", name=op.f("pk_run_inputs")),
    )
    op.create_index(op.f("ix_run_inputs_version_pk"), "run_inputs", ["version_pk"], unique=False)


def _create_run_outputs() -> None:
    op.create_table(
        "run_outputs",
        sa.Column("run_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("version_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_pk"], ["runs.run_pk"], name=op.f("fk_run_outputs_run_pk_runs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_pk"],
            ["versions.version_pk"],
            name=op.f("fk_run_outputs_version_pk_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_pk", "version_pk", name=op.f("pk_run_outputs")),
    )
    op.create_index(op.f("ix_run_outputs_version_pk"), "run_outputs", ["version_pk"], unique=False)


def _create_version_tags() -> None:
    op.create_table(
        "version_tags",
        sa.Column("version_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_pk"],
            ["versions.version_pk"],
            name=op.f("fk_version_tags_version_pk_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_pk", "tag", name=op.f("pk_version_tags")),
    )


def _create_aliases() -> None:
    op.create_table(
        "aliases",
        sa.Column("collection_pk", KEY, autoincrement=False, nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("membership_pk", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_pk"],
            ["collections.collection_pk"],
            name=op.f("fk_aliases_collection_pk_collections"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["membership_pk"],
            ["memberships.membership_pk"],
            name=op.f("fk_aliases_membership_pk_memberships"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("collection_pk", "alias", name=op.f("pk_aliases")),
    )
    op.create_index(op.f("ix_aliases_membership_pk"), "aliases", ["membership_pk"], unique=False)
