"""History as it is read and folded: the same rows before, while and after chunks become segments."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.service.run_world import START, World, finish, history, ref, same, steps
from weighbridge.domain.chunk import encode_chunk
from weighbridge.domain.run import MetricDefinition, RunState
from weighbridge.domain.summary import SummaryFold
from weighbridge.errors import InvalidInput, ProjectNotFound, RunNotFound
from weighbridge.services import history as service
from weighbridge.services.ports.history import ChunkTail, StoredSegment
from weighbridge.testing.homes import ACTOR
from weighbridge.wire.history import ReadBuckets, ReadRows, ReadSeries, SampleRows
from weighbridge.wire.runs import AppendBatch, DefineItem, HistoryItem, Item, SummaryItem

LARGE = service.SMALL_ROWS
"""Rows enough to be folded."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.close()


def values(world: World, name: str, **span: int) -> list[tuple[int, float]]:
    (series,) = world.history.series(ReadSeries(run=ref(), names=(name,), **span))
    dtype = {"f": "<f8", "i": "<i8", "b": "?"}[series.kind]
    found = np.frombuffer(series.values, dtype).tolist()
    return list(zip(np.frombuffer(series.steps, "<i8").tolist(), found, strict=True))


def tail_of(world: World) -> tuple[int, int]:
    """How many chunks and segments the run is kept in."""
    stored = world.transport._services.history
    with stored._uow.read() as tx:
        run_pk = stored._key_of(tx, ref())
        return len(stored._history.chunks(tx, run_pk)), len(stored._history.segments(tx, run_pk))


def fold(world: World) -> None:
    world.transport._services.history.fold(ACTOR, ref())


# ---------------------------------------------------------------------------------------------- refusals


def test_reading_what_is_missing_names_what_is_near(world: World) -> None:
    with pytest.raises(ProjectNotFound):
        world.history.keys(ref())
    world.start()
    with pytest.raises(RunNotFound):
        world.history.keys(ref("r2"))
    world.send(steps(0, 3))
    with pytest.raises(InvalidInput) as caught:
        world.history.series(ReadSeries(run=ref(), names=("los",)))
    assert "'loss'" in caught.value.hint
    with pytest.raises(InvalidInput):
        world.history.buckets(ReadBuckets(run=ref(), name="los"))


@pytest.mark.parametrize("count", [0, 10_001])
def test_pages_and_buckets_are_bounded(world: World, count: int) -> None:
    world.start()
    world.send(steps(0, 3))
    with pytest.raises(InvalidInput):
        world.history.buckets(ReadBuckets(run=ref(), name="loss", buckets=count))
    with pytest.raises(InvalidInput):
        world.history.rows(ReadRows(run=ref(), limit=count))
    with pytest.raises(InvalidInput):
        world.history.sample(SampleRows(run=ref(), samples=count * 10))
    with pytest.raises(InvalidInput):
        world.history.series(ReadSeries(run=ref(), names=("loss",) * (count and 1_001)))
    with pytest.raises(InvalidInput):
        world.history.rows(ReadRows(run=ref(), names=()))


# ---------------------------------------------------------------------------------------------- reading


def test_keys_count_values_and_widen_their_kind(world: World) -> None:
    world.start()
    world.send(history((0, {"a": 1, "b": True, "s": "x"}), (1, {"a": 2}), (9, {"b": False})))
    world.send(history((2, {"a": 0.5, "b": 1})))
    found = {key.name: (key.kind, key.count, key.last_step) for key in world.history.keys(ref())}
    assert found == {"a": ("f", 3, 2), "b": ("j", 3, 9), "s": ("s", 1, 0)}


def test_series_come_by_step_with_the_latest_value_of_each(world: World) -> None:
    world.start()
    world.send(history((5, {"a": 1.0}), (2, {"a": 2.0})), history((5, {"a": 3.0}), (7, {"b": 1})))
    assert values(world, "a") == [(2, 2.0), (5, 3.0)]
    assert values(world, "a", step_min=3) == [(5, 3.0)]
    assert values(world, "a", step_max=4) == [(2, 2.0)]
    assert values(world, "b", step_max=4) == []
    (series,) = world.history.series(ReadSeries(run=ref(), names=("a",)))
    assert np.frombuffer(series.times_us, "<i8").tolist() == [int((START + s) * 1e6) for s in (2, 5)]


