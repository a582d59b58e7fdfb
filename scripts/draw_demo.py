"""Draw the terminal of the README: run the demo in an empty home and write parts of what it says as an SVG.

    python scripts/draw_demo.py        writes docs/images/demo.svg

Nothing in the picture is written by hand, save where it is cut.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "images" / "demo.svg"
WIDTH = 118

PARTS = (
    ("5. Weighed on the same scales", "producer "),
    ("Not reproduced", "Notes on the comparison"),
    ("9. Where it came from", "Every step came out as told."),
)
"""Where each part begins, and the line it ends before."""

TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  aria-label="weighbridge demo: an evaluation refutes a claim and names the dataset as its cause; then the lineage">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""
"""Rich's own template asks another host for a font; a picture in a README must ask nobody."""


def told() -> str:
    """What the demo prints to a terminal of WIDTH columns."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "weighbridge",
                "demo",
                "--home",
                home,
                "--entity",
                "ada",
                "--color",
                "always",
            ],
            env={**os.environ, "COLUMNS": str(WIDTH), "PYTHONPATH": str(ROOT / "src")},
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout


def cut(story: str) -> Text:
    """The parts that are shown, in colour."""
    lines = Text.from_ansi(story).split("\n", allow_blank=True)
    shown = Text(end="")
    for begin, end in PARTS:
        first = next(n for n, line in enumerate(lines) if line.plain.strip().startswith(begin))
        last = next(n for n, line in enumerate(lines) if n > first and line.plain.strip().startswith(end))
        for line in lines[first:last]:
            line.rstrip()
            is_second_blank = not line.plain and shown.plain.endswith("\n\n")
            if not is_second_blank:
                shown.append_text(line).append("\n")
    return shown


def main() -> int:
    """Write the picture; always exit code 0."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)
    console.print("[bold green]$[/] weighbridge demo\n", highlight=False)
    console.print(cut(told()), soft_wrap=False, no_wrap=True, overflow="ignore", crop=False)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    console.save_svg(
        str(PICTURE), title="weighbridge demo", theme=MONOKAI, code_format=TEMPLATE, unique_id="wb"
    )
    print(f"Wrote {PICTURE.relative_to(ROOT)}, {PICTURE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
