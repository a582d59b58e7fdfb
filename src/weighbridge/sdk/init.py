"""`init()`: open a run, with W&B's signature. It decides ids, resuming and modes; the run is `sdk.run`."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import string
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from weighbridge.domain.names import (
    DISPLAY_NAME_MAX,
    check_entity,
    check_project,
    check_run_id,
    check_run_tag,
    display_name,
    is_registry,
)
from weighbridge.domain.run import Resume, RunRef
from weighbridge.errors import InvalidInput, SchemaTooNew, StorageError, TransportError, UsageError
from weighbridge.sdk import exit_hooks
from weighbridge.sdk.adopt import adopt_run
from weighbridge.sdk.client import Client, client_for
from weighbridge.sdk.config import plain_mapping
from weighbridge.sdk.notices import notice, set_level, warn, warn_once
from weighbridge.sdk.run import Run, attach_run, in_notebook, open_runs
from weighbridge.sdk.spool import new_spool_id
from weighbridge.sdk.values import plain
from weighbridge.settings import Settings, resolve
from weighbridge.wire.runs import StartedRun, StartRun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["attach", "finish_open_runs", "init"]

_ID_ALPHABET = string.ascii_lowercase + string.digits
_LATER = (
    "save_code sync_tensorboard tensorboard monitor_gym fork_from resume_from anonymous force magic"
).split()


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: str | os.PathLike[str] | None = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    settings: Settings | Mapping[str, Any] | None = None,
    **later: Any,
) -> Run:
    """Begin a run and return it; it is the process's current run until it is finished.

    Args:
        entity, project: Where the run goes; made if missing. Your login name and `uncategorized` by default.
        dir: Where the run's own files go.
        id: The run id; made up if not given. The same id again continues that run.
        name: Display name; made up if not given, such as `scarlet-armadillo-12`.
        notes, tags: Free text; labels to find the run by.
        config: Inputs of the run: a dict, a namespace, or the path of a JSON file.
        config_exclude_keys, config_include_keys: Top-level keys of `config` to leave out, or to keep.
        allow_val_change: Let config values change without being asked for each time.
        group, job_type: Set of runs it belongs to; its role (`train`, `evaluation`).
        mode: online (ship as it logs), offline (keep for `weighbridge sync`), disabled (record nothing).
        reinit: With a run open: `return_previous` (default), `finish_previous` (in a notebook) or `create_new`.
        resume: For an id that exists: must, allow, never; auto continues this script's unfinished run.
        settings: Settings, or a dict of some of them.
        **later: W&B's other arguments, which have no effect; that is said.

    Raises RunNotFound (resume is must), AlreadyExists (never), InvalidInput (a name, the config), SchemaTooNew.
    """
    _warn_of_later(later)
    labels: dict[str, Any] = {"name": name, "notes": notes, "group": group, "job_type": job_type}
    labels["tags"] = tags and tuple(tags)
    place = {"entity": entity, "project": project, "dir": dir, "run_id": id}
    ways = {"mode": mode, "resume": "auto" if resume is True else resume or None}
    chosen = _settings(settings, labels | place | ways)
    set_level("silent" if chosen.silent else "quiet" if chosen.quiet else "normal")
    values = _config(config, config_include_keys, config_exclude_keys)
    if (previous := _previous(reinit)) is not None:
        _warn_of_ignored(previous, labels | place, values)
        return previous
    start = _start_record(chosen, values)
    run = _open(client_for(chosen), chosen, start)
    if allow_val_change:
        run.config.allow_changes()
    exit_hooks.install(finish_open_runs)
    return run


def _settings(given: Settings | Mapping[str, Any] | None, arguments: dict[str, Any]) -> Settings:
    if isinstance(given, Settings):
        return resolve(base=given, **arguments)
    extra = {
        key: value
        for key, value in dict(given or {}).items()
        if key not in arguments or arguments[key] is None
    }
    return resolve(**{**arguments, **extra})


def _warn_of_later(later: Mapping[str, Any]) -> None:
    for name, value in later.items():
        if name not in _LATER:
            raise UsageError(f"init() has no argument {name!r}.", hint="See the reference of init().")
        if value:
            warn_once(f"init {name}", f"init({name}=...) has no effect in this version.")


def _previous(reinit: bool | str | None) -> Run | None:
    """The open run to return, after finishing it if that is what `reinit` says."""
    if reinit not in (None, True, False, "default", "return_previous", "finish_previous", "create_new"):
        raise InvalidInput(
            f"init(reinit={reinit!r}) is unknown.", hint="Use return_previous, finish_previous or create_new."
        )
    runs = open_runs()
    if not runs or reinit == "create_new":
        return None
    if reinit in (True, "finish_previous") or (reinit in (None, "default") and in_notebook()):
        for run in runs:
            run.finish()
        return None
    return runs[-1]


def _warn_of_ignored(previous: Run, asked: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Say which arguments the open run does not have: an evaluation logged into a training run is no small thing."""
    start = previous._start
    has = {
        "entity": start.run.entity,
        "project": start.run.project,
        "run_id": start.run.run_id,
        "name": previous.name,
        "notes": previous.notes,
        "tags": tuple(previous.tags),
        "group": previous.group,
        "job_type": previous.job_type,
    }
    ignored = [
        "id" if name == "run_id" else name
        for name, value in asked.items()
        if value is not None and name in has and value != has[name]
    ]
    open_config = previous.config.as_dict()
    if any(key not in open_config or open_config[key] != value for key, value in config.items()):
        ignored.append("config")
    if ignored:
        warn(
            f"run {previous.name} ({previous.path}) is still open, so init() returned it and {', '.join(ignored)} "
            "had no effect. Finish it first, or pass reinit='finish_previous' or 'create_new'."
        )


