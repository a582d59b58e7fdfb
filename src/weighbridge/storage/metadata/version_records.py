"""Builds full version records: four statements for any number of versions, never one per version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Row, bindparam, select

from weighbridge.domain.artifact import VersionRecord
from weighbridge.domain.run import RunRef
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata import jsontext
from weighbridge.storage.metadata.collections import shown_name
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import (
    aliases,
    collections,
    entities,
    evaluations,
    memberships,
    projects,
    runs,
    version_tags,
    versions,
)

_SOURCE: Final = collections.alias("source")
_SOURCE_PROJECT: Final = projects.alias("source_projects")
_SOURCE_ENTITY: Final = entities.alias("source_entities")
_SOURCE_PLACE: Final = memberships.alias("source_memberships")
_RUN_PROJECT: Final = projects.alias("run_projects")
_RUN_ENTITY: Final = entities.alias("run_entities")

_DETAILS: Final = (
    select(
        memberships.c.membership_pk,
        memberships.c.collection_pk,
        memberships.c.version_index,
        memberships.c.linked_at,
        entities.c.name.label("entity"),
        projects.c.name.label("project"),
        collections.c.name.label("collection"),
        versions.c.version_pk,
        versions.c.collection_pk.label("source_pk"),
        versions.c.digest,
        versions.c.description,
        versions.c.metadata,
        versions.c.size_bytes,
        versions.c.file_count,
        versions.c.created_at,
        versions.c.updated_at,
        versions.c.history_step,
        versions.c.is_deleted,
        _SOURCE.c.type,
        _SOURCE.c.name.label("source_collection"),
        _SOURCE_PROJECT.c.name.label("source_project"),
        _SOURCE_ENTITY.c.name.label("source_entity"),
        _SOURCE_PLACE.c.version_index.label("source_index"),
        runs.c.run_id,
        runs.c.is_deleted.label("run_deleted"),
        _RUN_PROJECT.c.name.label("run_project"),
        _RUN_ENTITY.c.name.label("run_entity"),
    )
    .join(collections, collections.c.collection_pk == memberships.c.collection_pk)
    .join(projects, projects.c.project_pk == collections.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .join(versions, versions.c.version_pk == memberships.c.version_pk)
    .join(_SOURCE, _SOURCE.c.collection_pk == versions.c.collection_pk)
    .join(_SOURCE_PROJECT, _SOURCE_PROJECT.c.project_pk == _SOURCE.c.project_pk)
    .join(_SOURCE_ENTITY, _SOURCE_ENTITY.c.entity_pk == _SOURCE_PROJECT.c.entity_pk)
    .join(
        _SOURCE_PLACE,
        (_SOURCE_PLACE.c.version_pk == versions.c.version_pk)
        & (_SOURCE_PLACE.c.collection_pk == versions.c.collection_pk),
    )
    .outerjoin(runs, runs.c.run_pk == versions.c.producer_pk)
    .outerjoin(_RUN_PROJECT, _RUN_PROJECT.c.project_pk == runs.c.project_pk)
    .outerjoin(_RUN_ENTITY, _RUN_ENTITY.c.entity_pk == _RUN_PROJECT.c.entity_pk)
    .where(memberships.c.membership_pk.in_(bindparam("ids", expanding=True)))
)
_ALIASES: Final = (
    select(aliases.c.membership_pk, aliases.c.alias)
    .where(aliases.c.membership_pk.in_(bindparam("ids", expanding=True)))
    .order_by(aliases.c.membership_pk, aliases.c.alias)
)
_TAGS: Final = (
    select(version_tags.c.version_pk, version_tags.c.tag)
    .where(version_tags.c.version_pk.in_(bindparam("ids", expanding=True)))
    .order_by(version_tags.c.version_pk, version_tags.c.tag)
)
_VERDICTS: Final = (
    select(evaluations.c.version_pk, evaluations.c.verdict)
    .where(evaluations.c.version_pk.in_(bindparam("ids", expanding=True)))
    .order_by(evaluations.c.version_pk, evaluations.c.evaluated_at, evaluations.c.evaluation_pk)
)


def newest_verdicts(tx: Transaction, version_ids: Iterable[int]) -> dict[int, str]:
    """The verdict of the newest evaluation of each version that has one; at most 5,000 versions."""
    rows = connection(tx).execute(_VERDICTS, {"ids": sorted(set(version_ids))})
    return {row.version_pk: row.verdict for row in rows}


class SqlVersionRecords:
    """Reads version records by membership."""

    def records(self, tx: Transaction, membership_ids: tuple[int, ...]) -> tuple[VersionRecord, ...]:
        """Full records in the order asked for; at most 5,000."""
        sql, ids = connection(tx), {"ids": sorted(set(membership_ids))}
        rows = {row.membership_pk: row for row in sql.execute(_DETAILS, ids)}
        held: dict[int, list[str]] = {}
        for alias in sql.execute(_ALIASES, ids):
            held.setdefault(alias.membership_pk, []).append(alias.alias)
        version_ids = {row.version_pk for row in rows.values()}
        tags: dict[int, list[str]] = {}
        for tag in sql.execute(_TAGS, {"ids": sorted(version_ids)}):
            tags.setdefault(tag.version_pk, []).append(tag.tag)
        verdicts = newest_verdicts(tx, version_ids)
        return tuple(
            _record(
                row,
                aliases=tuple(held.get(row.membership_pk, ())),
                tags=tuple(tags.get(row.version_pk, ())),
                verdict=verdicts.get(row.version_pk),
            )
            for row in (rows[key] for key in membership_ids)
        )


def _record(
    row: Row[*tuple[Any, ...]], *, aliases: tuple[str, ...], tags: tuple[str, ...], verdict: str | None
) -> VersionRecord:
    producer = None if row.run_id is None else RunRef(row.run_entity, row.run_project, row.run_id)
    return VersionRecord(
        version_id=row.version_pk,
        digest=row.digest,
        type=row.type,
        entity=row.entity,
        project=row.project,
        collection=shown_name(row.collection),
        version=f"v{row.version_index}",
        aliases=aliases,
        source_entity=row.source_entity,
        source_project=row.source_project,
        source_collection=shown_name(row.source_collection),
        source_version=f"v{row.source_index}",
        description=row.description,
        metadata=jsontext.loads(row.metadata),
        tags=tags,
        size_bytes=row.size_bytes,
        file_count=row.file_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
        linked_at=None if row.source_pk == row.collection_pk else row.linked_at,
        history_step=row.history_step,
        producer=producer,
        producer_deleted=bool(row.run_deleted),
        is_deleted=row.is_deleted,
        verdict=verdict,
    )
