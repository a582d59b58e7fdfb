"""Code blocks of Markdown pages: found, and run in order in a folder and a home of their own.

Run as a program it is the process in which one page's blocks run; the tests start it. A comment on the
line before a block changes how it is run:

    <!-- not run: WHY -->    leave it out (tests bound how many there are)
    <!-- file: train.py -->  write it to this file instead
    <!-- exit: 1 -->         the shell block must end with this exit code
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

SHELLS = ("bash", "console", "sh", "shell")
RUN = ("python", *SHELLS)
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+)(?P<language>[\w-]*)[^\n]*$")
COMMENT = re.compile(r"^\s*<!--\s*(?P<word>not run|file|exit):\s*(?P<value>.*?)\s*-->\s*$")


class Block(NamedTuple):
    """One fenced block; `line` is that of its first line of code."""

    language: str
    line: int
    code: str
    not_run: str = ""
    file: str = ""
    exit_code: int = 0


def blocks(text: str) -> Iterator[Block]:
    """Every block of a page that is code to run, opted out or not. Raises ValueError on a fence left open."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        if fence is None:
            at += 1
            continue
        start = at + 1
        end = next((i for i in range(start, len(lines)) if lines[i].strip() == fence["fence"]), None)
        if end is None:
            raise ValueError(f"the block that opens on line {start} is never closed")
        if fence["language"] in RUN:
            width = len(fence["indent"])
            code = "\n".join(line[width:] for line in lines[start:end]) + "\n"
            yield _with_comment(Block(fence["language"], start + 1, code), lines[:at])
        at = end + 1


def _with_comment(block: Block, before: list[str]) -> Block:
    above = next((line for line in reversed(before) if line.strip()), "")
    comment = COMMENT.match(above)
    if comment is None:
        return block
    word, value = comment["word"], comment["value"]
    if word == "not run":
        return block._replace(not_run=value or "no reason given")
    if word == "exit":
        return block._replace(exit_code=int(value))
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"line {block.line}: {value} lies outside the page's folder")
    return block._replace(file=value)


def commands(block: Block) -> str:
    """The shell commands of a block: all of it, or of a `console` block the lines after `$` and `>`."""
    if block.language != "console":
        return block.code
    typed = [line[2:] for line in block.code.splitlines() if line.startswith(("$ ", "> "))]
    return "\n".join(typed) + "\n"


def run_page(page: str, found: list[Block]) -> None:
    """Run a page's blocks one after the other in the working folder; stop at the first that fails."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in found:
        where = f"{page}:{block.line}"
        print(f"--- {where} ({block.language})", flush=True)
        if block.file:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.code)
        elif block.language == "python":
            # padded, so that a traceback shows the page's own line numbers
            exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), names)
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", commands(block)], stdin=subprocess.DEVNULL
            )
            if done.returncode != block.exit_code:
                sys.exit(f"{where}: exit code {done.returncode}, not {block.exit_code}")


if __name__ == "__main__":
    run_page(sys.argv[1], [Block(*fields) for fields in json.load(sys.stdin)])
