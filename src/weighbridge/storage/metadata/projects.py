"""Project records with their counts, in SQL. Keys by name are in addresses.py."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, Select, bindparam, func, or_, select, tuple_, update

from weighbridge.domain.registry import ProjectKind, ProjectRecord
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.collections import LIVE_KINDS
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import collections, entities, projects, runs

_RUN_COUNT: Final = (
    select(func.count())
    .where(runs.c.project_pk == projects.c.project_pk, runs.c.is_deleted.is_(False))
    .scalar_subquery()
)
_COLLECTION_COUNT: Final = (
    select(func.count())
    .where(collections.c.project_pk == projects.c.project_pk, collections.c.kind.in_(LIVE_KINDS))
    .scalar_subquery()
)
_RECORDS: Final[Select[Any]] = select(
    projects,
    entities.c.name.label("entity_name"),
    _RUN_COUNT.label("run_count"),
    _COLLECTION_COUNT.label("collection_count"),
).join(entities, entities.c.entity_pk == projects.c.entity_pk)
_FIND: Final = _RECORDS.where(entities.c.name == bindparam("entity"), projects.c.name == bindparam("name"))
_PAGE: Final = (
    _RECORDS.where(
        or_(bindparam("of_entity") == "", entities.c.name == bindparam("of_entity")),
        tuple_(entities.c.name, projects.c.name) > tuple_(bindparam("after_entity"), bindparam("after_name")),
    )
    .order_by(entities.c.name, projects.c.name)
    .limit(bindparam("count"))
)
_DESCRIBE: Final = (
    update(projects).where(projects.c.project_pk == bindparam("pk")).values(description=bindparam("text"))
)


def _record(row: Row[Any]) -> ProjectRecord:
    return ProjectRecord(
        entity=row.entity_name,
        name=row.name,
        kind=ProjectKind(row.kind),
        description=row.description,
        created_at=row.created_at,
        run_count=row.run_count,
        collection_count=row.collection_count,
    )


class SqlProjectStore:
    """ProjectStore over `projects`."""

    def find(self, tx: Transaction, entity: str, name: str) -> ProjectRecord | None:
        """One project with its counts."""
        row = connection(tx).execute(_FIND, {"entity": entity, "name": name}).first()
        return None if row is None else _record(row)

    def page(
        self, tx: Transaction, entity: str | None, *, cursor: str | None, limit: int
    ) -> tuple[ProjectRecord, ...]:
        """Projects by path, after the path `cursor`."""
        after_entity, _, after_name = (cursor or "").partition("/")
        bounds = {
            "of_entity": entity or "",
            "after_entity": after_entity,
            "after_name": after_name,
            "count": limit,
        }
        return tuple(_record(row) for row in connection(tx).execute(_PAGE, bounds))

    def describe(self, tx: Transaction, project_pk: int, description: str) -> None:
        """Set the description."""
        connection(tx).execute(_DESCRIBE, {"pk": project_pk, "text": description})
