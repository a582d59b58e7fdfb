"""`weighbridge settings`, `version` and `demo`: what needs no store."""

from __future__ import annotations

from argparse import Namespace

from weighbridge import __version__
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column


def list_settings(arguments: Namespace, context: Context) -> int:
    """List every setting with its value and where that came from; secrets are masked."""
    columns: list[Column[tuple[str, str, str]]] = [
        Column("setting", lambda row: row[0]),
        Column("value", lambda row: row[1] or "-"),
        Column("origin", lambda row: row[2]),
    ]
    context.out.listing(
        context.settings.rows(),
        columns,
        plain=lambda row: {"setting": row[0], "value": row[1] or None, "origin": row[2]},
        path=lambda row: row[0],
    )
    return 0


def show_version(arguments: Namespace, context: Context) -> int:
    """Show the version of Weighbridge."""
    context.out.record(
        {"weighbridge": __version__},
        path=__version__,
        text=lambda: context.out.write(f"weighbridge {__version__}\n"),
    )
    return 0


def tell_demo(arguments: Namespace, context: Context) -> int:
    """Tell the story on real data."""
    from weighbridge.cli.demo import run_demo

    return run_demo(arguments)