def test_text_and_json_travel_as_lists(world: World) -> None:
    world.start()
    world.send(history((0, {"s": "x", "j": [1, {"a": None}]}), (1, {"s": "y", "j": "z"})))
    found = world.history.series(ReadSeries(run=ref(), names=("s", "j")))
    assert [(each.kind, msgspec.msgpack.decode(each.values)) for each in found] == [
        ("s", ["x", "y"]),
        ("j", [[1, {"a": None}], "z"]),
    ]


def test_rows_merge_by_step_and_go_on_where_the_page_ended(world: World) -> None:
    world.start()
    world.send(
        history((0, {"a": 1}), (2, {"a": 2, "b": 1}), (3, {"b": 2})), history((0, {"b": 9}), (7, {"c": 1}))
    )
    first = world.history.rows(ReadRows(run=ref(), limit=2))
    assert first.rows[0] == {"_step": 0, "_timestamp": START, "_runtime": 0.0, "a": 1, "b": 9}
    assert [row["_step"] for row in first.rows] == [0, 2]
    assert first.next_step == 3
    rest = world.history.rows(ReadRows(run=ref(), step_min=first.next_step))
    assert [row["_step"] for row in rest.rows] == [3, 7]
    assert rest.next_step is None
    one_of = world.history.rows(ReadRows(run=ref(), names=("a", "c"), limit=2))
    assert [row["_step"] for row in one_of.rows] == [0, 2]
    assert one_of.next_step == 7
    both = world.history.rows(ReadRows(run=ref(), names=("a", "b"), require_all=True))
    assert [(row["_step"], row["a"], row["b"]) for row in both.rows] == [(0, 1, 9), (2, 2, 1)]


def test_a_sample_spreads_over_the_rows_that_hold_all_names(world: World) -> None:
    world.start()
    world.send(steps(0, 101, even=1), history(*((step, {"other": step}) for step in range(200, 300))))
    found = world.history.sample(SampleRows(run=ref(), names=("loss", "even"), samples=5)).rows
    assert [row["_step"] for row in found] == [0, 25, 50, 75, 100]
    assert len(world.history.sample(SampleRows(run=ref(), samples=7)).rows) == 7
    assert world.history.sample(SampleRows(run=ref(), names=("loss", "other"))).rows == ()


def test_a_run_without_history_reads_as_empty(world: World) -> None:
    world.start()
    assert world.history.keys(ref()) == ()
    assert world.history.rows(ReadRows(run=ref())).rows == ()
    assert world.history.sample(SampleRows(run=ref())).rows == ()


# ---------------------------------------------------------------------------------------------- folding


@pytest.mark.parametrize(
    ("tail", "is_finished", "due"),
    [
        ((64, 100, 1), False, False),
        ((65, 100, 1), False, True),
        ((1, service.TAIL_ROWS_MAX, 1), False, False),
        ((1, service.TAIL_ROWS_MAX + 1, 1), False, True),
        ((1, 1, service.TAIL_BYTES_MAX + 1), False, True),
        ((1, service.SMALL_ROWS - 1, 1), True, False),
        ((1, service.SMALL_ROWS, 1), True, True),
        ((1, service.SMALL_ROWS, 1), False, False),
    ],
)
def test_a_tail_is_folded_past_its_bounds_or_at_the_end(
    tail: tuple[int, int, int], is_finished: bool, due: bool
) -> None:
    chunk_count, row_count, size_bytes = tail
    found = ChunkTail(chunk_count=chunk_count, row_count=row_count, size_bytes=size_bytes)
    assert service.needs_folding(found, is_finished=is_finished) is due


