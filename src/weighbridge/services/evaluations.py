"""Judged passes over versions, recorded with their run and read back. How one is judged is not known here."""

from __future__ import annotations

from typing import Final

from weighbridge.domain.evaluation import Verdict
from weighbridge.domain.run import RunRef
from weighbridge.errors import EvaluationNotFound, InvalidInput
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.lookup import ArtifactStores, Lookup, check_unicode
from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.evaluations import EvaluationStore, NewEvaluation, StoredEvaluation
from weighbridge.wire.evaluations import EvaluationRecord, RecordEvaluation

LIST_MAX: Final = 1_000
SCORER_MAX: Final = 4_096


class EvaluationsService:
    """Evaluations of versions."""

    def __init__(self, stores: ArtifactStores, *, evaluations: EvaluationStore) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._evaluations = evaluations

    def record(self, actor: Actor, request: RecordEvaluation) -> EvaluationRecord:
        """Store an evaluation; a later one of the same run and version replaces it and keeps its id.

        The version may have been deleted since it was evaluated. Raises RunNotFound, ArtifactNotFound,
        InvalidInput (no such verdict), LimitExceeded (a report past 32 MiB).
        """
        check(actor, Action.WRITE, entity=request.run.entity, project=request.run.project)
        _check(request)
        report = self._evaluations.encode(request.report)
        with self._stores.unit_of_work.write() as tx:
            run_pk = self._lookup.run(tx, request.run)
            version = self._lookup.any_version(tx, request.version_id)
            now = self._stores.clock.now()
            new = NewEvaluation(
                run_pk=run_pk,
                version_id=version.version_id,
                verdict=request.verdict,
                report=report,
                scorer=request.scorer,
                evaluated_at=request.evaluated_at or now,
            )
            evaluation_id, is_replaced = self._evaluations.put(tx, new)
            details: dict[str, object] = {
                "evaluation_id": evaluation_id,
                "run": request.run.path,
                "verdict": request.verdict,
                "replaced": is_replaced,
            }
            event = AuditEvent(
                at=now,
                actor=actor.user,
                action="evaluation.recorded",
                subject=version.path,
                details=details,
            )
            self._stores.audit.add(tx, event)
        return EvaluationRecord(
            evaluation_id=evaluation_id,
            run=request.run,
            version_id=version.version_id,
            version_path=version.path,
            verdict=request.verdict,
            report={},
            scorer=request.scorer,
            evaluated_at=new.evaluated_at,
        )

    def get(self, actor: Actor, evaluation_id: int) -> EvaluationRecord:
        """An evaluation by id. Raises EvaluationNotFound."""
        with self._stores.unit_of_work.read() as tx:
            found = self._evaluations.find(tx, evaluation_id)
        if found is None:
            raise EvaluationNotFound(
                f"There is no evaluation with id {evaluation_id}.",
                hint="List the evaluations of a version or a run to find it.",
                details={"evaluation_id": evaluation_id},
            )
        check(actor, Action.READ, entity=found.run.entity, project=found.run.project)
        return _record(found)

    def list_for_version(self, actor: Actor, version_id: int) -> tuple[EvaluationRecord, ...]:
        """Evaluations of a version or its tombstone, newest first, at most 1,000. Raises ArtifactNotFound."""
        with self._stores.unit_of_work.read() as tx:
            version = self._lookup.any_version(tx, version_id)
            check(actor, Action.READ, entity=version.source.entity, project=version.source.project)
            found = self._evaluations.list_for_version(tx, version_id, limit=LIST_MAX)
        return tuple(_record(each) for each in found)

    def list_for_run(self, actor: Actor, run: RunRef) -> tuple[EvaluationRecord, ...]:
        """Evaluations that a run made, a deleted one too, newest first, at most 1,000. Raises RunNotFound."""
        check(actor, Action.READ, entity=run.entity, project=run.project)
        with self._stores.unit_of_work.read() as tx:
            run_pk = self._lookup.any_run(tx, run).run_pk
            found = self._evaluations.list_for_run(tx, run_pk, limit=LIST_MAX)
        return tuple(_record(each) for each in found)


def _check(request: RecordEvaluation) -> None:
    verdicts = [verdict.value for verdict in Verdict]
    if request.verdict not in verdicts:
        raise InvalidInput(
            f"{request.verdict[:40]!r} is no verdict.",
            hint=f"Use {', '.join(verdicts[:-1])} or {verdicts[-1]}.",
            details={"verdicts": verdicts},
        )
    check_unicode("scorer", request.scorer)
    if len(request.scorer) > SCORER_MAX:
        raise InvalidInput(
            f"The scorer's name has {len(request.scorer):,} characters; at most {SCORER_MAX:,} are kept.",
            hint="Name its module and function.",
        )


def _record(stored: StoredEvaluation) -> EvaluationRecord:
    return EvaluationRecord(
        evaluation_id=stored.evaluation_id,
        run=stored.run,
        version_id=stored.version_id,
        version_path=stored.version_path,
        verdict=stored.verdict,
        report=stored.report,
        scorer=stored.scorer,
        evaluated_at=stored.evaluated_at,
    )