def _config(config: object, include: Sequence[str] | None, exclude: Sequence[str] | None) -> dict[str, Any]:
    if config is None:
        return {}
    if isinstance(config, str | os.PathLike):
        path = Path(config)
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"config file {path} cannot be read as JSON: {error}.", hint="Pass a dict, or a JSON file."
            ) from error
    values = plain_mapping(config)
    if include is not None:
        values = {key: value for key, value in values.items() if key in include}
    return {key: value for key, value in values.items() if key not in (exclude or ())}


def _start_record(chosen: Settings, config: dict[str, Any]) -> StartRun:
    project = check_project(chosen.project)
    if is_registry(project):
        raise InvalidInput(
            f"Project {project!r} is a registry, which holds no runs.",
            hint="Log the run to a project of its own, then link its artifact into the registry.",
        )
    for kind in ("name", "group", "job_type", "notes"):
        plain(getattr(chosen, kind), kind)
    if chosen.name is not None and len(chosen.name) > DISPLAY_NAME_MAX:
        raise InvalidInput(
            f"The run's name has {len(chosen.name):,} characters; at most {DISPLAY_NAME_MAX} are allowed.",
            hint="Put the long text into notes.",
        )
    from weighbridge.sdk.environment_capture import captured

    run_id = chosen.run_id or (_resumable_id(chosen) if chosen.resume == "auto" else None) or _new_id()
    return StartRun(
        run=RunRef(check_entity(chosen.entity), project, check_run_id(run_id)),
        spool_id=new_spool_id(),
        resume=Resume(chosen.resume) if chosen.resume else None,
        display_name=chosen.name,
        name_seed=secrets.randbits(31),
        job_type=chosen.job_type,
        group=chosen.group,
        tags=tuple(check_run_tag(tag) for tag in chosen.tags) or None,
        notes=chosen.notes,
        config=config,
        environment=captured() if chosen.mode != "disabled" else {},
        started_at=time.time(),
    )


def _new_id() -> str:
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(8))


