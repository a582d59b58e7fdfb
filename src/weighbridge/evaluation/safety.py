"""Looks at the first bytes of a model's files; the rule that none may run code is in domain/safe_files.py."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from weighbridge.domain.evaluation import CheckResult
from weighbridge.domain.safe_files import HEAD_SIZE_BYTES, FileHead, check_safe_files

MEMBERS_MAX = 10_000


def check_files(folder: Path) -> CheckResult:
    """The check `safe_files` over every file below a folder."""
    heads = []
    for base, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(base) / name
            heads.append(_head(path, path.relative_to(folder).as_posix()))
    return check_safe_files(heads)


def _head(path: Path, name: str) -> FileHead:
    with path.open("rb") as file:
        head = file.read(HEAD_SIZE_BYTES)
    if not head.startswith(b"PK\x03\x04"):
        return FileHead(name, head)
    try:
        with zipfile.ZipFile(path) as archive:
            members = []
            for info in archive.infolist()[:MEMBERS_MAX]:
                with archive.open(info) as member:
                    members.append((info.filename, member.read(HEAD_SIZE_BYTES)))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return FileHead(name, head)  # unreadable as an archive: judged by its head alone, never as safe
    return FileHead(name, head, tuple(members))
