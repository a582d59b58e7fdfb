"""Homes for tests: open one in a folder with a fake clock, and fill one with many runs quickly."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.bootstrap import DATABASE_NAME, Services, open_home
from weighbridge.domain.names import display_name
from weighbridge.sdk.transport.local import LocalTransport
from weighbridge.services.access import Actor
from weighbridge.services.ports.clock import Clock
from weighbridge.testing.clock import FakeClock

if TYPE_CHECKING:
    from sqlalchemy import Connection

BATCH: Final = 1_000
ACTOR: Final = Actor("ada")
ENTITY: Final = "ada"
ORGANIZATION: Final = "babbage"


def open_test_home(home: Path, *, clock: Clock | None = None) -> Services:
    """The services over a home of the entity `ada` in the organisation `babbage`, by a fake clock."""
    return open_home(home, user=ENTITY, entity=ENTITY, organization=ORGANIZATION, clock=clock or FakeClock())


def open_test_transport(home: Path, *, clock: Clock | None = None) -> LocalTransport:
    """The local transport over such a home."""
    return LocalTransport(open_test_home(home, clock=clock), ACTOR)


def fill_runs(home: Path, project: str, count: int, *, seed: int = 0) -> None:
    """Add `count` finished runs to a project of an open test home, some 10,000 a second.

    Every run has config `lr` (1e-5 to 1, log-uniform), `depth` (1 to 50), `model` (one of 20) and seven more
    numbers; summary `accuracy`, `loss` and eight more; the tag `even` or `odd`, and every hundredth `rare`.
    It writes tables directly, since through the services it would take minutes.
    """
    from sqlalchemy import func, select, update

    from weighbridge.storage.metadata.addresses import SqlAddressBook
    from weighbridge.storage.metadata.database import Database
    from weighbridge.storage.metadata.tables import projects, runs

    database = Database(home / DATABASE_NAME)
    rng = random.Random(seed)
    with database.write() as conn:
        project_pk = SqlAddressBook().ensure_project(conn, ENTITY, project, at=0.0)
        first = int(conn.execute(select(func.coalesce(func.max(runs.c.run_pk), 0) + 1)).scalar_one())
        for start in range(first, first + count, BATCH):
            pks = range(start, min(start + BATCH, first + count))
            _insert(conn, project_pk, [(pk, *_values(rng)) for pk in pks])
        conn.execute(
            update(projects)
            .where(projects.c.project_pk == project_pk)
            .values(last_number=projects.c.last_number + count)
        )
    database.close()


def _values(rng: random.Random) -> tuple[dict[str, float | str], dict[str, float | str]]:
    config: dict[str, float | str] = {f"c{n}": rng.random() for n in range(7)}
    config |= {
        "lr": 10 ** rng.uniform(-5, 0),
        "depth": float(rng.randint(1, 50)),
        "model": f"net-{rng.randrange(20)}",
    }
    summary: dict[str, float | str] = {f"m{n}": rng.random() for n in range(8)}
    return config, summary | {"accuracy": rng.random(), "loss": rng.expovariate(1)}


def _insert(
    conn: Connection,
    project_pk: int,
    rows: list[tuple[int, dict[str, float | str], dict[str, float | str]]],
) -> None:
    from sqlalchemy import insert

    from weighbridge.storage.metadata.jsontext import dumps
    from weighbridge.storage.metadata.tables import run_documents, runs

    conn.execute(
        insert(runs),
        [
            {
                "run_pk": pk,
                "project_pk": project_pk,
                "run_id": f"run-{pk}",
                "number": pk,
                "display_name": display_name(pk, pk),
                "state": "finished",
                "user_name": ENTITY,
                "created_at": float(pk),
                "updated_at": float(pk),
                "heartbeat_at": float(pk),
                "finished_at": float(pk),
                "row_count": 0,
                "is_deleted": False,
            }
            for pk, _, _ in rows
        ],
    )
    conn.execute(
        insert(run_documents),
        [
            {
                "run_pk": pk,
                "config": dumps(config),
                "summary": dumps(summary),
                "environment": "{}",
                "metrics": "[]",
                "totals": "{}",
            }
            for pk, config, summary in rows
        ],
    )
    _insert_values(conn, project_pk, rows)


def _insert_values(
    conn: Connection,
    project_pk: int,
    rows: list[tuple[int, dict[str, float | str], dict[str, float | str]]],
) -> None:
    from sqlalchemy import insert

    from weighbridge.storage.metadata.tables import run_tags, run_values

    tags = [{"run_pk": pk, "tag": "odd" if pk % 2 else "even"} for pk, _, _ in rows]
    tags += [{"run_pk": pk, "tag": "rare"} for pk, _, _ in rows if pk % 100 == 0]
    conn.execute(insert(run_tags), tags)
    conn.execute(
        insert(run_values),
        [
            {
                "run_pk": pk,
                "scope": scope,
                "key": key,
                "project_pk": project_pk,
                "num": value if isinstance(value, float) else None,
                "text": value if isinstance(value, str) else None,
            }
            for pk, config, summary in rows
            for scope, values in (("c", config), ("s", summary))
            for key, value in values.items()
        ],
    )
