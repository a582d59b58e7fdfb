"""Use cases of projects and registries. Runs and artifacts make the projects they need; these describe."""

from __future__ import annotations

from typing import Final

from weighbridge.domain.names import NOTES_MAX, check_entity, check_project
from weighbridge.domain.registry import ProjectRecord
from weighbridge.errors import InvalidInput
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.missing import no_project
from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.audit import AuditEvent, AuditStore
from weighbridge.services.ports.clock import Clock
from weighbridge.services.ports.projects import ProjectStore
from weighbridge.services.ports.unit_of_work import UnitOfWork
from weighbridge.wire.artifacts import ProjectPage

PAGE_MAX: Final = 1_000


class ProjectsService:
    """What may be done with projects."""

    def __init__(
        self,
        uow: UnitOfWork,
        *,
        projects: ProjectStore,
        addresses: AddressBook,
        audit: AuditStore,
        clock: Clock,
    ) -> None:
        self._uow = uow
        self._projects = projects
        self._addresses = addresses
        self._audit = audit
        self._clock = clock

    def list_projects(
        self, actor: Actor, entity: str | None = None, *, cursor: str | None = None, limit: int = 100
    ) -> ProjectPage:
        """Projects by path, of one entity or of all. Raises InvalidInput."""
        check(actor, Action.READ, entity=entity or "")
        if not 1 <= limit <= PAGE_MAX:
            raise InvalidInput(
                f"A page of {limit} projects is not allowed.", hint=f"Ask for 1 to {PAGE_MAX:,}."
            )
        with self._uow.read() as tx:
            found = self._projects.page(tx, entity, cursor=cursor, limit=limit + 1)
        page = found[:limit]
        return ProjectPage(projects=page, next_cursor=page[-1].path if len(found) > limit else None)

    def get(self, actor: Actor, entity: str, name: str) -> ProjectRecord:
        """One project with its counts. Raises ProjectNotFound with the nearest names."""
        check(actor, Action.READ, entity=entity, project=name)
        with self._uow.read() as tx:
            found = self._projects.find(tx, entity, name)
            if found is None:
                raise no_project(tx, self._addresses, entity=entity, project=name)
            return found

    def create(self, actor: Actor, entity: str, name: str, *, description: str = "") -> ProjectRecord:
        """Make a project or a registry, or return the one there is; a description given is set."""
        check(actor, Action.WRITE, entity=entity, project=name)
        check_entity(entity)
        check_project(name)
        if len(description) > NOTES_MAX or "\x00" in description:
            raise InvalidInput(
                f"The description of project {name!r} is too long or holds NUL.",
                hint=f"Use at most {NOTES_MAX:,} characters.",
            )
        now = self._clock.now()
        with self._uow.write() as tx:
            is_new = self._addresses.find_project(tx, entity, name) is None
            project_pk = self._addresses.ensure_project(tx, entity, name, at=now)
            if description:
                self._projects.describe(tx, project_pk, description)
            if is_new:
                event = AuditEvent(
                    at=now, actor=actor.user, action="project.created", subject=f"{entity}/{name}", details={}
                )
                self._audit.add(tx, event)
            found = self._projects.find(tx, entity, name)
            if found is None:
                raise no_project(tx, self._addresses, entity=entity, project=name)
            return found
