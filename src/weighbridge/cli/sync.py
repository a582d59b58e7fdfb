"""`weighbridge sync`: ships what lies in the spool folder: offline runs and those of killed processes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.values import size

if TYPE_CHECKING:
    from weighbridge.sdk.adopt import SpoolStatus, Synced


def sync_spools(arguments: Namespace, context: Context) -> int:
    """Ship every spool whose writer is gone; 1 where one could not be shipped."""
    from weighbridge.sdk.adopt import iter_adopted

    if arguments.is_dry_run:
        return _list_spools(context)
    out = context.out

    def progress(done: int, total: int) -> None:
        out.progress(f"shipping {size(done)} of {size(total)}")

    synced = []
    for each in iter_adopted(context.client, include_offline=True, progress=progress):
        out.progress("")
        synced.append(each)
    columns: list[Column[Synced]] = [
        Column("run", lambda each: each.run_path or "not known"),
        Column("shipped", lambda each: size(each.shipped_bytes), is_number=True),
        Column("result", lambda each: "ok" if each.error is None else "failed"),
        Column("spool", lambda each: each.spool_id),
        Column("why", lambda each: each.error or "-"),
    ]
    out.listing(synced, columns, plain=plain.of_struct, path=lambda each: each.run_path or each.spool_id)
    failed = sum(each.error is not None for each in synced)
    if not synced:
        out.say("Nothing waits to be shipped.")
    for path in damaged_spools(context):
        out.warn(f"damaged spool {path} was put aside; its readable rows were shipped.")
    if failed:
        out.say(f"{failed} of {len(synced)} spools could not be shipped and stay where they are.")
    return 1 if failed else 0


def damaged_spools(context: Context) -> list[Path]:
    """What was put aside because it cannot be read, by name."""
    from weighbridge.sdk.sender import DAMAGED

    folder = context.client.spool_dir / DAMAGED
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        context.out.warn(f"{folder} cannot be looked into: {error.strerror or error}.")
        return []


def _list_spools(context: Context) -> int:
    from weighbridge.sdk.adopt import statuses

    found = statuses(context.client)
    columns: list[Column[SpoolStatus]] = [
        Column("spool", lambda each: each.spool_id),
        Column("size", lambda each: size(each.size_bytes), is_number=True),
        Column("kind", lambda each: "offline" if each.is_offline else "online"),
        Column("would", lambda each: "stay: its process is alive" if each.is_live else "be shipped"),
    ]
    context.out.listing(found, columns, plain=plain.of_struct, path=lambda each: each.path)
    if not found:
        context.out.say("Nothing waits to be shipped.")
    return 0
