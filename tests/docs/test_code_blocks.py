"""Every code block of README.md and docs/ is run, page by page, as a reader would from top to bottom."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arch import rules
from tests.docs import code_blocks
from tests.docs.code_blocks import Block

PAGE_SECONDS_MAX = 240
REASON_LENGTH_MIN = 10


def pages() -> list[Path]:
    """README.md and every page below docs/ that holds code to run."""
    found = [rules.ROOT / "README.md", *sorted((rules.ROOT / "docs").rglob("*.md"))]
    return [path for path in found if path.is_file() and list(code_blocks.blocks(path.read_text()))]


def run(page: str, found: list[Block], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run blocks in a new process, in an empty folder and with an empty home."""
    (folder / "home").mkdir()
    (folder / "work").mkdir()
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("WEIGHBRIDGE_", "WANDB_", "XDG_", "PYTEST_"))
    }
    environment = {
        **clean,
        "HOME": str(folder / "home"),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "PYTHONPATH": str(rules.ROOT / "src"),
        "NO_COLOR": "1",
    }
    return subprocess.run(
        [sys.executable, str(Path(code_blocks.__file__)), page],
        input=json.dumps(found),
        cwd=folder / "work",
        env=environment,
        capture_output=True,
        text=True,
        timeout=PAGE_SECONDS_MAX,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```python\nraise KeyError('gone')\n```\n", "KeyError"),
        ("```bash\nfalse\ntrue\n```\n", "exit code 1, not 0"),
        ("<!-- exit: 2 -->\n```bash\nexit 1\n```\n", "exit code 1, not 2"),
        ("```console\n$ exit 3\nsome output\n```\n", "exit code 3"),
        ("- item\n\n  ```python\n  1 / 0\n  ```\n", "ZeroDivisionError"),
        ("```python\nx = 1\n```\n```python\nassert x == 2\n```\n", "AssertionError"),
    ],
)
def test_a_block_that_fails_fails_the_page(tmp_path: Path, text: str, said: str) -> None:
    done = run("page.md", list(code_blocks.blocks(text)), tmp_path)
    assert done.returncode != 0
    assert said in done.stderr


def test_a_failure_names_the_line_of_the_page(tmp_path: Path) -> None:
    text = "# Title\n\n```python\nx = 1\nx / 0\n```\n"
    assert 'File "page.md", line 5' in run("page.md", list(code_blocks.blocks(text)), tmp_path).stderr


def test_a_fence_left_open_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1 is never closed"):
        list(code_blocks.blocks("```python\nx = 1\n"))


def test_a_file_outside_the_folder_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        list(code_blocks.blocks("<!-- file: ../x.py -->\n```python\nx = 1\n```\n"))


def test_blocks_share_a_folder_names_and_comments(tmp_path: Path) -> None:
    text = (
        "<!-- file: lib/part.py -->\n```python\nprint('from the file')\n```\n"
        "```text\nnot code\n```\n"
        "<!-- not run: it would never end -->\n```bash\nsleep 1000\n```\n"
        "```python\nx = 41\n```\n```python\nprint(x + 1)\n```\n"
        '```console\n$ python lib/part.py\nfrom the file\n$ echo "$HOME"\n```\n'
        "<!-- exit: 1 -->\n\n```bash\nexit 1\n```\n"
    )
    found = list(code_blocks.blocks(text))
    assert [block.not_run for block in found if block.not_run] == ["it would never end"]
    done = run("page.md", [block for block in found if not block.not_run], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "from the file" in done.stdout and "42" in done.stdout and str(tmp_path / "home") in done.stdout


def test_few_blocks_are_left_out_and_each_says_why() -> None:
    left_out = {
        f"{path.relative_to(rules.ROOT)}:{block.line}": block.not_run
        for path in pages()
        for block in code_blocks.blocks(path.read_text())
        if block.not_run
    }
    for where, reason in left_out.items():
        print(f"not run: {where}: {reason}")
        assert len(reason) >= REASON_LENGTH_MIN, where
    assert len(left_out) <= rules.DOC_OPT_OUTS_MAX


@pytest.mark.parametrize("page", [str(path.relative_to(rules.ROOT)) for path in pages()])
def test_every_block_of_the_page_runs(page: str, tmp_path: Path) -> None:
    found = [block for block in code_blocks.blocks((rules.ROOT / page).read_text()) if not block.not_run]
    done = run(page, found, tmp_path)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
