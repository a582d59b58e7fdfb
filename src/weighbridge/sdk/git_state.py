"""What git says of the directory a run started in: commit, branch, uncommitted changes.

One job: ask git, within a time and a size, once per process and root. Neither a missing git, nor a broken or
huge work tree, nor a hook of it may stop or slow a run: what is not known is said in a note.
"""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from blake3 import blake3

from weighbridge.domain.environment import MAX_PATCH_SIZE_BYTES, GitState
from weighbridge.sdk.secrets import mask_text

GIT_TIMEOUT_S = 2.0
"""All the time git gets for one root."""

MAX_STATUS_SIZE_BYTES = 4 * 1024 * 1024

_known: dict[str, tuple[GitState | None, tuple[str, ...]]] = {}
_lock = threading.Lock()


def git_state(directory: Path, *, program: str = "git") -> tuple[GitState | None, tuple[str, ...]]:
    """The state of the work tree that holds `directory`, None outside of one; and notes."""
    key = f"{program}\0{directory}"
    with _lock:
        if key not in _known:
            _known[key] = _Git(directory, program).read()
        return _known[key]


class _Failed(Exception):
    """git did not give the answer; the text says why."""


class _Git:
    """One reading of one work tree, against one deadline."""

    def __init__(self, directory: Path, program: str) -> None:
        self._directory = directory
        self._program = program
        self._deadline = time.monotonic() + GIT_TIMEOUT_S

    def read(self) -> tuple[GitState | None, tuple[str, ...]]:
        if not any((parent / ".git").exists() for parent in (self._directory, *self._directory.parents)):
            return None, ()
        try:
            status, is_cut = self._ask(
                "status",
                "--porcelain=v2",
                "--branch",
                "--untracked-files=normal",
                limit=MAX_STATUS_SIZE_BYTES,
            )
        except _Failed as failure:
            return self._without_status(str(failure))
        notes = ["git: the list of changes is cut at 4 MiB"] if is_cut else []
        fields, is_dirty, untracked = _parse_status(status.decode("utf-8", "replace"))
        patch, is_patch_cut = b"", False
        if is_dirty:
            try:
                patch, is_patch_cut = self._ask(
                    "diff",
                    "HEAD",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--no-color",
                    "--binary",
                    limit=MAX_PATCH_SIZE_BYTES,
                )
            except _Failed as failure:
                notes.append(f"git: the uncommitted changes are not recorded: {failure}")
        patch_text = mask_text(patch.decode("utf-8", "replace"))
        if is_patch_cut:
            notes.append("git: the uncommitted changes are cut at 1 MiB")
        if untracked:
            notes.append(f"git: {untracked} files are not in git, so no commit and no patch holds them")
        commit, branch = fields.get("branch.oid", ""), fields.get("branch.head", "")
        return GitState(
            commit="" if commit == "(initial)" else commit,
            branch="" if branch == "(detached)" else branch,
            remote=self._remote(),
            is_dirty=is_dirty,
            untracked=untracked,
            patch=patch_text,
            patch_digest=blake3(patch_text.encode()).hexdigest() if patch_text else "",
            is_patch_cut=is_patch_cut,
        ), tuple(notes)

    def _without_status(self, reason: str) -> tuple[GitState | None, tuple[str, ...]]:
        """The commit alone, where git is too slow for the rest or the rest is broken."""
        self._deadline = max(self._deadline, time.monotonic() + 0.2)
        try:
            commit = self._ask("rev-parse", "--verify", "HEAD")[0].decode("ascii", "replace").strip()
        except _Failed:
            return None, (f"git: {reason}",)
        return GitState(commit=commit), (f"git: only the commit is known: {reason}",)

    def _remote(self) -> str:
        try:
            return mask_text(
                self._ask("config", "--get", "remote.origin.url")[0].decode("utf-8", "replace").strip()
            )
        except _Failed:
            return ""

    def _ask(self, *arguments: str, limit: int = 64 * 1024) -> tuple[bytes, bool]:
        """At most `limit` bytes of git's answer, and whether there were more. Raises _Failed."""
        # No lock is taken, no monitor or hook of the work tree is run, no pager, no prompt.
        command = [
            self._program,
            "--no-optional-locks",
            "--no-pager",
            "-c",
            "core.fsmonitor=false",
            *arguments,
        ]
        try:
            process = subprocess.Popen(
                command,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise _Failed(f"{self._program} cannot be run ({error.strerror or error})") from error
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(max(0.0, self._deadline - time.monotonic()), stop)
        timer.daemon = True
        timer.start()
        with process:
            try:
                assert process.stdout is not None
                answer = process.stdout.read(limit + 1)
                if len(answer) > limit:
                    process.kill()
                code = process.wait()
            finally:
                timer.cancel()
        if is_late.is_set():
            raise _Failed(f"git did not answer within {GIT_TIMEOUT_S:g} s")
        if len(answer) > limit:
            return answer[:limit], True
        if code != 0:
            raise _Failed(f"`git {arguments[0]}` ended with status {code}")
        return answer, False


def _parse_status(text: str) -> tuple[dict[str, str], bool, int]:
    """Header fields, whether a tracked file changed, how many entries git does not know (git-status, v2)."""
    fields: dict[str, str] = {}
    is_dirty = False
    untracked = 0
    for line in text.splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(" ")
            fields[name] = value
        elif line.startswith("? "):
            untracked += 1
        elif line[:2] in ("1 ", "2 ", "u "):
            is_dirty = True
    return fields, is_dirty, untracked
