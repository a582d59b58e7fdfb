"""`sync`, `doctor` and `export`: what stays, what is broken, what is refused; then the ordinary case."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tests.cli.conftest import Cli
from weighbridge.cli.export import safe_name
from weighbridge.sdk.client import client_for
from weighbridge.sdk.init import init
from weighbridge.settings import resolve


def log_offline(home: Path, run_id: str) -> Path:
    """Log one row offline; the spool's folder."""
    before = set((home / "spool").iterdir())
    settings = resolve(home=home, mode="offline", silent=True, entity="team", project="digits")
    with init(settings=settings, id=run_id) as run:
        run.log({"loss": 1.0})
    (spool,) = (path for path in (home / "spool").iterdir() if path not in before and path.is_dir())
    return spool


# --- sync ---


def test_a_spool_that_cannot_be_shipped_stays_and_is_named(cli: Cli, home: Path) -> None:
    spool = log_offline(home, "off1")
    log_offline(home, "off2")
    (spool / "start").write_bytes(b"\x00" * 64)
    said = cli("sync", "--json")
    assert said.code == 1 and "1 of 2 spools" in said.err
    results = {result["spool_id"]: result for result in json.loads(said.out)}
    assert results[spool.name]["error"] and results[spool.name]["run_path"] is None
    assert next(spool.glob("*.wbspool")).exists()
    assert cli("run", "show", "off2", "-q").code == 0
    assert findings(cli)[1]["spools"]["health"] == "warn"


def test_a_spool_that_is_damaged_inside_is_shipped_as_far_as_it_goes_and_named(cli: Cli, home: Path) -> None:
    spool = log_offline(home, "off1")
    log = next(spool.glob("*.wbspool"))
    damaged = bytearray(log.read_bytes())
    damaged[-5] ^= 0xFF
    log.write_bytes(bytes(damaged))
    said = cli("sync", "-q")
    assert (said.code, said.out) == (0, "team/digits/off1\n")
    assert "damaged spool" in said.err and spool.name in said.err
    assert spool.name in findings(cli)[1]["damaged spools"]["finding"]


def test_a_dry_run_ships_nothing_and_sync_ships_once(cli: Cli, home: Path) -> None:
    assert "Nothing waits" in cli("sync").err
    log_offline(home, "off1")
    said = cli("sync", "--dry-run")
    assert said.code == 0 and "offline" in said.out and "be shipped" in said.out
    assert cli("run", "show", "off1").code == 2
    said = cli("sync", "-q")
    assert (said.code, said.out) == (0, "team/digits/off1\n")
    assert cli("run", "show", "off1", "-q").code == 0
    assert cli("sync", "-q").out == ""


# --- doctor ---


def findings(cli: Cli, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    said = cli("doctor", "--json", *words)
    return said.code, {found["check"]: found for found in json.loads(said.out)}


def test_doctor_names_missing_and_altered_files(cli: Cli, home: Path) -> None:
    shown = json.loads(cli("artifact", "show", "net:v0", "--json").out)
    digest = shown["files"][0]["digest"]
    (blob,) = [path for path in (home / "blobs").rglob("*") if path.is_file() and path.name in digest]
    blob.chmod(0o644)
    blob.write_text("1.0")
    assert findings(cli)[1]["files"]["health"] == "ok"  # present is all that a quick look sees
    code, found = findings(cli, "--deep")
    assert code == 1 and found["files"]["health"] == "fail"
    assert (
        "team/digits/net:v0: model.txt" in found["files"]["finding"] and digest in found["files"]["finding"]
    )
    blob.unlink()
    code, found = findings(cli)
    assert code == 1 and "missing" in found["files"]["finding"] and found["files"]["next_step"]


def test_doctor_finds_a_damaged_database(cli: Cli, home: Path) -> None:
    client_for(resolve(home=home)).close()
    database = home / "weighbridge.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        pages = [
            row[0] for row in connection.execute("SELECT rootpage FROM sqlite_schema WHERE rootpage > 0")
        ]
    connection.close()
    with database.open("r+b") as file:
        for page in pages[3:]:
            file.seek((page - 1) * page_size + 8)
            file.write(b"\xff" * 64)
    code, found = findings(cli)
    broken = found.get("database") or found["store"]
    assert code == 1 and broken["health"] == "fail" and broken["next_step"]


def test_doctor_warns_of_spools_and_of_a_home_that_is_not_there(cli: Cli, home: Path, tmp_path: Path) -> None:
    log_offline(home, "off1")
    code, found = findings(cli)
    assert code == 0 and found["spools"]["health"] == "warn" and "sync" in found["spools"]["next_step"]
    code, found = findings(cli, "--home", str(tmp_path / "none"))
    assert code == 0 and found["home"]["health"] == "warn" and "database" not in found
    assert not (tmp_path / "none").exists()


def test_doctor_finds_a_newer_home(cli: Cli, home: Path) -> None:
    (home / "HOME.json").write_text('{"format": 99}')
    code, found = findings(cli)
    assert code == 1 and "99" in found["store"]["finding"] and "pgrade" in found["store"]["next_step"]


