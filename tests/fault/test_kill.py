"""`kill -9` at random moments: every row whose `log()` returned is stored, and none twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROUNDS = Path(__file__).with_name("kill_rounds.py")


def run_rounds(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROUNDS), str(home), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={
            "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
            "PATH": "/usr/bin:/bin",
            "HOME": str(home),
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    assert "200 rounds" in run_rounds(tmp_path / "home", "200", "1")


@pytest.mark.slow
def test_kills_while_shipping_lose_nothing(tmp_path: Path) -> None:
    assert "4 rounds" in run_rounds(tmp_path / "home", "4", "2", "shipping")
