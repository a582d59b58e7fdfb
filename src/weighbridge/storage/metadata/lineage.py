"""Edges between runs and versions in SQL, written singly and read in bulk. The services walk the graph."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Row, Select, Table, bindparam, case, insert, select

from weighbridge.domain.lineage import LineageNode, NodeKind
from weighbridge.domain.run import RunRef
from weighbridge.services.ports.lineage import Edge
from weighbridge.services.ports.transaction import Transaction
from weighbridge.storage.metadata.collections import shown_name
from weighbridge.storage.metadata.database import connection
from weighbridge.storage.metadata.tables import (
    aliases,
    collections,
    entities,
    memberships,
    projects,
    run_inputs,
    run_outputs,
    runs,
    versions,
)
from weighbridge.storage.metadata.version_records import newest_verdicts

_IDS: Final[BindParameter[int]] = bindparam("ids", expanding=True)


def _neighbours(found: ColumnElement[int], known: ColumnElement[int]) -> Select[int]:
    return select(found).where(known.in_(_IDS)).distinct().order_by(found).limit(bindparam("limit"))


def _between(table: Table) -> Select[int, int]:
    # `+ 0` keeps the second list out of the search for an index: runs are looked up, versions only filtered.
    # With both in use SQLite would try every pair of the two lists.
    return (
        select(table.c.run_pk, table.c.version_pk)
        .where(table.c.run_pk.in_(_IDS), (table.c.version_pk + 0).in_(bindparam("others", expanding=True)))
        .order_by(table.c.run_pk, table.c.version_pk)
    )


def _exists(table: Table) -> Select[int]:
    return select(table.c.run_pk).where(
        table.c.run_pk == bindparam("run"), table.c.version_pk == bindparam("version")
    )


_INPUTS_OF: Final = _neighbours(run_inputs.c.version_pk, run_inputs.c.run_pk)
_OUTPUTS_OF: Final = _neighbours(run_outputs.c.version_pk, run_outputs.c.run_pk)
_USERS_OF: Final = _neighbours(run_inputs.c.run_pk, run_inputs.c.version_pk)
_MAKERS_OF: Final = _neighbours(run_outputs.c.run_pk, run_outputs.c.version_pk)
_USED_BETWEEN: Final = _between(run_inputs)
_LOGGED_BETWEEN: Final = _between(run_outputs)
_HAS_INPUT: Final = _exists(run_inputs)
_HAS_OUTPUT: Final = _exists(run_outputs)

_RUN_NODES: Final = (
    select(
        runs.c.run_pk,
        runs.c.run_id,
        runs.c.display_name,
        runs.c.job_type,
        runs.c.state,
        runs.c.created_at,
        runs.c.is_deleted,
        projects.c.name.label("project"),
        entities.c.name.label("entity"),
    )
    .join(projects, projects.c.project_pk == runs.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(runs.c.run_pk.in_(_IDS))
)
_PLACES: Final = (
    select(
        memberships.c.membership_pk,
        memberships.c.version_pk,
        memberships.c.version_index,
        (memberships.c.collection_pk == versions.c.collection_pk).label("is_source"),
        versions.c.created_at,
        versions.c.is_deleted,
        collections.c.name.label("collection"),
        collections.c.type,
        projects.c.name.label("project"),
        entities.c.name.label("entity"),
    )
    .join(versions, versions.c.version_pk == memberships.c.version_pk)
    .join(collections, collections.c.collection_pk == memberships.c.collection_pk)
    .join(projects, projects.c.project_pk == collections.c.project_pk)
    .join(entities, entities.c.entity_pk == projects.c.entity_pk)
    .where(memberships.c.version_pk.in_(_IDS))
    .order_by(memberships.c.version_pk, memberships.c.membership_pk)
)
_ALIASES: Final = (
    select(memberships.c.version_pk, aliases.c.alias)
    .join(aliases, aliases.c.membership_pk == memberships.c.membership_pk)
    .where(memberships.c.version_pk.in_(_IDS))
    .order_by(memberships.c.version_pk, aliases.c.alias)
    .distinct()
)
_USED_THROUGH: Final = (
    (memberships.c.version_pk == run_inputs.c.version_pk)
    & (memberships.c.collection_pk == run_inputs.c.collection_pk),
)
_HOME: Final = memberships.alias("home")
_INPUT_PLACES: Final = (
    select(
        case(
            (memberships.c.membership_pk.is_not(None), memberships.c.membership_pk),
            else_=_HOME.c.membership_pk,
        )
    )
    .select_from(run_inputs)
    .join(versions, versions.c.version_pk == run_inputs.c.version_pk)
    .join(
        _HOME,
        (_HOME.c.version_pk == versions.c.version_pk) & (_HOME.c.collection_pk == versions.c.collection_pk),
    )
    .outerjoin(memberships, *_USED_THROUGH)
    .where(run_inputs.c.run_pk == bindparam("run"))
    .order_by(run_inputs.c.at, run_inputs.c.version_pk)
    .limit(bindparam("limit"))
)
_OUTPUT_PLACES: Final = (
    select(memberships.c.membership_pk)
    .select_from(run_outputs)
    .join(versions, versions.c.version_pk == run_outputs.c.version_pk)
    .join(
        memberships,
        (memberships.c.version_pk == versions.c.version_pk)
        & (memberships.c.collection_pk == versions.c.collection_pk),
    )
    .where(run_outputs.c.run_pk == bindparam("run"))
    .order_by(run_outputs.c.at, run_outputs.c.version_pk)
    .limit(bindparam("limit"))
)


class SqlLineageStore:
    """LineageStore over `run_inputs` and `run_outputs`."""

    def add_input(self, tx: Transaction, edge: Edge, *, collection_id: int, used_as: str, at: float) -> None:
        """Record that a run used a version."""
        row = {"collection_pk": collection_id, "used_as": used_as, "at": at}
        _add(tx, _HAS_INPUT, table=run_inputs, edge=edge, row=row)

    def add_output(self, tx: Transaction, edge: Edge, *, at: float) -> None:
        """Record that a run logged a version."""
        _add(tx, _HAS_OUTPUT, table=run_outputs, edge=edge, row={"at": at})

    def inputs_of(self, tx: Transaction, run_pks: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Versions that any of the runs used, by id."""
        return _keys(tx, _INPUTS_OF, ids=run_pks, limit=limit)

    def outputs_of(self, tx: Transaction, run_pks: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Versions that any of the runs logged, by id."""
        return _keys(tx, _OUTPUTS_OF, ids=run_pks, limit=limit)

    def users_of(self, tx: Transaction, version_ids: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Runs that used any of the versions, by key."""
        return _keys(tx, _USERS_OF, ids=version_ids, limit=limit)

    def makers_of(self, tx: Transaction, version_ids: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Runs that logged any of the versions, by key."""
        return _keys(tx, _MAKERS_OF, ids=version_ids, limit=limit)

    def used_between(
        self, tx: Transaction, run_pks: tuple[int, ...], version_ids: tuple[int, ...]
    ) -> tuple[Edge, ...]:
        """Every use of one of the versions by one of the runs."""
        return _edges(tx, _USED_BETWEEN, run_pks=run_pks, version_ids=version_ids)

    def logged_between(
        self, tx: Transaction, run_pks: tuple[int, ...], version_ids: tuple[int, ...]
    ) -> tuple[Edge, ...]:
        """Every logging of one of the versions by one of the runs."""
        return _edges(tx, _LOGGED_BETWEEN, run_pks=run_pks, version_ids=version_ids)

    def run_nodes(self, tx: Transaction, run_pks: tuple[int, ...]) -> dict[int, LineageNode]:
        """Nodes of runs, in one statement."""
        rows = connection(tx).execute(_RUN_NODES, {"ids": list(run_pks)})
        return {row.run_pk: _run_node(row) for row in rows}

    def version_nodes(self, tx: Transaction, version_ids: tuple[int, ...]) -> dict[int, LineageNode]:
        """Nodes of versions, in three statements."""
        sql, ids = connection(tx), {"ids": list(version_ids)}
        held: dict[int, list[str]] = {}
        for alias in sql.execute(_ALIASES, ids):
            held.setdefault(alias.version_pk, []).append(alias.alias)
        places: dict[int, list[Row[*tuple[Any, ...]]]] = {}
        for place in sql.execute(_PLACES, ids):
            places.setdefault(place.version_pk, []).append(place)
        verdicts = newest_verdicts(tx, version_ids)
        return {
            key: _version_node(key, rows, aliases=tuple(held.get(key, ())), verdict=verdicts.get(key))
            for key, rows in places.items()
        }

    def run_refs(self, tx: Transaction, run_pks: tuple[int, ...]) -> tuple[RunRef, ...]:
        """Addresses in the order asked for."""
        rows = connection(tx).execute(_RUN_NODES, {"ids": list(run_pks)})
        found = {row.run_pk: RunRef(row.entity, row.project, row.run_id) for row in rows}
        return tuple(found[key] for key in run_pks)

    def input_memberships(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[int, ...]:
        """Memberships through which a run used its inputs, in order of use."""
        return tuple(connection(tx).execute(_INPUT_PLACES, {"run": run_pk, "limit": limit}).scalars())

    def output_memberships(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[int, ...]:
        """Memberships of what a run logged, in order of logging."""
        return tuple(connection(tx).execute(_OUTPUT_PLACES, {"run": run_pk, "limit": limit}).scalars())


def _add(tx: Transaction, has: Select[int], *, table: Table, edge: Edge, row: dict[str, object]) -> None:
    sql = connection(tx)
    if sql.execute(has, {"run": edge.run_pk, "version": edge.version_id}).first() is None:
        sql.execute(insert(table), row | {"run_pk": edge.run_pk, "version_pk": edge.version_id})


def _keys(tx: Transaction, statement: Select[int], *, ids: Iterable[int], limit: int) -> tuple[int, ...]:
    return tuple(connection(tx).execute(statement, {"ids": list(ids), "limit": limit}).scalars())


def _edges(
    tx: Transaction,
    statement: Select[int, int],
    *,
    run_pks: tuple[int, ...],
    version_ids: tuple[int, ...],
) -> tuple[Edge, ...]:
    rows = connection(tx).execute(statement, {"ids": list(run_pks), "others": list(version_ids)})
    return tuple(Edge(row.run_pk, row.version_pk) for row in rows)


def _run_node(row: Row[*tuple[Any, ...]]) -> LineageNode:
    ref = RunRef(row.entity, row.project, row.run_id)
    return LineageNode(
        node_id=f"run:{ref.path}",
        kind=NodeKind.RUN,
        name=row.display_name,
        path=ref.path,
        role=row.job_type,
        state=row.state,
        created_at=row.created_at,
        is_deleted=row.is_deleted,
    )


def _version_node(
    version_id: int, places: list[Row[*tuple[Any, ...]]], *, aliases: tuple[str, ...], verdict: str | None
) -> LineageNode:
    paths = {
        place.membership_pk: f"{place.entity}/{place.project}/{shown_name(place.collection)}"
        f":v{place.version_index}"
        for place in places
    }
    source = next(place for place in places if place.is_source)
    return LineageNode(
        node_id=f"version:{version_id}",
        kind=NodeKind.VERSION,
        name=f"{shown_name(source.collection)}:v{source.version_index}",
        path=paths[source.membership_pk],
        role=source.type,
        aliases=aliases,
        links=tuple(sorted(paths[place.membership_pk] for place in places if not place.is_source)),
        verdict=verdict,
        created_at=source.created_at,
        is_deleted=source.is_deleted,
    )
