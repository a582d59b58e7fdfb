"""Artifacts while the store is busy or full: the script goes on, is told once, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import weighbridge
from weighbridge import Api, Artifact, Run
from weighbridge.errors import StorageBusy, StorageFull, UsageError, WeighbridgeError


class Failing:
    """A part of the real transport whose named calls fail while `error` is set; everything else goes through."""

    def __init__(self, real: Any, *names: str, error: WeighbridgeError) -> None:
        self._real = real
        self._names = names
        self.error: WeighbridgeError | None = error

    def __getattr__(self, name: str) -> Any:
        real: Callable[..., Any] = getattr(self._real, name)
        if name not in self._names:
            return real

        def call(*arguments: Any, **options: Any) -> Any:
            if self.error is not None:
                raise self.error
            return real(*arguments, **options)

        return call


class Between:
    """The real transport with one part exchanged."""

    def __init__(self, real: Any, **parts: object) -> None:
        self._real = real
        self._parts = parts

    def __getattr__(self, name: str) -> Any:
        return self._parts[name] if name in self._parts else getattr(self._real, name)


def fail(
    monkeypatch: pytest.MonkeyPatch, run: Run, part: str, *names: str, error: WeighbridgeError
) -> Failing:
    """Have calls of a part of the run's transport fail, as a locked database or a full disk would make them."""
    real = run._client.transport
    failing = Failing(getattr(real, part), *names, error=error)
    monkeypatch.setattr(run._client, "_transport", Between(real, **{part: failing}))
    return failing


def artifact(content: str = "weights") -> Artifact:
    made = Artifact("net", "model")
    with made.new_file("w.bin") as file:
        file.write(content)
    return made


def test_an_error_that_will_not_pass_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with weighbridge.init(project="p") as run:
        failing = fail(monkeypatch, run, "artifacts", "log", error=UsageError("never"))
        with pytest.raises(UsageError, match="never"):
            run.log_artifact(artifact())
        failing.error = None


def test_a_busy_store_leaves_it_waiting_and_wait_stores_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with weighbridge.init(project="p") as run:
        failing = fail(monkeypatch, run, "artifacts", "log", "link", error=StorageBusy("locked"))
        logged = run.log_artifact(artifact())
        run.link_artifact(logged, "model-registry/Digits", ["staging"])
        run.use_artifact(logged)
        run.log_artifact(logged, aliases=["again"])
        assert capsys.readouterr().err.count("kept in the spool") == 1
        with pytest.raises(UsageError, match="not stored yet"):
            _ = logged.version
        with pytest.raises(UsageError, match=r"within 0\.01 s.*locked"):
            logged.wait(timeout=0.01)
        failing.error = None
        assert logged.wait().version == "v0"
    assert Api().artifact("model-registry/Digits:staging").source_name == "net:v0"
    assert Api().artifact("p/net:again").version == "v0"
    assert [one.name for one in Api().run(f"p/{run.id}").used_artifacts()] == ["net:v0"]


def test_what_a_busy_store_did_not_take_is_stored_by_the_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    with weighbridge.init(project="p") as run:
        other = run.log_artifact(artifact("other"))
        failing = fail(monkeypatch, run, "artifacts", "log", "use", error=StorageBusy("locked"))
        run.log_artifact(artifact(), aliases=["best"])
        run.use_artifact(other)
        failing.error = None
    stored = Api().artifact("p/net:best")
    producer = stored.logged_by()
    assert producer is not None and producer.id == run.id
    assert [used.name for used in producer.used_artifacts()] == ["net:v0"]


def test_a_full_disk_keeps_the_draft_until_it_takes_bytes_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with weighbridge.init(project="p") as run:
        failing = fail(monkeypatch, run, "blobs", "put_files", error=StorageFull("no space"))
        logged = run.log_artifact(artifact())
        assert "not stored yet" in capsys.readouterr().err
        assert run._settle_artifacts() == ["net"]
        failing.error = None
        assert run._settle_artifacts() == []
        assert logged.version == "v0"
        assert Path(logged.download(tmp_path), "w.bin").read_text() == "weights"