def test_a_small_run_stays_in_the_database_and_a_large_one_is_folded(world: World) -> None:
    world.start()
    world.send(steps(0, service.SMALL_ROWS - 1), finish())
    assert tail_of(world) == (1, 0)
    world.send(steps(service.SMALL_ROWS - 1, 1), finish())
    assert tail_of(world) == (0, 1)
    assert len(values(world, "loss")) == service.SMALL_ROWS


def test_many_small_chunks_are_joined_in_order_of_arrival(world: World) -> None:
    world.start()
    for number in range(66):
        world.send(history((number % 10, {"a": number})))
    assert tail_of(world)[0] <= 2
    assert values(world, "a") == [(step, max(n for n in range(66) if n % 10 == step)) for step in range(10)]


def test_folding_again_or_a_run_that_is_gone_does_nothing(world: World) -> None:
    world.start()
    world.send(steps(0, service.SMALL_ROWS))
    fold(world)
    assert tail_of(world) == (0, 1)
    fold(world)
    assert tail_of(world) == (0, 1)
    world.runs.delete(ref())
    fold(world)


def test_folding_gives_the_space_of_the_chunks_back(world: World) -> None:
    world.start()
    for number in range(8):
        world.send(HistoryItem(encode_chunk(
            [(number * LARGE + n, START, {name: random.random() for name in "abcd"}) for n in range(LARGE)]
        )))  # fmt: skip
    with sqlite3.connect(Path(world.transport.identity.location) / "weighbridge.db") as database:
        before = database.execute("PRAGMA page_count").fetchone()[0]
        fold(world)
        after, free = (
            database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count")
        )
    database.close()
    assert tail_of(world) == (0, 1)
    assert after < before // 2
    assert free <= 256


def test_a_late_step_goes_over_a_folded_one(world: World) -> None:
    world.start()
    world.send(steps(0, service.SMALL_ROWS), finish())
    world.send(history((10, {"loss": 9.0}), (service.SMALL_ROWS + 1_000, {"loss": 8.0})))
    assert dict(values(world, "loss", step_min=9, step_max=11))[10] == 9.0
    fold_all = steps(service.SMALL_ROWS + 2_000, service.SMALL_ROWS)
    world.send(fold_all, finish())
    assert dict(values(world, "loss", step_min=10, step_max=10)) == {10: 9.0}
    assert tail_of(world) == (0, 2)


def test_segments_of_like_size_are_merged_in_their_place(world: World) -> None:
    world.start()
    for number in range(service.MERGE_COUNT):
        world.send(
            history(*((step, {"a": float(number), f"m{number}": 1}) for step in range(service.SMALL_ROWS)))
        )
        fold(world)
    assert tail_of(world) == (0, 1)
    assert {value for _, value in values(world, "a")} == {float(service.MERGE_COUNT - 1)}
    assert len(values(world, "m0")) == service.SMALL_ROWS
    assert {key.name for key in world.history.keys(ref())} == {
        "a",
        *(f"m{n}" for n in range(service.MERGE_COUNT)),
    }


def _segments(*row_counts: int) -> tuple[StoredSegment, ...]:
    return tuple(
        StoredSegment(segment_pk=n, digest=str(n), row_count=rows, step_min=0, step_max=1, directory=b"")
        for n, rows in enumerate(row_counts)
    )


@pytest.mark.parametrize(
    ("row_counts", "merged"),
    [
        ((), 0),
        ((10,), 0),
        ((10, 10, 10), 0),
        ((10, 10, 10, 10), 4),
        ((100_000, 10, 10, 10, 10), 4),
        ((60, 20, 20, 10, 10, 10), 0),
        ((20, 20, 20, 20, 10), 5),
        ((300_000, 300_000, 300_000, 300_000), 3),
        ((900_000, 300_000), 0),
        ((900_000, 300_000, 300_000), 2),
    ],
)
def test_what_is_merged_is_the_newest_of_like_size_within_the_bound(
    row_counts: tuple[int, ...], merged: int
) -> None:
    chosen = service.mergeable(_segments(*row_counts))
    assert chosen == _segments(*row_counts)[len(row_counts) - merged :]
    assert sum(each.row_count for each in chosen) <= service.SEGMENT_ROWS_MAX


