"""`weighbridge demo`: the whole story on real data, which is a test at the same time.

This module reads the arguments and gives the exit code; `story` does the steps, `teller` shows them and
`digits` is the model.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory

from weighbridge.cli.context import Context
from weighbridge.cli.output import Format, Output
from weighbridge.settings import resolve


def run_demo(arguments: Namespace) -> int:
    """Tell the story in the home and return 0 if every step came out as told, else 1.

    arguments: as the program's parser gives them. --json writes what happened, --quiet the path of the
    version that ends in production. Raises WeighbridgeError where a step cannot be done.
    """
    from weighbridge.cli.demo.story import Story
    from weighbridge.cli.demo.teller import Teller

    names = ("home", "entity", "organization", "color")
    flags = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    # as arguments, which settings made from these keep; flags would count for this call only
    settings = resolve(**flags, quiet=True)
    is_json, is_quiet = getattr(arguments, "is_json", False), getattr(arguments, "is_quiet", False)
    format = Format.JSON if is_json else Format.QUIET if is_quiet else Format.TABLE
    out = Output(format, color=settings.color)
    with TemporaryDirectory(prefix="weighbridge-demo-") as folder:
        story = Story(settings, Path(folder), Teller(Context(settings, out)))
        story.tell()
    if format is not Format.TABLE:
        facts = {**story.facts, "surprises": story.surprises}
        out.record(facts, path=str(story.facts["production"]), text=lambda: None)
        for what in story.surprises:
            out.warn(f"not as told: {what}")
    out.flush()
    return 1 if story.surprises else 0