def test_doctor_finds_a_whole_home_whole(cli: Cli, home: Path) -> None:
    code, found = findings(cli, "--deep")
    assert code == 0
    assert {found[check]["health"] for check in ("python", "packages", "home", "database", "files")} == {"ok"}
    assert "3 versions" in found["files"]["finding"]
    assert cli("doctor").out.splitlines()[0].split()[:2] == ["check", "finding"]


# --- export ---


def test_a_folder_that_holds_something_else_is_refused(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    said = cli("export", "digits", "--to", tmp_path / "full")
    assert said.code == 2 and "something else" in said.err
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == ["mine.txt"]
    assert cli("export", "digits", "--to", tmp_path / "out").code == 0
    other = cli("export", "model-registry", "--to", tmp_path / "out")
    assert other.code == 2 and "team/digits" in other.err
    (tmp_path / "out" / "export.json").write_text("{")
    assert cli("export", "digits", "--to", tmp_path / "out").code == 2
    assert cli("export", "digitz", "--to", tmp_path / "new").code == 2
    assert not (tmp_path / "new").exists()


def test_an_altered_blob_stops_the_export_which_says_it_is_not_complete(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    shown = json.loads(cli("artifact", "show", "net:v0", "--json").out)
    (blob,) = [
        path
        for path in (home / "blobs").rglob("*")
        if path.is_file() and path.name in shown["files"][0]["digest"]
    ]
    blob.chmod(0o644)
    blob.write_text("1.0")
    said = cli("export", "digits", "--to", tmp_path / "out")
    assert said.code == 1 and shown["files"][0]["digest"] in said.err
    assert json.loads((tmp_path / "out" / "export.json").read_text())["is_complete"] is False


def test_an_export_can_be_read_without_us(cli: Cli, home: Path, tmp_path: Path, scorer: str) -> None:
    cli("evaluate", "model-registry/Digits:staging", "--scorer", scorer, "--names", "final_*=val_*")
    out = tmp_path / "out"
    said = cli("export", "digits", "--to", out)
    assert (said.code, said.out) == (0, f"{out}\n")
    marker = json.loads((out / "export.json").read_text())
    assert marker["is_complete"] and marker["counts"]["runs"] == 4 and marker["counts"]["versions"] == 3
    runs = [json.loads(line) for line in (out / "runs.jsonl").read_text().splitlines()]
    assert [run["run_id"] for run in runs][:3] == ["prepare", "train1", "train2"]
    assert runs[1]["environment"]["python_version"] and runs[1]["inputs"] == ["team/digits/split:v0"]
    table = parquet.read_table(out / "runs.parquet")
    assert table.column("summary.final_acc").to_pylist()[:3] == [None, 0.9, 0.95]
    assert table.column("config.lr").to_pylist()[:3] == [None, 1, 2]
    history = parquet.read_table(out / "history" / "train1.parquet")
    assert history.column("_step").to_pylist() == list(range(30))
    assert history.column("loss").to_pylist() == [1 / (step + 1) for step in range(30)]
    (evaluation,) = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert evaluation["verdict"] == "failed"
    version = out / "artifacts" / "model" / "net" / "v1"
    manifest = json.loads((version / "manifest.json").read_text())
    assert manifest["producer"] == "team/digits/train2" and manifest["entries"][0]["path"] == "model.txt"
    assert (version / "files" / "model.txt").read_text() == "0.7"
    assert "`history/RUN_ID.parquet`" in (out / "README.md").read_text()
    assert not list(out.rglob("*.partial"))


def test_exporting_again_mends_what_was_altered(cli: Cli, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    cli("export", "digits", "--to", out)
    before = {
        path: path.read_bytes() for path in out.rglob("*") if path.is_file() and path.name != "export.json"
    }
    (out / "artifacts" / "model" / "net" / "v0" / "files" / "model.txt").write_text("9.9")
    (out / "history" / "train1.parquet").unlink()
    assert cli("export", "digits", "--to", out, "-q").out == f"{out}\n"
    assert {path: path.read_bytes() for path in before} == before


def test_a_registry_is_exported_with_the_moves_of_its_aliases(cli: Cli, home: Path, tmp_path: Path) -> None:
    assert cli("export", "model-registry", "--to", tmp_path / "out", "--no-files").code == 0
    (line,) = (tmp_path / "out" / "collections.jsonl").read_text().splitlines()
    assert {event["alias"] for event in json.loads(line)["alias_history"]} == {
        "latest",
        "production",
        "staging",
    }
    assert not list((tmp_path / "out").rglob("files"))


@pytest.mark.parametrize(
    ("name", "folder"), [("..", "%2E."), (".", "%2E"), ("a%b", "a%25b"), ("plain v2", "plain v2")]
)
def test_no_name_leads_out_of_the_folder(name: str, folder: str) -> None:
    assert safe_name(name) == folder
