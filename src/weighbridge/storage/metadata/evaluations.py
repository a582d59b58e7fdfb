"""Evaluations in SQL. What a report holds and which verdicts there are is not known here."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, insert, select, update

from weighbridge.domain.run import RunRef
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.services.ports.evaluations import REPORT_MAX_BYTES, NewEvaluation, StoredEvaluation
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata import jsontext
from weighbridge.storage.metadata.collections import shown_name
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import (
    collections,
    entities,
    evaluations,
    memberships,
    projects,
    runs,
    versions,
)

_RUN_PROJECT: Final = projects.alias("run_projects")
_RUN_ENTITY: Final = entities.alias("run_entities")

_EARLIER: Final = select(evaluations.c.evaluation_pk).where(
    evaluations.c.run_pk == bindparam("run"), evaluations.c.version_pk == bindparam("version")
)
_MAKE: Final = insert(evaluations).returning(evaluations.c.evaluation_pk)
_RECORDS: Final = (
    select(
        evaluations.c.evaluation_pk,
        evaluations.c.version_pk,
        evaluations.c.verdict,
        evaluations.c.report,
        evaluations.c.scorer,
        evaluations.c.evaluated_at,
        runs.c.run_id,
        _RUN_PROJECT.c.name.label("run_project"),
        _RUN_ENTITY.c.name.label("run_entity"),
        entities.c.name.label("entity"),
        projects.c.name.label("project"),
        collections.c.name.label("collection"),
        memberships.c.version_index,
    )
    .join(runs, runs.c.run_pk == evaluations.c.run_pk)
    .join(_RUN_PROJECT, _RUN_PROJECT.c.project_pk == runs.c.project_pk)
    .join(_RUN_ENTITY, _RUN_ENTITY.c.entity_pk == _RUN_PROJECT.c.entity_pk)
    .join(versions, versions.c.version_pk == evaluations.c.version_pk)
    .join(collections, collections.c.collection_pk == versions.c.collection_pk)
    .join(projects, projects.c.project_pk == collections.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .join(
        memberships,
        (memberships.c.version_pk == versions.c.version_pk)
        & (memberships.c.collection_pk == versions.c.collection_pk),
    )
)
_NEWEST_FIRST: Final = _RECORDS.order_by(
    evaluations.c.evaluated_at.desc(), evaluations.c.evaluation_pk.desc()
).limit(bindparam("limit"))
_BY_ID: Final = _RECORDS.where(evaluations.c.evaluation_pk == bindparam("evaluation"))
_OF_VERSION: Final = _NEWEST_FIRST.where(evaluations.c.version_pk == bindparam("version"))
_OF_RUN: Final = _NEWEST_FIRST.where(evaluations.c.run_pk == bindparam("run"))


class SqlEvaluationStore:
    """EvaluationStore over the `evaluations` table."""

    def encode(self, report: msgspec.Raw) -> str:
        """A report as text. Raises InvalidInput for what is no JSON object, LimitExceeded past 32 MiB."""
        size_bytes = len(memoryview(report))
        if size_bytes > REPORT_MAX_BYTES:
            raise LimitExceeded(
                f"An evaluation report has {size_bytes:,} bytes; at most {REPORT_MAX_BYTES:,} are stored.",
                hint="Log the per-example rows as an artifact of the evaluation run instead.",
                details={"size_bytes": size_bytes, "limit_bytes": REPORT_MAX_BYTES},
            )
        try:
            msgspec.json.decode(report, type=dict[str, msgspec.Raw])
            return bytes(report).decode("utf-8")
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"An evaluation report is no JSON object: {error}.",
                hint="Send what domain.exact_json writes; NaN and infinities are marked there.",
            ) from error

    def put(self, tx: Transaction, new: NewEvaluation) -> tuple[int, bool]:
        """Store an evaluation; an earlier one of the same run and version keeps its id."""
        sql = connection(tx)
        row = {
            "verdict": new.verdict,
            "report": new.report,
            "scorer": new.scorer,
            "evaluated_at": new.evaluated_at,
        }
        keys = {"run": new.run_pk, "version": new.version_id}
        earlier = sql.execute(_EARLIER, keys).scalar()
        if earlier is not None:
            sql.execute(update(evaluations).where(evaluations.c.evaluation_pk == earlier).values(row))
            return earlier, True
        made = sql.execute(_MAKE, row | {"run_pk": new.run_pk, "version_pk": new.version_id})
        return made.scalar_one(), False

    def find(self, tx: Transaction, evaluation_id: int) -> StoredEvaluation | None:
        """An evaluation by id."""
        row = connection(tx).execute(_BY_ID, {"evaluation": evaluation_id}).one_or_none()
        return None if row is None else _record(row)

    def list_for_version(
        self, tx: Transaction, version_id: int, *, limit: int
    ) -> tuple[StoredEvaluation, ...]:
        """Evaluations of a version, newest first."""
        rows = connection(tx).execute(_OF_VERSION, {"version": version_id, "limit": limit})
        return tuple(_record(row) for row in rows)

    def list_for_run(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[StoredEvaluation, ...]:
        """Evaluations that a run made, newest first."""
        rows = connection(tx).execute(_OF_RUN, {"run": run_pk, "limit": limit})
        return tuple(_record(row) for row in rows)


def _record(row: Row[*tuple[Any, ...]]) -> StoredEvaluation:
    source = f"{row.entity}/{row.project}/{shown_name(row.collection)}"
    return StoredEvaluation(
        evaluation_id=row.evaluation_pk,
        run=RunRef(row.run_entity, row.run_project, row.run_id),
        version_id=row.version_pk,
        version_path=f"{source}:v{row.version_index}",
        verdict=row.verdict,
        report=jsontext.loads(row.report),
        scorer=row.scorer,
        evaluated_at=row.evaluated_at,
    )