@given(st.lists(st.integers(1, 300_000), max_size=200))
def test_any_sequence_of_folds_keeps_few_segments(folds: list[int]) -> None:
    kept: list[int] = []
    for rows in folds:
        kept.append(rows)
        while chosen := service.mergeable(_segments(*kept)):
            kept[len(kept) - len(chosen) :] = [sum(each.row_count for each in chosen)]
    assert sum(kept) == sum(folds)
    assert len(kept) <= 32 + sum(folds) // (service.SEGMENT_ROWS_MAX // 4)


# ---------------------------------------------------------------------------------------------- the laws

_value = (
    st.integers(-5, 5)
    | st.sampled_from([0.5, -2.25, float("nan"), float("inf")])
    | st.booleans()
    | st.sampled_from(["x", "y"])
)
_rows = st.lists(
    st.tuples(st.integers(0, 8), st.dictionaries(st.sampled_from(["a", "b.c", "d"]), _value, min_size=1)),
    min_size=1,
    max_size=4,
)
_batches = st.lists(_rows, min_size=1, max_size=5)
_KINDS = ("min", "max", "mean", "last", "first", "best")


def _stored(
    home: Path, batches: list[list[tuple[int, dict[str, Any]]]], rng: random.Random
) -> dict[str, Any]:
    """What is stored after the batches were sent with replays and folds at random."""
    world = World(home)
    world.start()
    sent: list[AppendBatch] = []
    for number, rows in enumerate(batches):
        items: list[Item] = [history(*rows), SummaryItem({"by hand": number})]
        if number == 1:
            items.insert(0, DefineItem(MetricDefinition(name="a", summary=_KINDS)))
        sent.append(
            AppendBatch(
                run=ref(),
                spool_id="spool-r1",
                offset=number * 10,
                end_offset=number * 10 + 10,
                items=tuple(items),
            )
        )
        world.runs.append(sent[-1])
        while rng.random() < 0.3:
            assert world.runs.append(rng.choice(sent)).next_offset == number * 10 + 10
        if rng.random() < 0.3:
            fold(world)
    found = {
        "run": msgspec.to_builtins(world.get()),
        "rows": [dict(row) for row in world.history.rows(ReadRows(run=ref())).rows],
        "keys": [msgspec.to_builtins(key) for key in world.history.keys(ref())],
    }
    world.close()
    return found


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=_batches, seed=st.integers(0, 1_000))
def test_replays_and_folds_change_nothing_and_client_and_service_agree(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[int, dict[str, Any]]]], seed: int
) -> None:
    calm = _stored(tmp_path_factory.mktemp("calm"), batches, _Never())
    wild = _stored(tmp_path_factory.mktemp("wild"), batches, random.Random(seed))
    assert same(calm["run"], wild["run"])
    # Where one metric holds whole and broken numbers, folding may write 1 as 1.0 (docs/design/0003), never more.
    assert len(calm["rows"]) == len(wild["rows"])
    for calm_row, wild_row in zip(calm["rows"], wild["rows"], strict=True):
        assert same(calm_row, wild_row)
        assert [type(value) is bool for value in calm_row.values()] == [
            type(value) is bool for value in wild_row.values()
        ]
    assert calm["keys"] == wild["keys"]
    client = SummaryFold()
    for number, rows in enumerate(batches):
        if number == 1:
            client.define(MetricDefinition(name="a", summary=_KINDS))
        for _, row in rows:
            client.add_row(row)
        client.set({"by hand": number})
    assert same(calm["run"]["summary"], client.values)


class _Never(random.Random):
    """Chooses never to replay nor to fold."""

    def random(self) -> float:
        return 1.0


def test_a_batch_of_the_wrong_kind_of_bytes_is_refused(world: World) -> None:
    world.start()
    with pytest.raises(Exception, match="chunk"):
        world.send(HistoryItem(b"not a chunk"))
    assert world.get().state is RunState.RUNNING
