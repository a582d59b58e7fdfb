"""The errors for projects and runs that are not there, with the nearest names that are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from weighbridge.domain.run import RunRef
from weighbridge.errors import NotFound, ProjectNotFound, RunNotFound
from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.transaction import Transaction

NEAREST_MAX = 3


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """At most three of `names` that look like `name`, likest first."""
    return difflib.get_close_matches(name[:256], list(names), n=NEAREST_MAX, cutoff=0.5)


def did_you_mean(near: list[str]) -> str:
    """A hint that offers the names, or nothing."""
    return f"Did you mean {' or '.join(map(repr, near))}?" if near else ""


def no_project(tx: Transaction, addresses: AddressBook, *, entity: str, project: str) -> ProjectNotFound:
    """The error for a project that does not exist."""
    path = f"{entity}/{project}"
    near = _nearest_projects(entity, project, list(addresses.project_paths(tx)))
    return ProjectNotFound(
        f"There is no project {path!r}.",
        hint=did_you_mean(near)
        or "See `weighbridge projects`; a project is made by its first run or artifact.",
        details={"entity": entity, "project": project, "nearest": near},
    )


def _nearest_projects(entity: str, project: str, paths: list[str]) -> list[str]:
    """Projects of the entity with a name like it, else those of any entity: a shared entity makes no likeness."""
    own = [path.partition("/")[2] for path in paths if path.partition("/")[0] == entity]
    if own:
        return [f"{entity}/{name}" for name in nearest(project, own)]
    return nearest(f"{entity}/{project}", paths)


def no_run(tx: Transaction, addresses: AddressBook, run: RunRef, *, hint: str = "") -> NotFound:
    """The error for a run that does not exist; ProjectNotFound where even its project does not."""
    if addresses.find_project(tx, run.entity, run.project) is None:
        return no_project(tx, addresses, entity=run.entity, project=run.project)
    near = nearest(run.run_id, addresses.run_ids(tx, run.entity, run.project))
    return RunNotFound(
        f"There is no run {run.path!r}.",
        hint=" ".join(part for part in (did_you_mean(near), hint) if part) or "List them with Api().runs().",
        details={"run": run.path, "nearest": near},
    )


def deleted_run(run: RunRef) -> RunNotFound:
    """The error for a run of which only the tombstone is left."""
    return RunNotFound(
        f"The run {run.path!r} was deleted.",
        hint="Its lineage remains; its data does not.",
        details={"run": run.path, "is_deleted": True},
    )
