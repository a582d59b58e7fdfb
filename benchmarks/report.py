"""Shows what benchmarks found: as text in the terminal, and as the page docs/benchmarks.md. It measures nothing."""

from __future__ import annotations

import importlib
import inspect
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.bench import ROOT
from benchmarks.measurement import Measurement, Outcome, shown

RESULTS: Final = ROOT / "benchmarks" / "results.json"
PAGE: Final = ROOT / "docs" / "benchmarks.md"
BUSY_LOAD: Final = 0.5
_decoder = msgspec.json.Decoder(list[Outcome])

_HEAD: Final = """# Benchmarks

How fast Weighbridge is and how much it takes, measured by `make bench`, which writes this page. Compare ratios: each
figure stands beside a floor that the same run measured (a bare interpreter, `write()`, `cp`, BLAKE3 alone, a plain
sqlite3 script), because absolute times depend on the machine. One benchmark: `make bench ARGS=log_call`; a try in
seconds: `make bench ARGS=--quick`.

"""


def limit_of(measurement: Measurement) -> str:
    """The limit in words, or empty."""
    if measurement.limit is None:
        return ""
    if measurement.is_limit_ratio:
        return f"<= {shown(measurement.limit)} x {measurement.floor_name}"
    return f"<= {shown(measurement.limit)} {measurement.unit}"


def text_of(outcome: Outcome) -> str:
    """The outcome for a terminal."""
    lines = [f"\n{outcome.title} ({outcome.name}; {outcome.took_s:g} s, load before {outcome.load_before:g})"]
    for each in outcome.measurements:
        verdict = {True: "ok  ", False: "MISS", None: "    "}[each.is_met]
        line = f"  {verdict} {each.what:<52} {shown(each.value):>9} {each.unit:<8}{limit_of(each):<22}"
        if each.ratio is not None:
            line += f" {shown(each.ratio)} x {each.floor_name} ({shown(each.floor or 0)})"
        lines.append(line.rstrip() + (f"  [{each.note}]" if each.note else ""))
    return "\n".join(lines)


def keep(outcome: Outcome, *, path: Path = RESULTS) -> list[Outcome]:
    """Put an outcome in the place of the last one of its name; all that are kept."""
    kept = {each.name: each for each in _decoder.decode(path.read_bytes())} if path.exists() else {}
    kept[outcome.name] = outcome
    found = list(kept.values())
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    os.replace(partial, path)
    return found


def write_page(outcomes: Sequence[Outcome], *, path: Path = PAGE) -> None:
    """Write docs/benchmarks.md."""
    from benchmarks.__main__ import NAMES

    ordered = sorted(outcomes, key=lambda outcome: NAMES.index(outcome.name))
    path.write_text(_HEAD + _machine() + _table(ordered) + "".join(_section(each) for each in ordered))


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    version = ".".join(map(str, sys.version_info[:3]))
    return (
        f"Machine: {os.cpu_count()} cores ({model}), {memory_gb:.0f} GB, {platform.system()} "
        f"{platform.release()}, Python {version}.\n\n"
    )


def _table(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "## Against the limits",
        "",
        "| what | must be | measured | kept | over the floor |",
        "|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        for each in outcome.measurements:
            if each.limit is None:
                continue
            ratio = "" if each.ratio is None else f"{shown(each.ratio)} x {each.floor_name}"
            lines.append(
                f"| {outcome.title}: {each.what} | {limit_of(each)} | {shown(each.value)} {each.unit} "
                f"| {'yes' if each.is_met else '**no**'} | {ratio} |"
            )
    return "\n".join(lines) + "\n"


def _section(outcome: Outcome) -> str:
    module = importlib.import_module(f"benchmarks.{outcome.name}")
    _, _, method = (inspect.getdoc(module) or "").partition("Method: ")
    busy = (
        f" Other programs were running (load {outcome.load_before:g}), so take times as upper bounds."
        if outcome.load_before > BUSY_LOAD
        else ""
    )
    lines = [
        "",
        f"## {outcome.title}",
        "",
        f"{outcome.date}, commit {outcome.commit}, `{outcome.name}`.{busy}",
        "",
        "| what | measured | floor | remark |",
        "|---|---|---|---|",
    ]
    for each in outcome.measurements:
        floor = "" if each.floor is None else f"{shown(each.floor)} {each.unit} ({each.floor_name})"
        lines.append(f"| {each.what} | {shown(each.value)} {each.unit} | {floor} | {each.note} |")
    return "\n".join(lines) + f"\n\nMethod: {' '.join(method.split())}\n"
