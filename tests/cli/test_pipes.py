"""The program in a pipe: a reader that stops early, a terminal's codes that stay away, an exit code that is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parents[2] / "src"
PROGRAM = f"{sys.executable} -m weighbridge"


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        text=True,
        cwd=SRC,
        timeout=60,
    )


def test_a_reader_that_stops_early_ends_nothing_badly(home: Path) -> None:
    done = shell(f"{PROGRAM} run history train1 --csv | head -c 1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "_", "")


def test_a_closed_stdout_keeps_the_exit_code_of_a_verdict(home: Path, scorer: str) -> None:
    command = f"{PROGRAM} evaluate model-registry/Digits:staging --scorer {scorer} --names 'final_*=val_*'"
    done = shell(f"{command} | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode == 1
    assert "BrokenPipe" not in done.stderr


def test_a_pipe_gets_no_codes_and_errors_go_to_stderr(home: Path) -> None:
    done = shell(f"{PROGRAM} lineage model-registry/Digits:staging | cat")
    assert done.returncode == 0 and "\x1b" not in done.stdout and "◆ model" in done.stdout
    wrong = shell(f"{PROGRAM} runs nothing 2>/dev/null")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_an_ascii_terminal_can_show_a_lineage(home: Path) -> None:
    done = shell(
        f"LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {PROGRAM} lineage model-registry/Digits:staging"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2] == "`- > train  training-2"
