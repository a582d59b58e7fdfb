"""Keys of projects and runs by their names, in SQL. Makes projects that are missing; changes nothing else."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, insert, select

from weighbridge.domain.names import REGISTRY_PREFIX, is_registry
from weighbridge.domain.registry import ProjectKind
from weighbridge.domain.run import RunRef
from weighbridge.services.ports.addresses import NAMES_MAX, FoundRun
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import entities, projects, runs

_PROJECT: Final = (
    select(projects.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(entities.c.name == bindparam("entity"), projects.c.name == bindparam("project"))
)
_ENTITY: Final = select(entities.c.entity_pk).where(entities.c.name == bindparam("entity"))
_MAKE_ENTITY: Final = insert(entities).returning(entities.c.entity_pk)
_MAKE_PROJECT: Final = insert(projects).returning(projects.c.project_pk)
_RUN: Final = (
    select(runs.c.run_pk, runs.c.is_deleted)
    .join(projects, projects.c.project_pk == runs.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(
        entities.c.name == bindparam("entity"),
        projects.c.name == bindparam("project"),
        runs.c.run_id == bindparam("run_id"),
    )
)
_PATHS: Final = (
    select(entities.c.name.label("entity"), projects.c.name.label("project"))
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .order_by(projects.c.project_pk.desc())
    .limit(NAMES_MAX)
)
_RUN_IDS: Final = (
    select(runs.c.run_id)
    .where(runs.c.project_pk == bindparam("project_pk"), runs.c.is_deleted.is_(False))
    .order_by(runs.c.run_pk.desc())
    .limit(NAMES_MAX)
)


class SqlAddressBook:
    """AddressBook over entities, projects and runs."""

    def find_project(self, tx: Transaction, entity: str, project: str) -> int | None:
        """The project's key."""
        return connection(tx).execute(_PROJECT, {"entity": entity, "project": project}).scalar()

    def ensure_project(self, tx: Transaction, entity: str, project: str, *, at: float) -> int:
        """The project's key, after making what is missing of it."""
        found = self.find_project(tx, entity, project)
        if found is not None:
            return found
        sql = connection(tx)
        entity_pk = sql.execute(_ENTITY, {"entity": entity}).scalar()
        if entity_pk is None:
            kind = "organization" if project.startswith(REGISTRY_PREFIX) else "user"
            values = {"name": entity, "kind": kind, "created_at": at}
            entity_pk = sql.execute(_MAKE_ENTITY, values).scalar_one()
        row = {
            "entity_pk": entity_pk,
            "name": project,
            "kind": ProjectKind.REGISTRY.value if is_registry(project) else ProjectKind.PROJECT.value,
            "created_at": at,
        }
        return int(sql.execute(_MAKE_PROJECT, row).scalar_one())

    def find_run(self, tx: Transaction, run: RunRef) -> FoundRun | None:
        """The run's key, deleted runs included."""
        names = {"entity": run.entity, "project": run.project, "run_id": run.run_id}
        row = connection(tx).execute(_RUN, names).first()
        return None if row is None else FoundRun(run_pk=row.run_pk, is_deleted=row.is_deleted)

    def project_paths(self, tx: Transaction) -> tuple[str, ...]:
        """`entity/project`, newest first."""
        return tuple(f"{row.entity}/{row.project}" for row in connection(tx).execute(_PATHS))

    def run_ids(self, tx: Transaction, entity: str, project: str) -> tuple[str, ...]:
        """Ids of live runs of a project, newest first."""
        project_pk = self.find_project(tx, entity, project)
        return tuple(connection(tx).execute(_RUN_IDS, {"project_pk": project_pk}).scalars())
