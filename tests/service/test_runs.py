"""Runs from start to tombstone: refusals first, then what each use case leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.run_world import START, World, finish, history, ref, steps
from weighbridge.bootstrap import open_home
from weighbridge.domain.run import MetricDefinition, Resume, RunRef, RunState
from weighbridge.errors import (
    AlreadyExists,
    Conflict,
    DamagedRecord,
    InvalidInput,
    InvalidName,
    LimitExceeded,
    OffsetConflict,
    PermissionDenied,
    ProjectNotFound,
    RunNotFound,
)
from weighbridge.services.access import Actor, ActorKind
from weighbridge.services.run_batches import KEYS_MAX
from weighbridge.services.runs import BATCH_ITEMS_MAX
from weighbridge.testing.clock import FakeClock
from weighbridge.wire.runs import (
    AppendBatch,
    AttributesItem,
    ConfigItem,
    DefineItem,
    HistoryItem,
    ListRuns,
    StartRun,
    SummaryItem,
    UpdateRun,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "home")
    yield made
    made.close()


# ------------------------------------------------------------------------------------------------- start


def test_resume_must_refuses_a_missing_run_and_names_the_way_out(world: World) -> None:
    world.start("wolke-7")
    with pytest.raises(RunNotFound) as caught:
        world.start("wolke-8", resume=Resume.MUST)
    assert "wolke-8" in caught.value.message
    assert "resume='allow'" in caught.value.hint
    assert caught.value.details["nearest"] == ["wolke-7"]


def test_resume_never_refuses_a_run_that_exists(world: World) -> None:
    world.start()
    with pytest.raises(AlreadyExists):
        world.start(spool="other", resume=Resume.NEVER)
    world.start("r2", resume=Resume.NEVER)


def test_the_id_of_a_deleted_run_is_not_given_again(world: World) -> None:
    world.made("r1")
    world.runs.delete(ref())
    with pytest.raises(Conflict, match="deleted"):
        world.start(spool="other", resume=Resume.ALLOW)


def test_a_spool_belongs_to_one_run(world: World) -> None:
    world.start("r1", spool="one")
    with pytest.raises(Conflict, match="another run"):
        world.start("r2", spool="one")


def test_an_attached_process_never_makes_a_run(world: World) -> None:
    with pytest.raises((RunNotFound, ProjectNotFound)):
        world.start("r1", is_attached=True)


def test_names_and_labels_are_checked_before_anything_is_stored(world: World) -> None:
    bad: list[dict[str, Any]] = [
        {"tags": ("a\nb",)},
        {"tags": ("t",) * 1 + tuple(f"t{n}" for n in range(64))},
        {"notes": "x" * 65_537},
        {"display_name": "x" * 513},
        {"job_type": "a\x00"},
        {"config": {str(n): n for n in range(KEYS_MAX + 1)}},
    ]
    for fields in bad:
        with pytest.raises((InvalidName, InvalidInput, LimitExceeded)):
            world.start(**fields)
    for run in (RunRef("ada", "p", ".."), RunRef("ada", "a/b", "r"), RunRef("a b", "p", "r")):
        with pytest.raises(InvalidName):
            world.runs.start(StartRun(run=run, spool_id="s"))
    with pytest.raises(InvalidName, match="registry"):
        world.runs.start(StartRun(run=RunRef("ada", "model-registry", "r"), spool_id="s"))
    with pytest.raises(InvalidInput):
        world.runs.start(StartRun(run=ref(), spool_id=""))
    with pytest.raises(ProjectNotFound):
        world.ids()


def test_a_user_without_a_role_may_do_nothing(tmp_path: Path) -> None:
    services = open_home(tmp_path, user="ada", entity="ada", organization="o", clock=FakeClock())
    stranger = Actor("eve", ActorKind.USER)
    with pytest.raises(PermissionDenied):
        services.runs.start(stranger, StartRun(run=ref(), spool_id="s"))
    with pytest.raises(PermissionDenied):
        services.runs.get(stranger, ref())
    services.close()


def test_a_new_run_is_stored_with_what_it_was_given(world: World) -> None:
    started = world.start(
        config={"lr": 0.1, "net": {"depth": 3}},
        tags=("b", "a", "b"),
        job_type="train",
        group="g",
        notes="n",
        environment={"python": "3.11"},
        started_at=START - 5,
        name_seed=7,
    )
    assert (started.is_resumed, started.next_step, started.next_offset) == (False, 0, 0)
    run = world.get()
    assert run == started.run
    assert run.config == {"lr": 0.1, "net": {"depth": 3}}
    assert (run.tags, run.job_type, run.group, run.notes) == (("a", "b"), "train", "g", "n")
    assert (run.state, run.created_at, run.user) == (RunState.RUNNING, START - 5, "ada")
    assert run.environment == {"python": "3.11"}
    assert run.display_name.endswith("-1")


def test_names_count_within_a_project(world: World) -> None:
    numbers = [world.start(f"r{n}").run.display_name.rsplit("-", 1)[1] for n in range(3)]
    assert numbers == ["1", "2", "3"]


def test_the_same_start_again_changes_nothing(world: World) -> None:
    first = world.start(config={"lr": 0.1}, display_name="mine")
    world.send(steps(0, 3))
    again = world.start(config={"lr": 0.2}, display_name="other")
    assert not again.is_resumed
    assert (again.next_offset, again.next_step) == (100, 3)
    assert again.run.config == first.run.config
    assert again.run.display_name == "mine"


def test_continuing_opens_the_run_merges_config_and_replaces_labels(world: World) -> None:
    world.start(config={"lr": 0.1, "net": {"depth": 3}}, tags=("old",), notes="n", display_name="mine")
    world.send(steps(0, 5), finish(RunState.FAILED, 1))
    again = world.start(
        spool="second", resume=Resume.ALLOW, config={"net": {"width": 2}, "new": 1}, tags=("new",)
    )
    assert again.is_resumed
    assert (again.next_step, again.next_offset) == (5, 0)
    run = world.get()
    assert (run.state, run.finished_at, run.exit_code) == (RunState.RUNNING, None, None)
    assert run.config == {"lr": 0.1, "net": {"width": 2}, "new": 1}
    assert (run.tags, run.notes, run.display_name) == (("new",), "n", "mine")
    assert world.ids({"config.net.depth": {"$exists": True}}) == []
    assert world.ids({"config.net.width": 2}) == ["r1"]


def test_a_live_writer_is_told_until_it_falls_silent(world: World) -> None:
    world.start(spool="one")
    assert world.start(spool="two", resume=Resume.ALLOW).has_live_writer
    world.clock.advance(121)
    assert not world.start(spool="three", resume=Resume.ALLOW).has_live_writer


# ------------------------------------------------------------------------------------------------ append


def test_a_batch_is_refused_where_there_is_no_such_run_or_spool(world: World) -> None:
    with pytest.raises(ProjectNotFound):
        world.send(steps(0, 1))
    world.start("r1")
    with pytest.raises(RunNotFound):
        world.send(steps(0, 1), run_id="r2")
    with pytest.raises(OffsetConflict) as caught:
        world.send(steps(0, 1), spool="unknown")
    assert caught.value.hint


def test_a_batch_must_begin_where_the_stored_ones_end(world: World) -> None:
    world.start()
    world.send(steps(0, 1))
    for offset in (50, 101, 200):
        batch = AppendBatch(
            run=ref(), spool_id="spool-r1", offset=offset, end_offset=300, items=(steps(1, 1),)
        )
        with pytest.raises(OffsetConflict) as caught:
            world.runs.append(batch)
        assert caught.value.details == {"expected": 100, "got": offset}
    with pytest.raises(InvalidInput):
        world.runs.append(AppendBatch(run=ref(), spool_id="spool-r1", offset=5, end_offset=5, items=()))


def test_a_batch_past_its_bounds_is_refused(world: World) -> None:
    world.start()
    with pytest.raises(LimitExceeded):
        world.send(*[ConfigItem({"a": 1})] * (BATCH_ITEMS_MAX + 1))
    with pytest.raises(LimitExceeded):
        world.send(*[HistoryItem(b"x" * 21 * 1024 * 1024)] * 2)
    with pytest.raises(LimitExceeded):
        world.send(SummaryItem({str(n): n for n in range(KEYS_MAX + 1)}))
    world.send(*[ConfigItem({"a": 1})] * BATCH_ITEMS_MAX)


def test_a_batch_with_a_damaged_chunk_stores_nothing(world: World) -> None:
    world.start()
    good = steps(0, 3)
    damaged = HistoryItem(good.chunk[:40] + b"\xff" + good.chunk[41:])
    with pytest.raises(DamagedRecord):
        world.send(ConfigItem({"lr": 1}), good, damaged)
    run = world.get()
    assert (run.row_count, run.config, run.summary) == (0, {}, {})
    assert world.history.keys(ref()) == ()


def test_a_replayed_batch_is_a_no_op(world: World) -> None:
    world.start()
    batch = AppendBatch(
        run=ref(), spool_id="spool-r1", offset=0, end_offset=100, items=(steps(0, 3), ConfigItem({"a": 1}))
    )
    first = world.runs.append(batch)
    before = world.get()
    assert world.runs.append(batch) == first
    assert world.get() == before
    assert before.row_count == 3


def test_items_are_applied_in_order(world: World) -> None:
    world.start()
    world.send(
        history((0, {"acc": 0.1})),
        SummaryItem({"acc": 9, "note": {"deep": 1}}),
        ConfigItem({"lr": 1}),
        ConfigItem({"lr": 2}),
        AttributesItem(display_name="new", tags=("t",), environment={"cpu": "x"}),
        history((4, {"val.acc": 0.2}), (2, {"acc": 0.3})),
        SummaryItem({}, removed=("note",)),
        finish(RunState.FAILED, 3),
    )
    run = world.get()
    assert run.summary == {"acc": 0.3, "val.acc": 0.2}
    assert run.config == {"lr": 2}
    assert (run.display_name, run.tags, run.environment) == ("new", ("t",), {"cpu": "x"})
    assert (run.row_count, run.last_step) == (3, 4)
    assert (run.state, run.exit_code, run.finished_at) == (RunState.FAILED, 3, START + 60)
    assert world.ids({"summary.note.deep": {"$exists": True}}) == []


def test_a_definition_counts_from_the_next_row_and_survives_batches(world: World) -> None:
    world.start()
    world.send(history((0, {"loss": 5.0})))
    world.send(DefineItem(MetricDefinition(name="lo*", summary=("min", "mean", "first"))))
    world.send(history((1, {"loss": 1.0})))
    world.send(history((2, {"loss": 3.0})), DefineItem(MetricDefinition(name="x", hidden=True)))
    run = world.get()
    assert run.summary == {"loss": {"min": 1.0, "mean": 2.0, "first": 1.0}}
    assert [metric.name for metric in run.metrics] == ["lo*", "x"]
    assert world.ids({"summary_metrics.loss.min": 1}) == ["r1"]
    assert world.ids({"summary_metrics.loss": 5}) == []


def test_an_attached_process_feeds_but_does_not_end_the_run(world: World) -> None:
    world.start()
    world.start(spool="side", is_attached=True)
    world.send(steps(0, 2), finish(), spool="side")
    run = world.get()
    assert (run.state, run.row_count) == (RunState.RUNNING, 2)
    world.runs.close(ref(), "side", RunState.CRASHED)
    assert world.get().state is RunState.RUNNING


# --------------------------------------------------------------------------------------- heartbeat, close


def test_closing_with_an_open_state_is_refused(world: World) -> None:
    world.start()
    with pytest.raises(InvalidInput):
        world.runs.close(ref(), "spool-r1", RunState.RUNNING)


def test_a_run_whose_process_is_gone_ended_when_it_was_last_heard_of(world: World) -> None:
    world.start()
    world.clock.advance(30)
    world.runs.heartbeat(ref(), "spool-r1")
    world.clock.advance(1_000)
    world.runs.close(ref(), "spool-r1", RunState.CRASHED)
    run = world.get()
    assert (run.state, run.finished_at) == (RunState.CRASHED, START + 30)


def test_a_run_is_not_ended_while_another_writer_lives(world: World) -> None:
    world.start(spool="one")
    world.start(spool="two", resume=Resume.ALLOW)
    world.runs.close(ref(), "one", RunState.CRASHED)
    assert world.get().state is RunState.RUNNING
    world.clock.advance(121)
    world.runs.close(ref(), "one", RunState.CRASHED)
    assert world.get().state is RunState.CRASHED


def test_a_run_that_ended_keeps_its_own_word(world: World) -> None:
    world.made("r1")
    world.runs.close(ref(), "spool-r1", RunState.CRASHED)
    assert world.get().state is RunState.FINISHED


# ------------------------------------------------------------------------------------- get, update, delete


def test_what_is_missing_is_named_with_what_is_near(world: World) -> None:
    world.start("scarlet-wolf")
    with pytest.raises(RunNotFound) as run:
        world.get("scarlet-wolv")
    assert "'scarlet-wolf'" in run.value.hint
    with pytest.raises(ProjectNotFound) as project:
        world.runs.get(RunRef("ada", "digit", "x"))
    assert "'ada/digits'" in project.value.hint
    with pytest.raises(ProjectNotFound):
        world.runs.count("ada", "digit", {})
    with pytest.raises(ProjectNotFound):
        world.runs.list_runs(ListRuns(entity="ada", project="digit"))


def test_an_update_changes_what_it_names_and_nothing_else(world: World) -> None:
    world.made("r1", config={"lr": 0.1}, notes="n", summary={"loss": 0.5, "acc": 1})
    heard = world.get().heartbeat_at
    world.clock.advance(10)
    run = world.runs.update(
        UpdateRun(
            run=ref(), display_name="new", tags=("x",), config={"seed": 1}, summary={"mark": 2},
            summary_removed=("acc",),
        )
    )  # fmt: skip
    assert run == world.get()
    assert (run.display_name, run.tags, run.notes) == ("new", ("x",), "n")
    assert run.config == {"lr": 0.1, "seed": 1}
    assert run.summary == {"loss": 0.5, "mark": 2}
    assert run.heartbeat_at == heard
    with pytest.raises(InvalidName):
        world.runs.update(UpdateRun(run=ref(), tags=("a\x00",)))


def test_a_deleted_run_is_gone_but_for_its_tombstone(world: World) -> None:
    world.made("r1", tags=("t",))
    world.made("r2")
    world.runs.delete(ref("r1"))
    world.runs.delete(ref("r1"))
    assert world.ids() == ["r2"]
    assert world.runs.count("ada", "digits", {}) == 1
    assert world.runs.count("ada", "digits", {"tags": "t"}) == 0
    for ask in (lambda: world.get("r1"), lambda: world.history.keys(ref("r1")), lambda: world.send(finish())):
        with pytest.raises(RunNotFound, match="deleted"):
            ask()
    with pytest.raises(RunNotFound):
        world.runs.delete(ref("never"))


def test_who_did_what_is_written_down(tmp_path: Path) -> None:
    from weighbridge.storage.metadata.audit import SqlAuditStore
    from weighbridge.storage.metadata.database import Database

    world = World(tmp_path)
    world.made("r1")
    world.start("r1", spool="second", resume=Resume.ALLOW)
    world.runs.update(UpdateRun(run=ref(), notes="n"))
    world.runs.delete(ref())
    world.close()
    database = Database(tmp_path / "weighbridge.db")
    with database.read() as tx:
        events = SqlAuditStore().list_for_subject(tx, ref().path)
    database.close()
    assert [event.action for event in events] == ["run.deleted", "run.updated", "run.resumed", "run.created"]
    assert {event.actor for event in events} == {"ada"}
    assert events[1].details == {"changed": ["notes"]}
