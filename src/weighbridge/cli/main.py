"""The `weighbridge` program: reads arguments, calls one command, turns errors into words and an exit code.

It must stay quick to import: `weighbridge --help` loads no store, and each command is imported when it is
called. Exit codes: 0 done, or judged and passed; 1 judged and failed; 2 could not be done; 130 interrupted.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import Final

from weighbridge.cli.arguments import build_parser
from weighbridge.cli.context import FLAGS, Context
from weighbridge.cli.output import Format, Output
from weighbridge.errors import (
    BlobNotFound,
    DamagedRecord,
    DigestMismatch,
    VerdictFailed,
    WeighbridgeError,
)
from weighbridge.settings import resolve

OK: Final = 0
FAILED: Final = 1
NOT_DONE: Final = 2
INTERRUPTED: Final = 130

Command = Callable[[Namespace, Context], int]

_JUDGED: Final = (BlobNotFound, DamagedRecord, DigestMismatch, VerdictFailed)
"""Errors that say: the thing was looked at and is bad. All others say that it could not be looked at."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. argv: without the program's name; None reads sys.argv."""
    given = _joined(sys.argv[1:] if argv is None else argv)
    try:
        arguments = build_parser().parse_args(given)
    except SystemExit as stop:  # argparse has said why, or printed the help
        return stop.code if isinstance(stop.code, int) else NOT_DONE
    out = Output(_format_of(arguments))
    try:
        settings = resolve(flags=_flags_of(arguments))
        out = Output(_format_of(arguments), color=settings.color)
        return _command_of(arguments)(arguments, Context(settings, out))
    except WeighbridgeError as error:
        out.error(error)
        return FAILED if isinstance(error, _JUDGED) and not arguments.is_judging else NOT_DONE
    except KeyboardInterrupt:
        out.warn("interrupted")
        return INTERRUPTED
    finally:
        out.flush()


def _joined(argv: Sequence[str]) -> list[str]:
    """`--order -summary.acc` as `--order=-summary.acc`, which argparse would take for an option otherwise."""
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] == "--order" and word.startswith("-") and not word.startswith("--"):
            joined[-1] = f"--order={word}"
        else:
            joined.append(word)
    return joined


def _format_of(arguments: Namespace) -> Format:
    if getattr(arguments, "is_json", False):
        return Format.JSON
    return Format.QUIET if getattr(arguments, "is_quiet", False) else Format.TABLE


def _flags_of(arguments: Namespace) -> dict[str, object]:
    """The settings that were given as flags."""
    return {name: value for name in FLAGS if (value := getattr(arguments, name, None)) is not None}


def _command_of(arguments: Namespace) -> Command:
    from importlib import import_module

    module, _, name = str(arguments.command_path).partition(":")
    command: Command = getattr(import_module(f"weighbridge.cli.{module}"), name)
    return command
