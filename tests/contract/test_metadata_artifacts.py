"""What every metadata store must do with collections, versions, aliases and evaluations; one suite for all of them.

A store joins by a line in BACKENDS and passes unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from weighbridge.domain.artifact import CollectionKind
from weighbridge.domain.run import RunRef, RunState
from weighbridge.services.ports.addresses import AddressBook
from weighbridge.services.ports.aliases import AliasMove, AliasStore
from weighbridge.services.ports.collections import (
    CollectionChange,
    CollectionQuery,
    CollectionStore,
    NewCollection,
)
from weighbridge.services.ports.evaluations import EvaluationStore, NewEvaluation
from weighbridge.services.ports.lineage import Edge, LineageStore
from weighbridge.services.ports.runs import NewRun, RunDocuments, RunStore
from weighbridge.services.ports.transaction import Transaction
from weighbridge.services.ports.unit_of_work import UnitOfWork
from weighbridge.services.ports.versions import Membership, NewVersion, VersionStore
from weighbridge.storage.metadata.addresses import SqlAddressBook
from weighbridge.storage.metadata.aliases import SqlAliasStore
from weighbridge.storage.metadata.collections import SqlCollectionStore
from weighbridge.storage.metadata.database import Database
from weighbridge.storage.metadata.evaluations import SqlEvaluationStore
from weighbridge.storage.metadata.lineage import SqlLineageStore
from weighbridge.storage.metadata.runs import SqlRunStore
from weighbridge.storage.metadata.schema import prepare
from weighbridge.storage.metadata.versions import SqlVersionStore


class Backend:
    """The stores of one database."""

    def __init__(self, unit_of_work: UnitOfWork, close: Callable[[], None]) -> None:
        self.unit_of_work = unit_of_work
        self.close = close
        self.addresses: AddressBook = SqlAddressBook()
        self.collections: CollectionStore = SqlCollectionStore()
        self.versions: VersionStore = SqlVersionStore()
        self.aliases: AliasStore = SqlAliasStore()
        self.lineage: LineageStore = SqlLineageStore()
        self.evaluations: EvaluationStore = SqlEvaluationStore()
        self.runs: RunStore = SqlRunStore()

    def collection(self, tx: Transaction, name: str = "Digits", *, is_portfolio: bool = False) -> int:
        """A new collection."""
        kind = CollectionKind.PORTFOLIO if is_portfolio else CollectionKind.SEQUENCE
        project_pk = self.addresses.ensure_project(tx, "ann", "digits", at=1.0)
        new = NewCollection(project_pk=project_pk, name=name, kind=kind, type="model", at=1.0)
        return self.collections.create(tx, new)

    def version(self, tx: Transaction, collection_id: int, digest: str) -> Membership:
        """A new version."""
        new = NewVersion(
            collection_id=collection_id,
            client_id=f"{collection_id}-{digest}",
            digest=digest,
            manifest_digest="m" * 64,
            description="",
            metadata=self.versions.encode({}),
            size_bytes=1,
            file_count=1,
            history_step=None,
            producer_pk=None,
            created_at=2.0,
            at=2.0,
        )
        return self.versions.create(tx, new)

    def run(self, tx: Transaction, run_id: str) -> int:
        """A new run."""
        new = NewRun(
            project_pk=self.addresses.ensure_project(tx, "ann", "digits", at=1.0),
            run_id=run_id,
            number=1,
            display_name=run_id,
            state=RunState.FINISHED,
            job_type="",
            group="",
            notes="",
            user="ann",
            created_at=1.0,
            at=1.0,
        )
        run_pk = self.runs.create(tx, new)
        self.runs.create_documents(tx, run_pk, RunDocuments())
        return run_pk


def sqlite(folder: Path) -> Backend:
    database = Database(folder / "metadata.sqlite")
    prepare(database)
    return Backend(database, database.close)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"sqlite": sqlite}


@pytest.fixture(params=sorted(BACKENDS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.close()


def test_what_is_not_there_is_none(store: Backend) -> None:
    with store.unit_of_work.read() as tx:
        assert store.addresses.find_project(tx, "ann", "digits") is None
        assert store.addresses.find_run(tx, RunRef("ann", "digits", "r")) is None
        assert store.collections.find(tx, "ann", "digits", name="Digits") is None
        assert store.versions.find(tx, 1) is None
        assert store.versions.find_by_client_id(tx, "x") is None
        assert store.versions.membership(tx, 1, 1) is None
        assert store.versions.newest(tx, 1) is None
        assert store.aliases.holder(tx, 1, "latest") is None
        assert store.evaluations.find(tx, 1) is None
        assert store.versions.records(tx, ()) == ()
        assert store.collections.records(tx, ()) == ()
        assert store.lineage.inputs_of(tx, (), limit=10) == ()


def test_a_transaction_that_fails_leaves_nothing(store: Backend) -> None:
    with pytest.raises(RuntimeError), store.unit_of_work.write() as tx:
        store.version(tx, store.collection(tx), "a" * 64)
        raise RuntimeError
    with store.unit_of_work.read() as tx:
        assert store.addresses.find_project(tx, "ann", "digits") is None


def test_ensure_project_makes_it_once_and_knows_registries(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        first = store.addresses.ensure_project(tx, "ann", "digits", at=1.0)
        assert store.addresses.ensure_project(tx, "ann", "digits", at=2.0) == first
        assert store.addresses.ensure_project(tx, "ann", "model-registry", at=2.0) != first
        assert store.addresses.project_paths(tx) == ("ann/model-registry", "ann/digits")


def test_numbers_are_given_once_even_after_one_is_taken_out(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source, shelf = store.collection(tx), store.collection(tx, "Two Words", is_portfolio=True)
        places = [store.version(tx, source, digest * 64) for digest in "abc"]
        assert [place.version_index for place in places] == [0, 1, 2]
        linked = store.versions.add_membership(tx, shelf, places[2].version_id, at=3.0)
        store.versions.remove_membership(tx, linked.membership_id)
        again = store.versions.add_membership(tx, shelf, places[2].version_id, at=4.0)
        assert (linked.version_index, again.version_index) == (0, 1)
        assert store.versions.was_numbered(tx, shelf, 0) and not store.versions.was_numbered(tx, shelf, 2)
        assert store.versions.membership_at(tx, shelf, 0) is None
        assert [place.collection_id for place in store.versions.memberships_of(tx, places[2].version_id)] == [
            source,
            shelf,
        ]


def test_tombstones_are_found_by_id_only(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source = store.collection(tx)
        first, second = (store.version(tx, source, digest * 64) for digest in "ab")
        store.versions.mark_deleted(tx, second.version_id, at=9.0)
        assert store.versions.newest(tx, source) == first
        assert store.versions.page(tx, source, before=None, limit=10) == (first,)
        assert store.versions.same_content(tx, source, "b" * 64) is None
        assert store.versions.with_digest(tx, source, "b" * 8) == ()
        found = store.versions.find(tx, second.version_id)
        assert found is not None and (found.is_deleted, found.updated_at) == (True, 9.0)
        record = store.collections.records(tx, (source,))[0]
        assert record.version_count == 1
        at_index = store.versions.membership_at(tx, source, 1)
        assert at_index is not None and at_index.is_deleted


def test_a_deleted_collection_frees_its_name_and_keeps_its_versions(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        ids = []
        for digest in "ab":
            source = store.collection(tx)
            place = store.version(tx, source, digest * 64)
            store.collections.mark_deleted(tx, source, at=5.0)
            ids.append(place.version_id)
        assert store.collections.find(tx, "ann", "digits", name="Digits") is None
        assert store.collections.was_deleted(tx, "ann", "digits", name="Digits")
        assert not store.collections.was_deleted(tx, "ann", "digits", name="Digit")
        assert store.collections.names(tx, "ann", "digits") == ()
        query = CollectionQuery(entity="ann", project="digits", limit=10)
        assert store.collections.page(tx, query) == ()
        for version_id in ids:
            found = store.versions.find(tx, version_id)
            assert found is not None and found.path == "ann/digits/Digits:v0"
            assert found.source.is_deleted and found.source.kind is CollectionKind.SEQUENCE


def test_a_digest_is_found_by_its_beginning_newest_first(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source = store.collection(tx)
        one, two = store.version(tx, source, "abcd" + "0" * 60), store.version(tx, source, "abcd" + "f" * 60)
        store.version(tx, source, "abce" + "0" * 60)
        assert store.versions.with_digest(tx, source, "abcd") == (two, one)
        assert store.versions.with_digest(tx, source, "abcdf") == (two,)
        assert store.versions.same_content(tx, source, "abcd" + "0" * 60) == one


def test_records_come_in_the_order_asked_for(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source = store.collection(tx)
        places = [store.version(tx, source, digest * 64) for digest in "abc"]
        wanted = tuple(place.membership_id for place in (places[1], places[2], places[0]))
        assert [record.version for record in store.versions.records(tx, wanted)] == ["v1", "v2", "v0"]
        others = store.collection(tx, "a"), store.collection(tx, "b")
        assert [record.name for record in store.collections.records(tx, (others[1], others[0]))] == ["b", "a"]


def test_an_alias_has_one_holder_and_its_times_never_run_backwards(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source = store.collection(tx)
        first, second = (store.version(tx, source, digest * 64) for digest in "ab")
        for place in (first, second):
            store.aliases.point(tx, source, "best", membership_id=place.membership_id)
        assert store.aliases.holder(tx, source, "best") == second
        assert store.aliases.of_collection(tx, source) == {"best": 1}
        assert store.aliases.of_membership(tx, first.membership_id) == ()
        for at, before, after in ((10.0, None, 0), (4.0, 0, 1)):
            move = AliasMove(
                collection_id=source, alias="best", from_index=before, to_index=after, at=at, actor="ann"
            )
            store.aliases.add_event(tx, move)
        events = store.aliases.events(tx, source, alias="best", until=None, limit=10)
        assert [(event.at, event.from_version, event.to_version) for event in events] == [
            (10.0, None, "v0"),
            (10.0, "v0", "v1"),
        ]
        assert store.aliases.events(tx, source, alias=None, until=None, limit=1) == events[1:]
        assert store.aliases.events(tx, source, alias=None, until=9.9, limit=10) == ()
        store.aliases.remove(tx, source, "best")
        assert (store.aliases.holder(tx, source, "best"), store.aliases.count(tx, source)) == (None, 0)


def test_names_are_ordered_by_code_point(store: Backend) -> None:
    names = ["a", "B", "ä", "_", "1", "a b"]
    with store.unit_of_work.write() as tx:
        for name in names:
            store.collection(tx, name, is_portfolio=True)
        query = CollectionQuery(entity="ann", project="digits", limit=10)
        keys = store.collections.page(tx, query)
        assert [record.name for record in store.collections.records(tx, keys)] == sorted(names)
        store.collections.update(tx, keys[0], CollectionChange(name="z", tags=("t",), at=7.0))
        changed = store.collections.records(tx, keys[:1])[0]
        assert (changed.name, changed.tags, changed.updated_at) == ("z", ("t",), 7.0)


def test_edges_are_kept_once_and_read_in_bulk(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        source, run_pk, other = store.collection(tx), store.run(tx, "one"), store.run(tx, "two")
        first, second = (store.version(tx, source, digest * 64) for digest in "ab")
        for used_as in ("validation", "later"):
            edge = Edge(run_pk, first.version_id)
            store.lineage.add_input(tx, edge, collection_id=source, used_as=used_as, at=1.0)
        for _ in range(2):
            store.lineage.add_output(tx, Edge(other, second.version_id), at=1.0)
        both, versions = (run_pk, other), (first.version_id, second.version_id)
        assert store.lineage.inputs_of(tx, both, limit=9) == (first.version_id,)
        assert store.lineage.outputs_of(tx, both, limit=9) == (second.version_id,)
        assert store.lineage.users_of(tx, versions, limit=9) == (run_pk,)
        assert store.lineage.makers_of(tx, versions, limit=9) == (other,)
        assert store.lineage.used_between(tx, both, versions) == (Edge(run_pk, first.version_id),)
        assert store.lineage.used_between(tx, both, (second.version_id,)) == ()
        assert store.lineage.logged_between(tx, both, versions) == (Edge(other, second.version_id),)
        assert [ref.run_id for ref in store.lineage.run_refs(tx, (other, run_pk))] == ["two", "one"]


def test_an_evaluation_of_one_run_and_version_is_replaced(store: Backend) -> None:
    with store.unit_of_work.write() as tx:
        place = store.version(tx, store.collection(tx), "a" * 64)
        new = NewEvaluation(
            run_pk=store.run(tx, "one"),
            version_id=place.version_id,
            verdict="failed",
            report=store.evaluations.encode(msgspec.Raw(b'{"a": [1, null]}')),
            scorer="s",
            evaluated_at=1.0,
        )
        first = store.evaluations.put(tx, new)
        again = store.evaluations.put(tx, new)
        assert (first[1], again) == (False, (first[0], True))
        found = store.evaluations.list_for_version(tx, place.version_id, limit=10)
        assert [each.report for each in found] == [{"a": [1, None]}]
        assert store.versions.records(tx, (place.membership_id,))[0].verdict == "failed"
