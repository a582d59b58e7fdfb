"""`artifacts`, `artifact`, `registry` and `lineage` on a real home: refusals first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from weighbridge.cli.lineage import Line, tree_lines
from weighbridge.domain.lineage import LineageEdge, LineageGraph, LineageNode, NodeKind


@pytest.mark.parametrize(
    ("words", "said_on_stderr"),
    [
        (("artifact", "show", "nett:v0"), "net"),
        (("artifact", "show", "net:v7"), "v1"),
        (("artifact", "show", "net:stagin"), "latest"),
        (("artifact", "show", "a:b:c"), "name:v3"),
        (("artifact", "put", "/nowhere", "--name", "x", "--type", "y"), "/nowhere"),
        (("artifact", "put", "/", "--name", "../x", "--type", "y"), "../x"),
        (("artifact", "alias", "net:v0", "v3"), "version numbers"),
        (("artifact", "alias", "net:v0", "latest"), "system"),
        (("artifact", "alias", "net:v0", "gold", "--remove"), "gold"),
        (("artifact", "alias", "net:v0", "gold", "--expected", "v1"), "gold"),
        (("registry", "show", "model-registry/Digitz"), "Digits"),
        (("registry", "show", "model-registry/Digits:v0"), "model-registry/Digits"),
        (("registry", "history", "model-registry/Digits", "--at", "2026-05-03"), "--alias"),
        (("registry", "history", "model-registry/Digits", "--alias", "staging", "--at", "soon"), "soon"),
        (
            ("registry", "history", "model-registry/Digits", "--alias", "staging", "--at", "2020-05-03"),
            "nowhere",
        ),
        (("registry", "link", "net:v0", "model-registry/Digits:gold"), ":"),
        (("lineage", "net:v9"), "v1"),
        (("lineage", "net:v0", "--depth", "51"), "50"),
    ],
)
def test_what_cannot_be_done_says_why(
    cli: Cli, home: Path, words: tuple[str, ...], said_on_stderr: str
) -> None:
    said = cli(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: ") and "hint: " in said.err
    assert said_on_stderr in said.err


def test_artifacts_of_a_project(cli: Cli, home: Path) -> None:
    assert cli("artifacts", "-q").out == "team/digits/net\nteam/digits/split\n"
    (model,) = json.loads(cli("artifacts", "digits", "--type", "model", "--json").out)
    assert model["name"] == "net" and model["aliases"] == {"latest": "v1"} and model["version_count"] == 2
    assert "latest=v1" in cli("artifacts").out
    assert "No artifact" in cli("artifacts", "--type", "none").err


def test_one_version_is_told_whole(cli: Cli, home: Path) -> None:
    out = cli("artifact", "show", "model-registry/Digits:staging").out
    for words in ("team/model-registry/Digits:v1", "team/digits/net:v1", "not evaluated", "model.txt  3 B"):
        assert words in out
    assert "run.use_artifact('team/model-registry/Digits:staging', type='model')" in out
    found = json.loads(cli("artifact", "show", "net:v0", "--json").out)
    assert found["producer"] == "team/digits/train1" and found["metadata"] == {"layers": 3}
    assert [file["path"] for file in found["files"]] == ["model.txt"]


def test_a_version_is_fetched_checked_and_found_altered(cli: Cli, home: Path, tmp_path: Path) -> None:
    said = cli("artifact", "get", "net:v0", "--root", tmp_path / "got")
    assert said.out == f"{tmp_path / 'got'}\n" and "verified" in said.err
    assert cli("artifact", "verify", "net:v0", "--root", tmp_path / "got").code == 0
    (tmp_path / "got" / "model.txt").write_text("9.9")
    said = cli("artifact", "verify", "net:v0", "--root", tmp_path / "got")
    assert said.code == 1 and "model.txt" in said.err


@pytest.mark.parametrize("damage", ["altered", "longer", "gone"])
def test_damaged_bytes_of_the_store_are_named_with_both_digests(cli: Cli, home: Path, damage: str) -> None:
    found = json.loads(cli("artifact", "show", "net:v0", "--json").out)
    digest = found["files"][0]["digest"]
    (blob,) = [path for path in (home / "blobs").rglob("*") if path.is_file() and path.name in digest]
    text = blob.read_text()
    blob.chmod(0o644)
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_text("1.0" if damage == "altered" else text + "0")
    said = cli("artifact", "verify", "net:v0", "--json")
    assert said.code == 1
    (named,) = json.loads(said.out)["damages"]
    assert named["path"] == "model.txt" and named["expected"] == digest and named["actual"] != digest
    assert (named["actual"] is None) == (damage == "gone")
    assert cli("artifact", "get", "net:v0", "--root", home / "got").code == 1
    assert cli("artifact", "verify", "net:v1").code == 0


def test_a_folder_is_put_as_a_version(cli: Cli, home: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("a")
    words = ("artifact", "put", tmp_path / "data", "--name", "extra", "--type", "dataset", "--alias", "gold")
    said = cli(*words, "-q")
    assert said.out == "team/digits/extra:v0\n"
    assert cli(*words, "-q").out == said.out  # equal content is the same version
    assert "artifact-put" in cli("lineage", "extra:gold").out


def test_an_alias_moves_once_and_its_history_says_who_and_why(cli: Cli, home: Path) -> None:
    words = ("artifact", "alias", "model-registry/Digits:staging", "production", "--expected", "v0")
    assert cli(*words, "--reason", "reproduced").code == 0
    moved = cli(*words)
    assert moved.code == 2 and "v1" in moved.err
    events = json.loads(
        cli("registry", "history", "model-registry/Digits", "--alias", "production", "--json").out
    )
    assert [(event["from_version"], event["to_version"], event["reason"]) for event in events] == [
        (None, "v0", ""),
        ("v0", "v1", "reproduced"),
    ]
    now = cli(
        "registry", "history", "model-registry/Digits", "--alias", "production", "--at", "2999-01-01", "-q"
    )
    assert now.out == "team/model-registry/Digits:v1\n"
    first = ("registry", "history", "model-registry/Digits", "--alias", "production", "--at", events[0]["at"])
    assert cli(*first, "-q").out in ("team/model-registry/Digits:v0\n", "")  # told to the millisecond
    assert cli("artifact", "alias", "model-registry/Digits:v1", "production", "--remove").code == 0
    assert "production" not in cli("registry", "show", "model-registry/Digits").out


def test_the_registry_shows_versions_with_their_producers_metrics(cli: Cli, home: Path) -> None:
    assert cli("registry", "-q").out == "team/model-registry/Digits\n"
    assert "production=v0, staging=v1, latest=v1" in cli("registry").out
    lines = cli("registry", "show", "model-registry/Digits", "--columns", "final_acc").out.splitlines()
    assert lines[0] == "team/model-registry/Digits  (model)"
    assert lines[1].split()[:5] == ["version", "aliases", "verdict", "producer", "final_acc"]
    assert lines[2].split()[:6] == ["v1", "latest,", "staging", "-", "training-2", "0.95"]
    assert lines[3].split()[:5] == ["v0", "production", "-", "training-1", "0.9"]
    (newest, _) = json.loads(cli("registry", "show", "model-registry/Digits", "--json").out)
    assert newest["producer_summary"]["final_acc"] == 0.95


def test_a_version_is_linked(cli: Cli, home: Path) -> None:
    said = cli("registry", "link", "net:v0", "model-registry/Other Name", "--alias", "gold")
    assert (said.code, said.out) == (0, "team/model-registry/Other Name:v0 (gold, latest)\n")
    assert cli("artifact", "show", "model-registry/Other Name:gold", "-q").code == 0


def test_lineage_goes_from_dataset_to_registered_model(cli: Cli, home: Path) -> None:
    out = cli("lineage", "model-registry/Digits:staging").out.splitlines()
    assert out[0].startswith("◆ model  net:v1  [") and "= team/model-registry/Digits:v1" in out[0]
    assert out[1:] == [
        "came from",
        "└─ ▶ train  training-2",
        "   └─ ◆ dataset  split:v0  [latest]",
        "      └─ ▶ prepare  preparing",
    ]
    down = cli("lineage", "split:v0", "--direction", "downstream").out
    assert "training-1" in down and "net:v0" in down and "preparing" not in down
    paths = cli("lineage", "team/digits/train1", "-q").out.splitlines()
    assert "team/digits/train1" in paths and "team/digits/split:v0" in paths
    graph = json.loads(cli("lineage", "net:v0", "--json").out)
    assert {edge["kind"] for edge in graph["edges"]} == {"used", "logged"}


def node(name: str, kind: NodeKind, at: float) -> LineageNode:
    return LineageNode(node_id=name, kind=kind, name=name, path=name, created_at=at)


def test_a_node_reached_twice_is_drawn_once_then_referred_to() -> None:
    graph = LineageGraph(
        root="data",
        nodes=(
            node("data", NodeKind.VERSION, 0),
            node("train", NodeKind.RUN, 1),
            node("model", NodeKind.VERSION, 2),
            node("judge", NodeKind.RUN, 3),
        ),
        edges=(
            LineageEdge(source="data", target="judge", kind="used"),
            LineageEdge(source="data", target="train", kind="used"),
            LineageEdge(source="train", target="model", kind="logged"),
            LineageEdge(source="model", target="judge", kind="used"),
        ),
    )
    lines = list(tree_lines(graph, "both"))
    drawn = [(line.indent, line.node.name, line.is_repeated) for line in lines if isinstance(line, Line)]
    assert drawn == [
        ("", "data", False),
        ("├─ ", "train", False),
        ("│  └─ ", "model", False),
        ("│     └─ ", "judge", False),
        ("└─ ", "judge", True),
    ]
    assert list(tree_lines(graph, "upstream"))[1] == "came from: nothing"


def test_a_deep_lineage_and_a_cycle_end(cli: Cli) -> None:
    names = [f"n{number}" for number in range(3_000)]
    nodes = tuple(node(name, NodeKind.RUN, number) for number, name in enumerate(names))
    edges = [LineageEdge(source=a, target=b, kind="used") for a, b in zip(names, names[1:], strict=False)]
    edges.append(LineageEdge(source=names[-1], target=names[0], kind="used"))
    graph = LineageGraph(root="n0", nodes=nodes, edges=tuple(edges))
    assert sum(isinstance(line, Line) and not line.is_repeated for line in tree_lines(graph, "both")) == 3_000
