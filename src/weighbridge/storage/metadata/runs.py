"""Runs in SQL: labels, documents, tags and the index of values. Filters and pages are in run_query.py."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Select, bindparam, delete, insert, null, select, update
from sqlalchemy.engine import Row

from weighbridge.domain.filters import Filter
from weighbridge.domain.run import MetricDefinition, RunRecord, RunRef, RunState
from weighbridge.domain.summary import Accumulator
from weighbridge.services.ports.runs import (
    NewRun,
    RunChanges,
    RunDocuments,
    RunQuery,
    StoredPage,
    StoredRun,
    ValueChanges,
)
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.dialect import upsert
from weighbridge.storage.metadata.jsontext import dumps, loads
from weighbridge.storage.metadata.run_query import count_runs, page_of_keys
from weighbridge.storage.metadata.tables import entities, projects, run_documents, run_tags, run_values, runs

TEXT_MAX: Final = 512
"""Longest text kept in the index of values."""

_METRICS: Final = msgspec.json.Decoder(tuple[MetricDefinition, ...])
_ENCODE: Final = msgspec.json.Encoder().encode
_COLUMN_OF: Final = {"group": "group_name"}
_NEXT_NUMBER: Final = (
    update(projects)
    .where(projects.c.project_pk == bindparam("pk"))
    .values(last_number=projects.c.last_number + 1)
    .returning(projects.c.last_number)
)
_INSERT_RUN: Final = insert(runs).returning(runs.c.run_pk)
_INSERT_DOCUMENTS: Final = insert(run_documents)
_DOCUMENTS: Final = select(run_documents).where(run_documents.c.run_pk == bindparam("run_pk"))
_TAGS: Final = select(run_tags.c.tag).where(run_tags.c.run_pk == bindparam("run_pk")).order_by(run_tags.c.tag)
_TAGS_OF: Final = (
    select(run_tags.c.run_pk, run_tags.c.tag)
    .where(run_tags.c.run_pk.in_(bindparam("run_pks", expanding=True)))
    .order_by(run_tags.c.run_pk, run_tags.c.tag)
)
_DROP_TAGS: Final = delete(run_tags).where(run_tags.c.run_pk == bindparam("pk"))
_INSERT_TAG: Final = insert(run_tags)
_UPSERT_VALUE: Final = upsert(
    run_values, keys=("run_pk", "scope", "key"), columns=("project_pk", "num", "text")
)
_DROP_VALUE: Final = delete(run_values).where(
    run_values.c.run_pk == bindparam("pk"),
    run_values.c.scope == bindparam("in_scope"),
    run_values.c.key == bindparam("old_key"),
)
_WIPES: Final = (
    delete(run_documents).where(run_documents.c.run_pk == bindparam("pk")),
    delete(run_values).where(run_values.c.run_pk == bindparam("pk")),
    _DROP_TAGS,
)


@lru_cache(maxsize=32)
def _records(include: frozenset[str], *, by_key: bool) -> Select[Any]:
    """Runs with the wanted documents; the others are null."""
    documents: list[ColumnElement[Any]] = [
        run_documents.c[name] if name in include else null().label(name)
        for name in ("config", "summary", "environment", "metrics")
    ]
    found = select(
        runs, entities.c.name.label("entity_name"), projects.c.name.label("project_name"), *documents
    )
    source = runs.join(projects, projects.c.project_pk == runs.c.project_pk).join(
        entities, entities.c.entity_pk == projects.c.entity_pk
    )
    if include:
        source = source.outerjoin(run_documents, run_documents.c.run_pk == runs.c.run_pk)
    found = found.select_from(source)
    if by_key:
        return found.where(runs.c.run_pk.in_(bindparam("run_pks", expanding=True)))
    return found.where(
        entities.c.name == bindparam("entity"),
        projects.c.name == bindparam("project"),
        runs.c.run_id == bindparam("run_id"),
    )


@lru_cache(maxsize=64)
def _update_of(names: tuple[str, ...]) -> Any:
    return (
        update(runs)
        .where(runs.c.run_pk == bindparam("pk"))
        .values({_COLUMN_OF.get(name, name): bindparam(f"new_{name}") for name in names})
    )


@lru_cache(maxsize=32)
def _update_documents(names: frozenset[str]) -> Any:
    return (
        update(run_documents)
        .where(run_documents.c.run_pk == bindparam("pk"))
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def _record(row: Row[Any], tags: tuple[str, ...]) -> RunRecord:
    return RunRecord(
        run_id=row.run_id,
        entity=row.entity_name,
        project=row.project_name,
        display_name=row.display_name,
        state=RunState(row.state),
        job_type=row.job_type,
        group=row.group_name,
        tags=tags,
        notes=row.notes,
        config=loads(row.config) if row.config else {},
        summary=loads(row.summary) if row.summary else {},
        environment=loads(row.environment) if row.environment else {},
        metrics=_METRICS.decode(row.metrics) if row.metrics else (),
        user=row.user_name,
        created_at=row.created_at,
        updated_at=row.updated_at,
        heartbeat_at=row.heartbeat_at,
        finished_at=row.finished_at,
        exit_code=row.exit_code,
        row_count=row.row_count,
        last_step=row.last_step,
        is_deleted=row.is_deleted,
    )


def _text_of(documents: RunDocuments, name: str) -> str:
    if name == "metrics":
        return _ENCODE(documents.metrics).decode()
    if name == "totals":
        return dumps(msgspec.to_builtins(documents.totals)) if documents.totals else "{}"
    return dumps(getattr(documents, name))


def _indexed(value: object) -> tuple[float | None, str | None]:
    """What the index keeps of a leaf: a number (NaN is none), or text that is not too long."""
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            number = float("inf") if value > 0 else float("-inf")
        return (number, None) if number == number else (None, None)
    if isinstance(value, str) and len(value) <= TEXT_MAX:
        return None, value
    return None, None


class SqlRunStore:
    """RunStore over `runs`, `run_documents`, `run_tags` and `run_values`."""

    def next_number(self, tx: Transaction, project_pk: int) -> int:
        """The number of the project's next run; given once."""
        return int(connection(tx).execute(_NEXT_NUMBER, {"pk": project_pk}).scalar_one())

    def find(self, tx: Transaction, run: RunRef, *, include: frozenset[str]) -> StoredRun | None:
        """A run by address, tombstones included."""
        sql = connection(tx)
        names = {"entity": run.entity, "project": run.project, "run_id": run.run_id}
        row = sql.execute(_records(include, by_key=False), names).first()
        if row is None:
            return None
        tags = tuple(sql.execute(_TAGS, {"run_pk": row.run_pk}).scalars())
        return StoredRun(run_pk=row.run_pk, project_pk=row.project_pk, record=_record(row, tags))

    def create(self, tx: Transaction, new: NewRun) -> int:
        """Make a run; its key."""
        return int(
            connection(tx)
            .execute(
                _INSERT_RUN,
                {
                    "project_pk": new.project_pk,
                    "run_id": new.run_id,
                    "number": new.number,
                    "display_name": new.display_name,
                    "state": new.state.value,
                    "job_type": new.job_type,
                    "group_name": new.group,
                    "notes": new.notes,
                    "user_name": new.user,
                    "created_at": new.created_at,
                    "updated_at": new.at,
                    "heartbeat_at": new.at,
                    "is_deleted": False,
                    "row_count": 0,
                },
            )
            .scalar_one()
        )

    def update(self, tx: Transaction, run_pk: int, changes: RunChanges) -> None:
        """Set columns."""
        values = {
            name: value
            for name in RunChanges.__struct_fields__
            if (value := getattr(changes, name)) is not msgspec.UNSET
        }
        if values:
            parameters = {f"new_{name}": value for name, value in values.items()}
            connection(tx).execute(_update_of(tuple(values)), {"pk": run_pk, **parameters})

    def documents(self, tx: Transaction, run_pk: int) -> RunDocuments:
        """Every document of a run."""
        row = connection(tx).execute(_DOCUMENTS, {"run_pk": run_pk}).first()
        if row is None:
            return RunDocuments()
        return RunDocuments(
            config=loads(row.config),
            summary=loads(row.summary),
            environment=loads(row.environment),
            metrics=_METRICS.decode(row.metrics),
            totals=msgspec.convert(loads(row.totals), dict[str, Accumulator]) if row.totals != "{}" else {},
        )

    def create_documents(self, tx: Transaction, run_pk: int, documents: RunDocuments) -> None:
        """Store the documents of a new run."""
        texts = {name: _text_of(documents, name) for name in RunDocuments.__struct_fields__}
        connection(tx).execute(_INSERT_DOCUMENTS, {"run_pk": run_pk, **texts})

    def update_documents(
        self, tx: Transaction, run_pk: int, documents: RunDocuments, *, names: frozenset[str]
    ) -> None:
        """Store the named documents again."""
        if names:
            texts = {f"new_{name}": _text_of(documents, name) for name in names}
            connection(tx).execute(_update_documents(names), {"pk": run_pk, **texts})

    def index_values(self, tx: Transaction, run_pk: int, project_pk: int, *, changes: ValueChanges) -> None:
        """Keep the table of filterable values in step with a document."""
        sql = connection(tx)
        if changes.removed:
            sql.execute(
                _DROP_VALUE,
                [
                    {"pk": run_pk, "in_scope": changes.scope, "old_key": key}
                    for key in sorted(changes.removed)
                ],
            )
        if not changes.values:
            return
        rows = []
        for key, value in changes.values.items():
            num, text = _indexed(value)
            rows.append(
                {
                    "run_pk": run_pk,
                    "scope": changes.scope,
                    "key": key,
                    "project_pk": project_pk,
                    "num": num,
                    "text": text,
                }
            )
        sql.execute(_UPSERT_VALUE, rows)

    def set_tags(self, tx: Transaction, run_pk: int, tags: tuple[str, ...]) -> None:
        """Replace the tags."""
        sql = connection(tx)
        sql.execute(_DROP_TAGS, {"pk": run_pk})
        if tags:
            sql.execute(_INSERT_TAG, [{"run_pk": run_pk, "tag": tag} for tag in sorted(set(tags))])

    def page(self, tx: Transaction, query: RunQuery) -> StoredPage:
        """A page of live runs."""
        sql = connection(tx)
        keys, next_cursor = page_of_keys(sql, query)
        if not keys:
            return StoredPage(runs=(), next_cursor=None)
        tags: dict[int, list[str]] = {}
        for row in sql.execute(_TAGS_OF, {"run_pks": keys}):
            tags.setdefault(row.run_pk, []).append(row.tag)
        rows = sql.execute(_records(query.include, by_key=True), {"run_pks": keys})
        records = {row.run_pk: _record(row, tuple(tags.get(row.run_pk, ()))) for row in rows}
        return StoredPage(runs=tuple(records[key] for key in keys), next_cursor=next_cursor)

    def count(self, tx: Transaction, project_pk: int, filters: Filter | None) -> int:
        """How many live runs match."""
        return count_runs(connection(tx), project_pk, filters)

    def wipe(self, tx: Transaction, run_pk: int) -> None:
        """Remove documents, indexed values and tags."""
        for statement in _WIPES:
            connection(tx).execute(statement, {"pk": run_pk})