def _open(client: Client, chosen: Settings, start: StartRun) -> Run:
    """Make the run known if it can be, then open its spool. What may pass later does not stop the run."""
    started: StartedRun | None = None
    if chosen.mode == "online":
        try:
            if chosen.run_id is not None or chosen.resume is not None:
                adopt_run(client, start.run)  # what it left when it was killed comes before what it does now
            started = client.transport.runs.start(start)
        except SchemaTooNew:
            raise
        except (StorageError, TransportError) as error:
            warn(f"the run could not be registered yet: {error} It is recorded in its spool and sent later.")
    shown = started.run.display_name if started else start.display_name
    if shown is None:
        shown = display_name(start.name_seed, 0).rpartition("-")[0]
    run = Run(
        client, start, mode=chosen.mode, display_name=shown, next_step=started.next_step if started else 0
    )
    if started is not None:
        _take_over(run, start, started)
    run._watch()
    if chosen.mode != "disabled":
        notice(
            f"run {run.name} ({run.path}){'' if chosen.mode == 'online' else ', offline'}; home {client.home}"
        )
        _remember_for_auto(chosen, start.run)
    return run


def _take_over(run: Run, start: StartRun, started: StartedRun) -> None:
    """What the store knows of a run that is continued: labels, config, summary, metric definitions."""
    record = started.run
    run._start = msgspec.structs.replace(
        start, job_type=record.job_type, group=record.group, tags=record.tags, notes=record.notes
    )
    run.was_resumed = started.is_resumed
    if not started.is_resumed:
        return
    run.config._values.update(record.config)
    run._fold.values.update(record.summary)
    for metric in record.metrics:
        run._fold.define(metric)
    run._is_plain = run._fold.is_plain
    if started.has_live_writer:
        warn(f"run {record.path} is being written by another process too; rows of one step merge.")
    elif start.resume is None:
        warn(
            f"run {record.path} existed; this run continues it from step {started.next_step}. "
            "Pass resume='allow' if that is meant, resume='never' to be stopped, or leave the id out."
        )


def attach(run: str | Run, *, home: str | os.PathLike[str] | None = None) -> Run:
    """A handle that logs to a run which another process has open. It never ends the run.

    run: a Run, or its path `entity/project/run_id`. Raises RunNotFound, InvalidInput.
    """
    if isinstance(run, Run):
        return run
    parts = run.split("/")
    if len(parts) != 3:
        raise InvalidInput(
            f"Run path {run!r} is not entity/project/run_id.", hint="Pass run.path, or the run."
        )
    client = client_for(resolve(home=home))
    record = client.transport.runs.get(RunRef(*parts))
    start = StartRun(run=record.ref, spool_id=new_spool_id(), started_at=record.created_at, is_attached=True)
    next_step = 0 if record.last_step is None else record.last_step + 1
    return attach_run(client.home, start, ("online", record.display_name, next_step))


def finish_open_runs() -> None:
    """Finish what is still open, with the process's exit code; called at interpreter exit."""
    code, interrupted = exit_hooks.outcome()
    for run in open_runs():
        run.finish(exit_code=exit_hooks.KILLED_BY_INTERRUPT if interrupted else code)


def _auto_file(chosen: Settings) -> Path:
    """Where the id for `resume="auto"` is kept: one for each home, project, script and working folder."""
    told = json.dumps([chosen.entity, chosen.project, os.getcwd(), sys.argv[:1]])
    return chosen.home / "resume" / f"{hashlib.sha256(told.encode()).hexdigest()[:24]}.json"


def _resumable_id(chosen: Settings) -> str | None:
    """The id of the last run of this script here, unless it ended well."""
    path = _auto_file(chosen)
    try:
        run_id = str(json.loads(path.read_text(encoding="utf-8"))["run_id"])
        client, ref = client_for(chosen), RunRef(chosen.entity, chosen.project, run_id)
        adopt_run(client, ref)
        record = client.transport.runs.get(ref)
    except (OSError, ValueError, KeyError):
        return None
    except (StorageError, TransportError) as error:
        warn(f"resume='auto' could not look for the last run: {error} A new run begins.")
        return None
    return run_id if record.state != "finished" and not record.is_deleted else None


def _remember_for_auto(chosen: Settings, ref: RunRef) -> None:
    if chosen.resume != "auto":
        return
    path = _auto_file(chosen)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({"run_id": ref.run_id}), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        warn(f"resume='auto' could not note this run's id: {error}.")
