"""Install PyTorch for the tests that need it, if the CPU build can be had; otherwise say why not and succeed.

Some indexes offer only the build that brings several gigabytes of CUDA packages. Nobody who typed
`make test` asked for those, so they are installed only with --any. The tests marked `torch` then skip.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "requirements" / "torch.txt"
PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `pip install` with these arguments."""
    return subprocess.run([*PIP, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def why_not(*, any_build: bool) -> str:
    """Install, and return an empty text, or the reason why PyTorch was left out."""
    # torch alone, with what it wants itself: the lock's pins would hide the CUDA packages
    pin = next(line for line in LOCK.read_text().splitlines() if line.startswith("torch=="))
    plan = pip("--dry-run", "--report", "-", pin)
    if plan.returncode != 0:
        return f"pip found no build of {pin} for this Python"
    brought = [item["metadata"]["name"] for item in json.loads(plan.stdout)["install"]]
    if not any_build and any(name.startswith(("nvidia", "cuda")) for name in brought):
        return "this index has only the CUDA build; `make torch` installs it all the same"
    done = pip(*(["-r", str(LOCK)] if not any_build else [pin]))
    return "" if done.returncode == 0 else f"pip failed: {done.stderr.strip()[-300:]}"


def main(arguments: Sequence[str]) -> int:
    """Install PyTorch unless it is there; exit code 0 either way, but 1 when --any was asked and failed."""
    if find_spec("torch") is not None:
        return 0
    any_build = "--any" in arguments
    reason = why_not(any_build=any_build)
    print(f"PyTorch left out: {reason}. Tests marked `torch` will skip." if reason else "PyTorch installed.")
    return 1 if reason and any_build else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
