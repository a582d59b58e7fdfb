"""`weighbridge doctor`: examines the installation and the home, line by line, and says what to do. It mends nothing."""

from __future__ import annotations

import enum
import platform
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from weighbridge import __version__
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.values import size
from weighbridge.errors import WeighbridgeError

PYTHON_MIN: Final = (3, 11)
FREE_LOW_BYTES: Final = 1 << 30
FREE_NONE_BYTES: Final = 64 << 20
NEEDED: Final = ("alembic", "blake3", "msgspec", "numpy", "rich", "sqlalchemy")
OPTIONAL: Final = {"scipy": "evaluation", "scikit-learn": "evaluation", "pyarrow": "server"}
"""Distribution -> the extra that brings it."""
NAMED_MAX: Final = 5
"""Damaged things that are named; the rest are counted."""


class Health(enum.StrEnum):
    """How one thing stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One thing that was looked at, and what to do about it."""

    health: Health
    check: str
    finding: str
    next_step: str = ""


def examine_home(arguments: Namespace, context: Context) -> int:
    """Look at everything; 1 where something fails, 0 where nothing does."""
    findings = list(examine(context, is_deep=arguments.is_deep))
    columns: list[Column[Finding]] = [
        Column("", lambda each: each.health),
        Column("check", lambda each: each.check),
        Column("finding", lambda each: each.finding),
        Column("next step", lambda each: each.next_step or "-"),
    ]
    context.out.listing(
        findings, columns, plain=Finding._asdict, path=lambda each: f"{each.health} {each.check}"
    )
    worst = {each.health for each in findings}
    if Health.FAIL in worst:
        context.out.say("Something is broken; see the next steps above.")
    return 1 if Health.FAIL in worst else 0


def examine(context: Context, *, is_deep: bool) -> Iterator[Finding]:
    """What is found, one thing after the other; without a home there is less to look at."""
    yield _python()
    yield from _packages()
    yield _git()
    home = context.settings.home
    if not home.exists():
        yield Finding(Health.WARN, "home", f"{home} does not exist yet", "The first run makes it.")
        return
    is_writable = True
    for finding in _folder(home):
        is_writable &= finding.health is not Health.FAIL
        yield finding
    if not is_writable:
        return
    yield from _spools(context)
    try:
        yield from _store(context, is_deep=is_deep)
    except WeighbridgeError as error:
        yield Finding(Health.FAIL, "store", error.message, error.hint)


def _python() -> Finding:
    found = f"{platform.python_version()} {platform.python_implementation()}, weighbridge {__version__}"
    if sys.version_info >= PYTHON_MIN:
        return Finding(Health.OK, "python", found)
    return Finding(Health.FAIL, "python", found, "Use Python 3.11 or newer.")


def _packages() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found, missing = [], []
    for name in NEEDED:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding(
            Health.FAIL, "packages", f"missing: {', '.join(missing)}", "Run pip install weighbridge again."
        )
    else:
        yield Finding(Health.OK, "packages", ", ".join(found))
    absent: list[str] = []
    for name in OPTIONAL:
        try:
            version(name)
        except PackageNotFoundError:
            absent.append(name)
    if absent:
        extras = ",".join(dict.fromkeys(OPTIONAL[name] for name in absent))
        step = f"If you need them: pip install 'weighbridge[{extras}]'."
        yield Finding(Health.OK, "optional packages", f"not installed: {', '.join(absent)}", step)


def _git() -> Finding:
    where = shutil.which("git")
    if where is not None:
        return Finding(Health.OK, "git", where)
    return Finding(
        Health.WARN, "git", "not found", "Install it, or runs record no commit and causes are harder to find."
    )


def _folder(home: Path) -> Iterator[Finding]:
    try:
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        step = "Change its owner or mode, or set WEIGHBRIDGE_HOME to another folder."
        yield Finding(Health.FAIL, "home", f"{home} is not writable: {error.strerror}", step)
        return
    yield Finding(Health.OK, "home", str(home))
    free = shutil.disk_usage(home).free
    if free < FREE_LOW_BYTES:
        health = Health.FAIL if free < FREE_NONE_BYTES else Health.WARN
        yield Finding(health, "disk", f"{size(free)} free", "Free some space, or move the home.")
    else:
        yield Finding(Health.OK, "disk", f"{size(free)} free")


