"""Every table of the metadata store, in SQLAlchemy Core; the migrations build exactly these. No queries here.

Times are unix seconds (REAL, UTC). `*_pk` are internal and never leave storage but for versions,
collections and evaluations, whose ids are their keys. JSON is the text of jsontext.py, where NaN and
infinities are bare tokens. What is filtered or sorted has a typed column and an index; every config and
summary value is also a row of `run_values`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = MetaData(naming_convention=NAMING)

# SQLite gives a 64-bit, auto-numbered key to INTEGER PRIMARY KEY only; PostgreSQL needs BIGINT for the same.
KEY = BigInteger().with_variant(Integer, "sqlite")


def _key(name: str) -> Column[int]:
    return Column(name, KEY, primary_key=True, autoincrement=True)


def _ref(name: str, target: str, *, nullable: bool = False, index: bool = False) -> Column[int]:
    return Column(name, KEY, ForeignKey(target, ondelete="CASCADE"), nullable=nullable, index=index)


entities = Table(
    "entities",
    metadata,
    _key("entity_pk"),
    Column("name", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),  # user, team, organization
    Column("created_at", Double, nullable=False),
)

projects = Table(
    "projects",
    metadata,
    _key("project_pk"),
    _ref("entity_pk", "entities.entity_pk"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("created_at", Double, nullable=False),
    Column("last_number", Integer, nullable=False, server_default="0"),  # of the project's newest run
    UniqueConstraint("entity_pk", "name"),
)

runs = Table(
    "runs",
    metadata,
    _key("run_pk"),
    _ref("project_pk", "projects.project_pk"),
    Column("run_id", Text, nullable=False),
    Column("number", Integer, nullable=False),  # 1 for the project's first run; ends the generated name
    Column("display_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("job_type", Text, nullable=False, server_default=""),
    Column("group_name", Text, nullable=False, server_default=""),
    Column("notes", Text, nullable=False, server_default=""),
    Column("user_name", Text, nullable=False, server_default=""),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("heartbeat_at", Double),
    Column("finished_at", Double),
    Column("exit_code", Integer),
    Column("row_count", BigInteger, nullable=False, server_default="0"),
    Column("last_step", BigInteger),
    Column("is_deleted", Boolean, nullable=False, server_default="0"),
    UniqueConstraint("project_pk", "run_id"),
    Index("ix_runs_project_created", "project_pk", "created_at", "run_pk"),
    Index("ix_runs_project_heartbeat", "project_pk", "heartbeat_at", "run_pk"),
    Index("ix_runs_project_state", "project_pk", "state"),
)

run_documents = Table(
    "run_documents",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("config", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("metrics", Text, nullable=False),  # definitions
    Column("totals", Text, nullable=False),  # running totals behind min, max, mean, best
)

run_tags = Table(
    "run_tags",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("tag", Text, primary_key=True),
    Index("ix_run_tags_tag", "tag", "run_pk"),
)

run_values = Table(
    "run_values",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("scope", Text, primary_key=True),  # c config, s summary
    Column("key", Text, primary_key=True),  # dotted
    _ref("project_pk", "projects.project_pk"),
    Column("num", Double),  # numbers and booleans; null for NaN
    Column("text", Text),  # text, at most 512 characters; else null
    Index("ix_run_values_num", "project_pk", "scope", "key", "num", "run_pk"),
    Index("ix_run_values_text", "project_pk", "scope", "key", "text", "run_pk"),
)

spools = Table(
    "spools",
    metadata,
    _key("spool_pk"),
    _ref("run_pk", "runs.run_pk", index=True),
    Column("spool_id", Text, nullable=False, unique=True),
    Column("next_offset", BigInteger, nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("is_attached", Boolean, nullable=False),
    Column("heartbeat_at", Double, nullable=False),
)

history_chunks = Table(
    "history_chunks",
    metadata,
    _key("chunk_pk"),
    _ref("run_pk", "runs.run_pk", index=True),
    Column("row_count", Integer, nullable=False),
    Column("step_min", BigInteger, nullable=False),
    Column("step_max", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # keys are never used twice: folding tells parts by them
)

history_segments = Table(
    "history_segments",
    metadata,
    _key("segment_pk"),
    _ref("run_pk", "runs.run_pk", index=True),
    Column("digest", Text, nullable=False),  # of the Parquet file among the blobs
    Column("row_count", BigInteger, nullable=False),
    Column("step_min", BigInteger, nullable=False),
    Column("step_max", BigInteger, nullable=False),
    Column("directory", LargeBinary, nullable=False),  # SegmentIndex
    Column("created_at", Double, nullable=False),
    sqlite_autoincrement=True,  # keys are never used twice: folding tells parts by them
)

history_blocks = Table(
    "history_blocks",
    metadata,
    Column(
        "segment_pk",
        KEY,
        ForeignKey("history_segments.segment_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("name", Text, primary_key=True),
    Column("blocks", LargeBinary, nullable=False),
)

history_keys = Table(
    "history_keys",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("value_count", BigInteger, nullable=False),
    Column("last_step", BigInteger, nullable=False),
)

collections = Table(
    "collections",
    metadata,
    _key("collection_pk"),
    _ref("project_pk", "projects.project_pk"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("next_index", Integer, nullable=False, server_default="0"),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    UniqueConstraint("project_pk", "name"),
)

collection_tags = Table(
    "collection_tags",
    metadata,
    Column(
        "collection_pk",
        KEY,
        ForeignKey("collections.collection_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("tag", Text, primary_key=True),
)

versions = Table(
    "versions",
    metadata,
    _key("version_pk"),
    _ref("collection_pk", "collections.collection_pk"),  # the sequence it was logged into
    Column("client_id", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False),
    Column("manifest_digest", Text, nullable=False),  # blob that holds the encoded manifest
    Column("description", Text, nullable=False, server_default=""),
    Column("metadata", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("file_count", Integer, nullable=False),
    Column("history_step", BigInteger),
    _ref("producer_pk", "runs.run_pk", nullable=True, index=True),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("is_deleted", Boolean, nullable=False, server_default="0"),
    Index("ix_versions_collection_digest", "collection_pk", "digest"),
)

version_tags = Table(
    "version_tags",
    metadata,
    Column(
        "version_pk",
        KEY,
        ForeignKey("versions.version_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("tag", Text, primary_key=True),
)

memberships = Table(
    "memberships",
    metadata,
    _key("membership_pk"),
    _ref("collection_pk", "collections.collection_pk"),
    _ref("version_pk", "versions.version_pk", index=True),
    Column("version_index", Integer, nullable=False),
    Column("linked_at", Double, nullable=False),
    UniqueConstraint("collection_pk", "version_index"),
    UniqueConstraint("collection_pk", "version_pk"),
)

aliases = Table(
    "aliases",
    metadata,
    Column(
        "collection_pk",
        KEY,
        ForeignKey("collections.collection_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("alias", Text, primary_key=True),
    _ref("membership_pk", "memberships.membership_pk", index=True),
)

alias_events = Table(
    "alias_events",
    metadata,
    _key("alias_event_pk"),
    _ref("collection_pk", "collections.collection_pk"),
    Column("alias", Text, nullable=False),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("from_index", Integer),
    Column("to_index", Integer),
    Column("reason", Text, nullable=False, server_default=""),
    _ref("run_pk", "runs.run_pk", nullable=True),
    Index("ix_alias_events_collection_alias", "collection_pk", "alias", "at"),
)

run_inputs = Table(
    "run_inputs",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column(
        "version_pk",
        KEY,
        ForeignKey("versions.version_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        index=True,
    ),
    # Through which collection it was addressed. No foreign key: a collection may go, the use stays.
    Column("collection_pk", KEY, nullable=False),
    Column("used_as", Text, nullable=False, server_default=""),
    Column("at", Double, nullable=False),
)

run_outputs = Table(
    "run_outputs",
    metadata,
    Column(
        "run_pk", KEY, ForeignKey("runs.run_pk", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    Column(
        "version_pk",
        KEY,
        ForeignKey("versions.version_pk", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        index=True,
    ),
    Column("at", Double, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    _key("evaluation_pk"),
    _ref("run_pk", "runs.run_pk"),
    _ref("version_pk", "versions.version_pk"),
    Column("verdict", Text, nullable=False),
    Column("scorer", Text, nullable=False, server_default=""),
    Column("evaluated_at", Double, nullable=False),
    Column("report", Text, nullable=False),  # last and out of the index: a report may be megabytes long
    UniqueConstraint("run_pk", "version_pk"),
    Index("ix_evaluations_version_newest", "version_pk", "evaluated_at", "evaluation_pk", "verdict"),
)

audit_events = Table(
    "audit_events",
    metadata,
    _key("audit_event_pk"),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", Text, nullable=False),
    Index("ix_audit_events_subject", "subject", "at"),
)
