"""The contracts of HistoryStore, ProjectStore and AuditStore."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.metadata_adapters import ADAPTERS, Metadata
from weighbridge.domain.registry import ProjectKind
from weighbridge.domain.run import RunState
from weighbridge.services.ports.audit import AuditEvent
from weighbridge.services.ports.history import NewChunk, NewSegment, StoredKey
from weighbridge.services.ports.runs import NewRun
from weighbridge.services.run_batches import widened

AT = 1_000.0


@pytest.fixture(params=list(ADAPTERS.values()), ids=list(ADAPTERS))
def metadata(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Metadata]:
    make: Callable[[Path], Metadata] = request.param
    made = make(tmp_path)
    yield made
    made.uow.close()


def add_run(metadata: Metadata, run_id: str = "r") -> int:
    with metadata.uow.write() as tx:
        new = NewRun(
            project_pk=metadata.addresses.ensure_project(tx, "ada", "p", at=AT),
            run_id=run_id,
            number=1,
            display_name="n",
            state=RunState.RUNNING,
            job_type="",
            group="",
            notes="",
            user="ada",
            created_at=AT,
            at=AT,
        )
        return metadata.runs.create(tx, new)


def chunk(first: int, last: int, data: bytes = b"data") -> NewChunk:
    return NewChunk(row_count=last - first + 1, step_min=first, step_max=last, data=data)


def segment(digest: str, first: int = 0, last: int = 9, **blocks: bytes) -> NewSegment:
    return NewSegment(
        digest=digest,
        row_count=10,
        step_min=first,
        step_max=last,
        directory=b"dir" + digest.encode(),
        blocks=blocks,
    )


@pytest.mark.parametrize(("known", "new"), list(itertools.product("fibsj", repeat=2)))
def test_kinds_widen_in_the_store_as_in_the_service(metadata: Metadata, known: str, new: str) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for kind in (known, new):
            metadata.history.add_keys(tx, run_pk, [StoredKey(name="a", kind=kind, count=2, last_step=5)])
        (found,) = metadata.history.keys(tx, run_pk)
    assert found == StoredKey(name="a", kind=widened(known, new), count=4, last_step=5)


def test_keys_come_by_name_with_the_highest_step(metadata: Metadata) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for step in (3, -(2**63), 2**63 - 1, 0):
            keys = [StoredKey(name=name, kind="i", count=1, last_step=step) for name in ("b", "a")]
            metadata.history.add_keys(tx, run_pk, keys)
        metadata.history.add_keys(tx, run_pk, [])
        found = metadata.history.keys(tx, run_pk)
    assert [(key.name, key.count, key.last_step) for key in found] == [
        ("a", 4, 2**63 - 1),
        ("b", 4, 2**63 - 1),
    ]


def test_chunks_come_in_order_of_arrival_and_within_the_steps(metadata: Metadata) -> None:
    run_pk, other = add_run(metadata), add_run(metadata, "other")
    with metadata.uow.write() as tx:
        assert metadata.history.tail(tx, run_pk).chunk_count == 0
        for first, last, data in ((10, 19, b"first"), (0, 9, b"second"), (5, 14, b"third")):
            metadata.history.add_chunk(tx, run_pk, chunk(first, last, data))
        metadata.history.add_chunk(tx, other, chunk(0, 9))
        tail = metadata.history.tail(tx, run_pk)
        assert (tail.chunk_count, tail.row_count, tail.size_bytes) == (3, 30, 16)
        whole = metadata.history.chunks(tx, run_pk)
        assert [each.data for each in whole] == [b"first", b"second", b"third"]
        low = metadata.history.chunks(tx, run_pk, step_max=9)
        assert [each.data for each in low] == [b"second", b"third"]
        one = metadata.history.chunks(tx, run_pk, step_min=15, step_max=15)
        assert [each.data for each in one] == [b"first"]
        assert metadata.history.chunks(tx, run_pk, step_min=20) == ()


def test_folding_swaps_all_chunks_or_none(metadata: Metadata) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for first in (0, 10, 20):
            metadata.history.add_chunk(tx, run_pk, chunk(first, first + 9))
        chunks = metadata.history.chunks(tx, run_pk)
        fold = metadata.history.fold_chunks
        assert fold(tx, run_pk, chunks[:2], segment=segment("one", a=b"x", b=b"y"), at=AT)
        assert not fold(tx, run_pk, chunks, segment=segment("two"), at=AT)
        assert not fold(tx, run_pk, chunks[:1], segment=segment("two"), at=AT)
        assert metadata.history.chunks(tx, run_pk) == chunks[2:]
        (stored,) = metadata.history.segments(tx, run_pk)
        assert (stored.digest, stored.row_count, stored.directory) == ("one", 10, b"dirone")
        assert metadata.history.blocks(tx, [stored.segment_pk], "a") == {stored.segment_pk: b"x"}
        assert metadata.history.blocks(tx, [stored.segment_pk], "c") == {}


def test_a_key_of_a_folded_chunk_is_never_given_again(metadata: Metadata) -> None:
    """Else a process that read the chunks before would fold others in their place."""
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        metadata.history.add_chunk(tx, run_pk, chunk(0, 9))
        old = metadata.history.chunks(tx, run_pk)
        assert metadata.history.fold_chunks(tx, run_pk, old, segment=segment("one"), at=AT)
        metadata.history.add_chunk(tx, run_pk, chunk(10, 19))
        assert not metadata.history.fold_chunks(tx, run_pk, old, segment=segment("two"), at=AT)
        assert len(metadata.history.chunks(tx, run_pk)) == 1


def test_joined_chunks_stay_before_what_came_later(metadata: Metadata) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for data in (b"1", b"2"):
            metadata.history.add_chunk(tx, run_pk, chunk(0, 0, data))
        chunks = metadata.history.chunks(tx, run_pk)
        metadata.history.add_chunk(tx, run_pk, chunk(0, 0, b"3"))
        assert metadata.history.join_chunks(tx, run_pk, chunks, joined=chunk(0, 1, b"12"))
        assert not metadata.history.join_chunks(tx, run_pk, chunks, joined=chunk(0, 1, b"12"))
        assert [each.data for each in metadata.history.chunks(tx, run_pk)] == [b"12", b"3"]


def test_merged_segments_keep_their_place_and_stale_merges_are_refused(metadata: Metadata) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for digest in ("a", "b", "c"):
            metadata.history.add_chunk(tx, run_pk, chunk(0, 9))
            metadata.history.fold_chunks(
                tx, run_pk, metadata.history.chunks(tx, run_pk), segment=segment(digest, m=b"old"), at=AT
            )
        before = metadata.history.segments(tx, run_pk)
        merge = metadata.history.merge_segments
        assert merge(tx, run_pk, before[:2], segment=segment("ab", m=b"new"), at=AT)
        assert not merge(tx, run_pk, before[1:], segment=segment("bc"), at=AT)
        after = metadata.history.segments(tx, run_pk)
        assert [each.digest for each in after] == ["ab", "c"]
        assert set(metadata.history.blocks(tx, [each.segment_pk for each in after], "m").values()) == {
            b"new",
            b"old",
        }


def test_segments_come_within_the_steps(metadata: Metadata) -> None:
    run_pk = add_run(metadata)
    with metadata.uow.write() as tx:
        for digest, first in (("a", 0), ("b", 100)):
            metadata.history.add_chunk(tx, run_pk, chunk(first, first + 9))
            metadata.history.fold_chunks(
                tx,
                run_pk,
                metadata.history.chunks(tx, run_pk),
                segment=segment(digest, first, first + 9),
                at=AT,
            )
        assert [each.digest for each in metadata.history.segments(tx, run_pk, step_min=10)] == ["b"]
        assert [each.digest for each in metadata.history.segments(tx, run_pk, step_max=9)] == ["a"]


def test_a_wiped_run_has_no_history_and_its_neighbour_keeps_its_own(metadata: Metadata) -> None:
    run_pk, other = add_run(metadata), add_run(metadata, "other")
    with metadata.uow.write() as tx:
        for pk in (run_pk, other):
            metadata.history.add_chunk(tx, pk, chunk(0, 9))
            metadata.history.fold_chunks(
                tx, pk, metadata.history.chunks(tx, pk), segment=segment(f"s{pk}", m=b"x"), at=AT
            )
            metadata.history.add_chunk(tx, pk, chunk(0, 9))
            metadata.history.add_keys(tx, pk, [StoredKey(name="m", kind="f", count=1, last_step=1)])
        metadata.history.wipe(tx, run_pk)
        for pk, count in ((run_pk, 0), (other, 1)):
            assert len(metadata.history.chunks(tx, pk)) == count
            assert len(metadata.history.segments(tx, pk)) == count
            assert len(metadata.history.keys(tx, pk)) == count


def test_projects_are_found_with_their_kind_and_description(metadata: Metadata) -> None:
    with metadata.uow.write() as tx:
        assert metadata.projects.find(tx, "ada", "p") is None
        project_pk = metadata.addresses.ensure_project(tx, "ada", "p", at=AT)
        metadata.addresses.ensure_project(tx, "babbage", "wandb-registry-models", at=AT)
        metadata.projects.describe(tx, project_pk, "d")
        found = metadata.projects.find(tx, "ada", "p")
        assert found is not None
        assert (found.path, found.kind, found.description, found.created_at) == (
            "ada/p",
            ProjectKind.PROJECT,
            "d",
            AT,
        )
        whole = metadata.projects.page(tx, None, cursor=None, limit=10)
        assert [(each.path, each.kind.value) for each in whole] == [
            ("ada/p", "project"),
            ("babbage/wandb-registry-models", "registry"),
        ]
        assert metadata.projects.page(tx, "ada", cursor="ada/p", limit=10) == ()


def test_the_audit_trail_is_read_newest_first_by_subject(metadata: Metadata) -> None:
    events = [
        AuditEvent(at=AT + number // 2, actor="ada", action=f"a{number}", subject="s", details={"n": number})
        for number in range(4)
    ]
    with metadata.uow.write() as tx:
        for event in events:
            metadata.audit.add(tx, event)
        assert metadata.audit.list_for_subject(tx, "other") == ()
        assert metadata.audit.list_for_subject(tx, "s", limit=3) == (events[3], events[2], events[1])