def _spools(context: Context) -> Iterator[Finding]:
    from weighbridge.cli.sync import damaged_spools
    from weighbridge.sdk.adopt import statuses

    found = statuses(context.client)
    live = [each for each in found if each.is_live]
    waiting = [each for each in found if not each.is_live]
    if waiting:
        total = size(sum(each.size_bytes for each in waiting))
        yield Finding(
            Health.WARN, "spools", f"{len(waiting)} wait to be shipped, {total}", "Run weighbridge sync."
        )
    else:
        yield Finding(Health.OK, "spools", "none waits to be shipped")
    yield _shipper(context, live=len(live))
    damaged = damaged_spools(context)
    if damaged:
        named = ", ".join(map(str, damaged[:NAMED_MAX]))
        step = "Their readable rows were shipped; delete the folders when you do not need the rest."
        yield Finding(Health.WARN, "damaged spools", f"{len(damaged)} put aside: {named}", step)


def _shipper(context: Context, *, live: int) -> Finding:
    """Whether a shipper runs where one is needed: a run that writes, and no process that ships it."""
    from weighbridge.sdk.file_lock import FileLock
    from weighbridge.sdk.shipper import LOCK

    path = context.client.spool_dir / LOCK
    is_alive = False
    if path.exists():
        lock = FileLock(path)
        is_alive = not lock.acquire()
        if not is_alive:
            lock.release()
    writing = f"{live} runs are writing"
    if is_alive:
        return Finding(Health.OK, "shipper", f"running, {writing}")
    if live and context.settings.shipper in ("auto", "process"):
        return Finding(
            Health.WARN, "shipper", f"not running, {writing}", "Their rows wait until they finish."
        )
    return Finding(Health.OK, "shipper", f"not needed, {writing}")


def _store(context: Context, *, is_deep: bool) -> Iterator[Finding]:
    from weighbridge.bootstrap import examine_home as examine_store

    _ = context.client.transport  # opens the home, or says why it cannot
    found = examine_store(context.settings)
    where = f"schema {found.schema_version}, {found.file_system}"
    if found.is_network:
        step = "One host at a time may write; a home on a local disk is faster and safer."
        yield Finding(Health.WARN, "file system", f"{where}: a network file system", step)
    if found.problems:
        named = "; ".join(found.problems[:NAMED_MAX])
        step = f"Copy {context.settings.home} away, then restore weighbridge.db from a backup."
        yield Finding(Health.FAIL, "database", named, step)
        return
    yield Finding(Health.OK, "database", f"whole, {where}")
    yield _blobs(context, is_deep=is_deep)


def _blobs(context: Context, *, is_deep: bool) -> Finding:
    """Whether the bytes of every version are there; `is_deep` hashes them again."""
    from weighbridge.cli.integrity import damaged_entries, missing_entries
    from weighbridge.sdk.public.collections import list_collections
    from weighbridge.sdk.public.projects import Registry, list_projects
    from weighbridge.sdk.public.reader import Reader

    reader = Reader(context.client)
    look = damaged_entries if is_deep else missing_entries
    damages: list[str] = []
    count = 0
    for owner in _owners(context):
        for project in list_projects(reader, owner, per_page=1_000):
            if isinstance(project, Registry):
                continue  # it links versions of projects, and keeps none of its own
            for collection in list_collections(reader, owner, project.record.name, per_page=1_000):
                for artifact in collection.versions(per_page=1_000):
                    count += 1
                    context.out.progress(f"looking at {artifact.qualified_name}")
                    damages.extend(
                        f"{artifact.qualified_name}: {each}"
                        for each in look(context.client, artifact.manifest.entries)
                    )
    context.out.progress("")
    if damages:
        named = "; ".join(damages[:NAMED_MAX])
        more = f"; and {len(damages) - NAMED_MAX} more" if len(damages) > NAMED_MAX else ""
        step = "Log the same files again from where they came: equal bytes mend every version."
        return Finding(Health.FAIL, "files", f"{named}{more}", step)
    how = "every byte hashed" if is_deep else "present; --deep hashes every byte"
    return Finding(Health.OK, "files", f"{count:,} versions, {how}")


def _owners(context: Context) -> list[str]:
    """Every entity that owns a project in the home."""
    owners: dict[str, None] = {}
    cursor: str | None = None
    while True:
        page = context.client.transport.projects.list_projects(None, cursor=cursor, limit=1_000)
        owners.update(dict.fromkeys(project.entity for project in page.projects))
        cursor = page.next_cursor
        if cursor is None:
            return list(owners)
