"""Runs benchmarks and prints what they find: `python -m benchmarks [names...] [--quick] [--json FILE]`.

A whole run (not `--quick`) also keeps its figures in benchmarks/results.json and writes docs/benchmarks.md
anew from all that are kept; `--no-docs` leaves both alone.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.bench import ROOT, Bench, Peer
from benchmarks.measurement import Measurement, Outcome
from benchmarks.report import keep, text_of, write_page

NAMES = (
    "import_cost",
    "install_size",
    "log_call",
    "shipping_modes",
    "killed",
    "readable",
    "reading",
    "run_lifecycle",
    "run_table",
    "big_artifact",
    "small_files",
    "evaluation",
    "long_run",
)


def run_one(name: str, *, is_quick: bool, peer: Peer | None = None, folder: Path | None = None) -> Outcome:
    """Run one benchmark in a workplace of its own."""
    module = importlib.import_module(f"benchmarks.{name}")
    measure: Callable[[Bench], list[Measurement]] = module.measure
    load, began = os.getloadavg()[0], time.perf_counter()
    with Bench(is_quick=is_quick, peer=peer, folder=folder) as bench:
        found = measure(bench)
    return Outcome(
        name=name,
        title=module.TITLE,
        measurements=tuple(found),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        commit=_commit(),
        load_before=round(load, 2),
        took_s=round(time.perf_counter() - began, 1),
        is_quick=is_quick,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every limit was kept, else 1."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure speed and size.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which, of {', '.join(NAMES)}; default: all"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: does it run? The figures mean little."
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--no-docs", action="store_true", help="leave docs/benchmarks.md as it is")
    parser.add_argument("--peer", choices=("trackio",), help="measure this tracker too")
    parser.add_argument("--peer-python", type=Path, metavar="PYTHON", help="the interpreter that has it")
    parser.add_argument("--folder", type=Path, help="where to put scratch files (the disk that is measured)")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    if (given.peer is None) != (given.peer_python is None):
        parser.error("--peer and --peer-python go together")
    peer = Peer(given.peer, given.peer_python.absolute()) if given.peer else None
    outcomes = []
    for name in given.names or NAMES:
        outcome = run_one(name, is_quick=given.quick, peer=peer, folder=given.folder)
        outcomes.append(outcome)
        print(text_of(outcome), flush=True)
        if not given.quick and not given.no_docs:
            write_page(keep(outcome))
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=2))
    missed = [m for outcome in outcomes for m in outcome.measurements if m.is_met is False]
    print(f"{len(missed)} limits missed" if missed else "every limit kept")
    return 1 if missed else 0


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
