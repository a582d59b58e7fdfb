"""Lineage: the graph of runs and versions around one of them, and its nearest neighbours. Changes nothing.

Upstream of a node is all that it came from, downstream all that came from it. A graph in both directions
holds both and every edge between what it holds; what merely shares an input with the root is not part of it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from weighbridge.domain.artifact import VersionRecord
from weighbridge.domain.lineage import Direction, LineageEdge, LineageGraph
from weighbridge.domain.run import RunRecord, RunRef
from weighbridge.errors import InvalidInput, ProducerNotFound, RunNotFound
from weighbridge.services.access import Action, Actor, check
from weighbridge.services.lookup import ArtifactStores, Lookup
from weighbridge.services.ports.lineage import LineageStore
from weighbridge.services.ports.runs import DOCUMENTS, RunStore
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.versions import StoredVersion
from weighbridge.wire.evaluations import ReadLineage

DEPTH_MAX: Final = 50
NODES_MAX: Final = 5_000
NEIGHBOURS_MAX: Final = 1_000

_WAYS: Final = (Direction.UPSTREAM, Direction.DOWNSTREAM)


class _Level(msgspec.Struct, frozen=True):
    """What one step of the walk found."""

    runs: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.versions)


class LineageService:
    """Who made what from what."""

    def __init__(self, stores: ArtifactStores, *, runs: RunStore) -> None:
        self._stores = stores
        self._lookup = Lookup(stores)
        self._runs = runs

    def graph(self, actor: Actor, request: ReadLineage) -> LineageGraph:
        """The graph around a run or a version, tombstones included; the same order every time.

        `is_truncated` where `depth` (1 to 50) or `limit` (1 to 5,000 nodes) left something out. A level costs
        two statements a direction, however many nodes it has. Raises InvalidInput, RunNotFound,
        ArtifactNotFound.
        """
        _check_request(request)
        with self._stores.unit_of_work.read() as tx:
            root = self._root(tx, actor, request)
            walk = _Walk(self._stores.lineage, tx, root=root, limit=request.limit)
            walk.run(request.direction, depth=request.depth)
            return walk.graph()

    def producer(self, actor: Actor, version_id: int) -> RunRecord:
        """The run that logged a version; a tombstone with `is_deleted` where it was deleted.

        Raises ArtifactNotFound, ProducerNotFound where no run made it.
        """
        with self._stores.unit_of_work.read() as tx:
            version = self._version(tx, actor, version_id)
            if version.producer_pk is None:
                raise ProducerNotFound(
                    f"Version {version.path!r} was made by no run.",
                    hint="A user logged it, or a run that only used it; name a run to compare with.",
                    details={"version": version.path},
                )
            return self._run_records(tx, (version.producer_pk,))[0]

    def consumers(self, actor: Actor, version_id: int) -> tuple[RunRecord, ...]:
        """Runs that used a version, through whatever collection, oldest first; at most 1,000."""
        with self._stores.unit_of_work.read() as tx:
            self._version(tx, actor, version_id)
            found = self._stores.lineage.users_of(tx, (version_id,), limit=NEIGHBOURS_MAX)
            return self._run_records(tx, found)

    def inputs(self, actor: Actor, run: RunRef) -> tuple[VersionRecord, ...]:
        """Versions that a run used, seen through the collections it named, in order of use; at most 1,000."""
        with self._stores.unit_of_work.read() as tx:
            run_pk = self._run(tx, actor, run)
            found = self._stores.lineage.input_memberships(tx, run_pk, limit=NEIGHBOURS_MAX)
            return self._stores.versions.records(tx, found)

    def outputs(self, actor: Actor, run: RunRef) -> tuple[VersionRecord, ...]:
        """Versions that a run logged, in order of logging; at most 1,000. Deleted ones are marked."""
        with self._stores.unit_of_work.read() as tx:
            run_pk = self._run(tx, actor, run)
            found = self._stores.lineage.output_memberships(tx, run_pk, limit=NEIGHBOURS_MAX)
            return self._stores.versions.records(tx, found)

    def _root(self, tx: Transaction, actor: Actor, request: ReadLineage) -> _Level:
        if request.run is not None:
            return _Level(runs=(self._run(tx, actor, request.run),))
        assert request.version_id is not None  # _check_request has looked.
        return _Level(versions=(self._version(tx, actor, request.version_id).version_id,))

    def _run(self, tx: Transaction, actor: Actor, run: RunRef) -> int:
        check(actor, Action.READ, entity=run.entity, project=run.project)
        return self._lookup.any_run(tx, run).run_pk

    def _version(self, tx: Transaction, actor: Actor, version_id: int) -> StoredVersion:
        found = self._lookup.any_version(tx, version_id)
        check(actor, Action.READ, entity=found.source.entity, project=found.source.project)
        return found

    def _run_records(self, tx: Transaction, run_pks: tuple[int, ...]) -> tuple[RunRecord, ...]:
        found: list[RunRecord] = []
        for ref in self._stores.lineage.run_refs(tx, run_pks):
            stored = self._runs.find(tx, ref, include=DOCUMENTS)
            if stored is None:
                raise RunNotFound(
                    f"Run {ref.path!r} is named by its lineage but is not stored.",
                    hint="Run: weighbridge doctor --deep",
                )
            found.append(stored.record)
        return tuple(found)


class _Walk:
    """A walk by levels, both ways in turn, so that a limit cuts the far ends and not one side."""

    def __init__(self, lineage: LineageStore, tx: Transaction, *, root: _Level, limit: int) -> None:
        self._lineage = lineage
        self._tx = tx
        self._limit = limit
        self._root = root
        # Insertion order is the order of the answer; a dict is a set that keeps it.
        self._run_pks: dict[int, None] = dict.fromkeys(root.runs)
        self._version_ids: dict[int, None] = dict.fromkeys(root.versions)
        # A node may lie both ways (a run that logs again what it used), so each way knows only its own.
        self._seen = {each: (set(root.runs), set(root.versions)) for each in _WAYS}
        self._is_truncated = False

    def run(self, direction: Direction, *, depth: int) -> None:
        """Visit what is at most `depth` edges away."""
        frontiers = {each: self._root for each in _WAYS if direction in (each, Direction.BOTH)}
        for level in range(depth + 1):
            for each, frontier in frontiers.items():
                if frontier:
                    frontiers[each] = self._step(each, frontier, is_beyond=level == depth)

    def _step(self, direction: Direction, frontier: _Level, *, is_beyond: bool) -> _Level:
        found = self._neighbours(direction, frontier)
        seen_runs, seen_versions = self._seen[direction]
        room = 0 if is_beyond else self._limit - len(self._run_pks) - len(self._version_ids)
        runs: list[int] = []
        versions: list[int] = []
        for keys, seen, known, chosen in (
            (found.runs, seen_runs, self._run_pks, runs),
            (found.versions, seen_versions, self._version_ids, versions),
        ):
            for key in keys:
                if key in seen:
                    continue
                if key not in known:
                    if room == 0:
                        self._is_truncated = True
                        continue
                    room -= 1
                    known[key] = None
                seen.add(key)
                chosen.append(key)
        return _Level() if is_beyond else _Level(tuple(runs), tuple(versions))

    def _neighbours(self, direction: Direction, frontier: _Level) -> _Level:
        # At most `limit` of them are known already, so one more than the limit shows whether any is new.
        most = self._limit + 1
        lineage, tx = self._lineage, self._tx
        up = direction is Direction.UPSTREAM
        runs: tuple[int, ...] = ()
        versions: tuple[int, ...] = ()
        if frontier.versions:
            find_runs = lineage.makers_of if up else lineage.users_of
            runs = find_runs(tx, frontier.versions, limit=most)
        if frontier.runs:
            find_versions = lineage.inputs_of if up else lineage.outputs_of
            versions = find_versions(tx, frontier.runs, limit=most)
        return _Level(runs, versions)

    def graph(self) -> LineageGraph:
        """What was visited, with every edge inside it."""
        run_pks, version_ids = tuple(self._run_pks), tuple(self._version_ids)
        runs = self._lineage.run_nodes(self._tx, run_pks)
        versions = self._lineage.version_nodes(self._tx, version_ids)
        used = self._lineage.used_between(self._tx, run_pks, version_ids)
        logged = self._lineage.logged_between(self._tx, run_pks, version_ids)
        edges = [
            LineageEdge(
                source=versions[edge.version_id].node_id, target=runs[edge.run_pk].node_id, kind="used"
            )
            for edge in used
        ]
        edges += [
            LineageEdge(
                source=runs[edge.run_pk].node_id, target=versions[edge.version_id].node_id, kind="logged"
            )
            for edge in logged
        ]
        nodes = [*(versions[key] for key in version_ids), *(runs[key] for key in run_pks)]
        root = versions[version_ids[0]] if self._root.versions else runs[run_pks[0]]
        return LineageGraph(
            root=root.node_id, nodes=tuple(nodes), edges=tuple(edges), is_truncated=self._is_truncated
        )


def _check_request(request: ReadLineage) -> None:
    if (request.run is None) == (request.version_id is None):
        raise InvalidInput(
            "Lineage begins at a run or at a version; give exactly one.",
            hint="Set either run or version_id.",
        )
    if not 1 <= request.depth <= DEPTH_MAX:
        raise InvalidInput(
            f"A depth of {request.depth:,} was asked for; 1 to {DEPTH_MAX} are allowed.",
            hint="Begin at a node further along instead.",
            details={"depth": request.depth, "most": DEPTH_MAX},
        )
    if not 1 <= request.limit <= NODES_MAX:
        raise InvalidInput(
            f"A limit of {request.limit:,} nodes was asked for; 1 to {NODES_MAX:,} are allowed.",
            hint="Read the graph in parts, from several roots.",
            details={"limit": request.limit, "most": NODES_MAX},
        )
