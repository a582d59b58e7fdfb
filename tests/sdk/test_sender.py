"""The sender against a real store behind a transport that fails at chosen moments."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weighbridge.domain.manifest import Manifest
from weighbridge.domain.run import RunRef, RunState
from weighbridge.errors import LimitExceeded, StorageBusy, StorageError
from weighbridge.sdk import spool
from weighbridge.sdk.artifact_draft import digest_of
from weighbridge.sdk.pending_batch import PendingBatch
from weighbridge.sdk.sender import DAMAGED, Lease, Sender
from weighbridge.sdk.spool import KIND_ARTIFACT, KIND_ITEM, KIND_ROW, SpoolWriter, new_spool_id
from weighbridge.sdk.spool_reader import segments
from weighbridge.sdk.transport.base import Transport
from weighbridge.testing.homes import ENTITY, open_test_transport
from weighbridge.wire.artifacts import LogArtifact
from weighbridge.wire.runs import FinishItem, HistoryItem, StartRun, SummaryItem
from weighbridge.wire.spool_items import LogArtifactItem

REF = RunRef(ENTITY, "p", "one")
encode = msgspec.msgpack.encode


class Failing:
    """A transport's noun whose named method raises before, or instead of telling of, its work."""

    def __init__(self, noun: object) -> None:
        self._noun = noun
        self.failures: dict[str, list[tuple[str, Exception]]] = {}
        self.calls: list[str] = []

    def fail(self, method: str, error: Exception, *, when: str = "before") -> None:
        self.failures.setdefault(method, []).append((when, error))

    def __getattr__(self, method: str) -> Callable[..., Any]:
        real: Callable[..., Any] = getattr(self._noun, method)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(method)
            waiting = self.failures.get(method)
            when, error = waiting.pop(0) if waiting else ("never", RuntimeError())
            if when == "before":
                raise error
            result = real(*arguments, **options)
            if when == "after":
                raise error
            return result

        return call


