"""BLAKE3 alone over files, one after another on one core, in buffers of 1 MiB. Option: `source`, a file or folder."""

from __future__ import annotations

import time
from pathlib import Path

from blake3 import blake3

from benchmarks.programs.options import answer, options


def main() -> None:
    given = options()
    buffer = memoryview(bytearray(1 << 20))
    at = time.perf_counter()
    source = Path(given["source"])
    for path in (
        [source] if source.is_file() else sorted(path for path in source.rglob("*") if path.is_file())
    ):
        hasher = blake3()
        with open(path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                hasher.update(buffer[:count])
        hasher.hexdigest()
    answer(hash_s=time.perf_counter() - at)


if __name__ == "__main__":
    main()
