"""The generated reference is what the code says now."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import gen_reference
from tests.arch import rules


@pytest.mark.parametrize("page", sorted(gen_reference.PAGES))
def test_the_page_is_current(page: str) -> None:
    done = subprocess.run(
        [sys.executable, "scripts/gen_reference.py", "--check", page],
        cwd=rules.ROOT,
        env={**os.environ, "PYTHONPATH": str(rules.ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gen_reference, "FOLDER", tmp_path)
    assert gen_reference.stale(["settings.md"]) == ["settings.md"]
    assert gen_reference.main(["settings.md"]) == 0
    assert gen_reference.stale(["settings.md"]) == []
    (tmp_path / "settings.md").write_text("old\n")
    assert gen_reference.main(["--check", "settings.md"]) == 1


def test_commands_are_described_with_their_arguments() -> None:
    parser = argparse.ArgumentParser(prog="tool", description="Does it.")
    parser.add_argument("--quiet", help="say less")
    commands = parser.add_subparsers()
    commands.add_parser("show", description="Show one.").add_argument("name", help="which one")
    text = "\n".join(gen_reference.describe_command(parser))
    assert (
        "## `tool show`" in text and "| `name` | which one |" in text and "| `--quiet` | say less |" in text
    )
