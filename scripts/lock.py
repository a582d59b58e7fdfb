"""Write requirements/*.txt: exact pins of everything a lock's roots need, with no address of any index.

    python scripts/lock.py            every lock
    python scripts/lock.py dev torch  these only

Asks pip to resolve against whatever index this machine is set up with, and installs nothing. Run it on the
oldest supported Python: a version that still supports that one suits the newer ones too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Lock(NamedTuple):
    """Roots of one lock: extras of pyproject.toml, and requirements beside them."""

    extras: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    with_base: bool = True


LOCKS = {
    "build": Lock(also=("hatchling", "editables"), with_base=False),
    "demo": Lock(extras=("demo",)),
    "dev": Lock(extras=("dev",)),
    "docs": Lock(extras=("docs",), with_base=False),
    "torch": Lock(also=("torch==2.13.0",), with_base=False),
}


def roots(lock: Lock) -> list[str]:
    """The requirements a lock starts from, with `weighbridge[extra]` written out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    found = [*lock.also, *(project["dependencies"] if lock.with_base else ())]
    waiting = list(lock.extras)
    while waiting:  # ends: an extra names extras of its own project only downwards
        for requirement in extras[waiting.pop()]:
            if requirement.startswith("weighbridge["):
                waiting.extend(requirement[len("weighbridge[") : requirement.index("]")].split(","))
            else:
                found.append(requirement)
    return found


def resolved(requirements: Sequence[str]) -> list[str]:
    """`name==version` of everything the requirements bring, sorted by name."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--quiet",
        "--quiet",
    ]
    report = subprocess.run(
        [*command, "--report", "-", *requirements],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    pins = set()
    for item in json.loads(report.stdout)["install"]:
        version = item["metadata"]["version"].partition("+")[
            0
        ]  # a local build's label exists on one index only
        pins.add(f"{item['metadata']['name'].lower().replace('_', '-')}=={version}")
    return sorted(pins)


def main(names: Sequence[str]) -> int:
    """Write the named locks, or all of them."""
    unknown = sorted(set(names) - set(LOCKS))
    if unknown:
        print(f"There is no lock {', '.join(unknown)}. Known: {', '.join(LOCKS)}.", file=sys.stderr)
        return 2
    for name in names or LOCKS:
        pins = resolved(roots(LOCKS[name]))
        text = "# Exact versions; written by scripts/lock.py, not by hand.\n" + "".join(
            f"{pin}\n" for pin in pins
        )
        (ROOT / "requirements" / f"{name}.txt").write_text(text)
        print(f"requirements/{name}.txt: {len(pins)} pins")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
