"""`weighbridge projects`: the projects of an entity."""

from __future__ import annotations

from argparse import Namespace

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.values import ago
from weighbridge.domain.registry import ProjectRecord


def list_projects(arguments: Namespace, context: Context) -> int:
    """List the projects of an entity, without its registries."""
    now = context.out.now
    columns: list[Column[ProjectRecord]] = [
        Column("project", lambda project: project.path),
        Column("runs", lambda project: str(project.run_count), is_number=True),
        Column("artifacts", lambda project: str(project.collection_count), is_number=True),
        Column("created", lambda project: ago(project.created_at, now)),
        Column("description", lambda project: project.description or "-"),
    ]
    records = [project.record for project in context.api.projects(arguments.owner)]
    context.out.listing(records, columns, plain=plain.of_project, path=lambda project: project.path)
    if not records:
        context.out.say("There is no project yet.")
    return 0