class FailingTransport:
    """A Transport with failures to order on runs and artifacts."""

    def __init__(self, real: Transport) -> None:
        self._real = real
        self.runs = Failing(real.runs)
        self.artifacts = Failing(real.artifacts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.fixture
def transport(tmp_path: Path) -> FailingTransport:
    return FailingTransport(open_test_transport(tmp_path / "home"))


def writer(tmp_path: Path) -> SpoolWriter:
    spool_id = new_spool_id()
    return SpoolWriter(
        tmp_path / "spool", spool_id, encode(StartRun(run=REF, spool_id=spool_id, started_at=1.0))
    )


def sender(folder: Path, transport: FailingTransport, said: list[str] | None = None) -> Sender:
    heard = said if said is not None else []
    made = Sender(folder, transport, say=heard.append)
    made.reload()
    return made


def row(index: int, **values: object) -> bytes:
    return encode((index, float(index), {"value": index, **values}))


def artifact(transport: FailingTransport, name: str) -> bytes:
    manifest = Manifest(())
    info = transport.blobs.put_bytes(manifest.encode())
    request = LogArtifact(
        entity=ENTITY,
        project="p",
        name=name,
        type="dataset",
        client_id=secrets.token_hex(16),
        manifest=b"",
        digest=digest_of(manifest),
        run=REF,
    )
    return encode(LogArtifactItem(request, info.digest))


def versions(transport: FailingTransport) -> list[str]:
    from weighbridge.wire.artifacts import ListCollections

    page = transport.artifacts.list_collections(ListCollections(entity=ENTITY, project="p"))
    return sorted(one.name for one in page.collections)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("noun", ["runs.append", "artifacts.log"])
def test_nothing_is_lost_or_doubled_by_a_failure_at_any_call(
    tmp_path: Path, transport: FailingTransport, when: str, noun: str
) -> None:
    """An artifact between rows is stored before its bytes count as stored."""
    for failing_call in range(6):
        base = tmp_path / f"{failing_call}"
        one = writer(base)
        for index in range(3):
            one.append(KIND_ROW, row(failing_call * 10 + index))
        one.append(KIND_ARTIFACT, artifact(transport, f"a{failing_call}"))
        one.append(KIND_ROW, row(failing_call * 10 + 3))
        one.append(KIND_ARTIFACT, artifact(transport, f"b{failing_call}"))
        one.release()
        place, method = noun.split(".")
        target: Failing = getattr(transport, place)
        for _ in range(failing_call):
            target.failures.setdefault(method, []).append(("never", RuntimeError()))
        target.fail(method, StorageBusy("busy", hint=""), when=when)
        shipping = sender(one.path, transport)
        with_failures = 0
        for _ in range(50):
            try:
                if not shipping.ship_block(is_final=True):
                    break
            except StorageBusy:
                with_failures += 1
                shipping = sender(one.path, transport) if failing_call % 2 else shipping
        target.failures.clear()
        assert with_failures <= 1
    rows = transport.runs.get(REF)
    assert rows.row_count == 6 * 4
    assert versions(transport) == sorted(f"{letter}{number}" for letter in "ab" for number in range(6))


def test_a_row_that_cannot_be_encoded_is_passed_over_alone(
    tmp_path: Path, transport: FailingTransport
) -> None:
    one = writer(tmp_path)
    for index in range(20):
        one.append(KIND_ROW, row(index, **({"_step": 1} if index == 7 else {})))
    one.append(KIND_ITEM, encode(FinishItem(RunState.FINISHED, 0, 9.0)))
    one.release()
    said: list[str] = []
    shipping = sender(one.path, transport, said)
    shipping.ship_all(is_final=True)
    assert transport.runs.get(REF).row_count == 19
    assert shipping.is_finished
    assert len(said) == 1 and "step 7" in said[0]
    shipping.remove()
    assert (one.path.parent / DAMAGED / one.spool_id).is_dir()
    assert not one.path.exists()


def test_more_metrics_than_a_run_may_have_hold_up_nothing(
    tmp_path: Path, transport: FailingTransport
) -> None:
    one = writer(tmp_path)
    names = 60_000
    for half in range(2):
        one.append(KIND_ROW, encode((half, 1.0, {f"{half}{number}": None for number in range(names)})))
    one.release()
    said: list[str] = []
    shipping = sender(one.path, transport, said)
    shipping.ship_all(is_final=True)
    # 120,000 metrics are more than a run may have, which Run.log says; here it must not hold up the rest.
    assert said and "refused and passed over" in said[0]
    assert shipping.offset == one.offset


def test_an_item_that_is_refused_costs_neither_rows_nor_the_end(
    tmp_path: Path, transport: FailingTransport
) -> None:
    one = writer(tmp_path)
    one.append(KIND_ROW, row(0))
    one.append(KIND_ITEM, encode(SummaryItem({"x": 1})))
    one.append(KIND_ITEM, encode(FinishItem(RunState.FINISHED, 0, 9.0)))
    one.release()
    transport.runs.fail("append", LimitExceeded("too many", hint=""))
    said: list[str] = []
    shipping = sender(one.path, transport, said)
    shipping.ship_all(is_final=True)
    record = transport.runs.get(REF)
    assert (record.row_count, record.state) == (1, RunState.FINISHED)
    assert len(said) == 1


def test_segments_are_deleted_only_when_read_to_their_end(
    tmp_path: Path, transport: FailingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 500)
    one = writer(tmp_path)
    for index in range(100):
        one.append(KIND_ROW, row(index))
    assert len(segments(one.path)) > 3
    shipping = sender(one.path, transport)
    shipping.ship_all(is_final=False)
    assert len(segments(one.path)) == 1
    for index in range(100, 200):
        one.append(KIND_ROW, row(index))
    one.release()
    shipping.ship_all(is_final=True)
    assert transport.runs.get(REF).row_count == 200


def test_a_segment_that_could_not_be_begun_leaves_nothing_behind(
    tmp_path: Path, transport: FailingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the segment before it looks ended, and is deleted while rows still go into it."""
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 500)
    one = writer(tmp_path)
    real = os.write
    full = True

    def write(fd: int, data: bytes) -> int:
        if full and data.startswith(spool.MAGIC):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr("weighbridge.sdk.spool.os.write", write)
    for index in range(50):
        one.append(KIND_ROW, row(index))
    assert len(segments(one.path)) == 1
    shipping = sender(one.path, transport)
    shipping.ship_all(is_final=False)
    full = False
    for index in range(50, 100):
        one.append(KIND_ROW, row(index))
    assert len(segments(one.path)) > 1
    one.release()
    shipping.ship_all(is_final=True)
    assert transport.runs.get(REF).row_count == 100


def test_what_was_shipped_is_not_looked_for_again_where_no_note_of_it_can_be_written(
    tmp_path: Path, transport: FailingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "SEGMENT_BYTES", 500)
    one = writer(tmp_path)
    for index in range(50):
        one.append(KIND_ROW, row(index))
    shipping = sender(one.path, transport)
    monkeypatch.setattr("weighbridge.sdk.sender.os.pwrite", refuse)
    shipping.ship_all(is_final=False)
    shipping.reload()
    assert shipping.offset == one.offset
    for index in range(50, 60):
        one.append(KIND_ROW, row(index))
    shipping.ship_all(is_final=False)
    assert transport.runs.get(REF).row_count == 60
    one.release()


def test_a_lease_of_a_spool_that_is_gone_is_not_given(tmp_path: Path, transport: FailingTransport) -> None:
    one = writer(tmp_path)
    one.release()
    first, second = Lease(one.path), Lease(one.path)
    assert first.acquire()
    assert not second.acquire()
    shipping = sender(one.path, transport)
    shipping.ship_all(is_final=True)
    shipping.remove()
    first.release()
    assert not second.acquire()
    assert not one.path.exists()


def test_a_spool_that_cannot_be_removed_is_an_error(
    tmp_path: Path, transport: FailingTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = writer(tmp_path)
    one.release()
    shipping = sender(one.path, transport)

    def refuse(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("weighbridge.sdk.sender.Path.rename", refuse)
    with pytest.raises(StorageError, match="stored, but cannot be removed"):
        shipping.remove()


def test_a_value_logged_after_it_was_removed_or_set_stands() -> None:
    pending = PendingBatch(lambda what, error: pytest.fail(f"{what}: {error}"))
    pending.add_item(SummaryItem({"set": 1, "kept": 2}, ("removed", "gone")))
    pending.add_row((0, 0.0, {"set": 5, "removed": 6}))
    rows, changes = pending.take()
    assert isinstance(rows, HistoryItem)
    assert changes == SummaryItem({"kept": 2}, ("gone",))
