"""How the demo's story is told: numbered steps and sentences on stdout, or nothing where machines listen.

It decides nothing about the story.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.cli.context import Context
from weighbridge.cli.lineage import show_lineage
from weighbridge.cli.output import Column
from weighbridge.sdk.times import iso
from weighbridge.settings import resolve

if TYPE_CHECKING:
    from weighbridge.domain.artifact import AliasEvent
    from weighbridge.domain.evaluation import EvaluationReport

TEXT_WIDTH_MAX: Final = 100
EPOCHS_SHOWN: Final = 4
LINEAGE_DEPTH: Final = 10

LOOK: Final = (
    "runs weighbridge-demo",
    "registry show model-registry/Digits",
    "registry history model-registry/Digits --alias production",
    'lineage "model-registry/Digits:production"',
)
"""Commands to look around with, without the program's name."""


class Teller:
    """Tells the story through the program's output; silent for --json and --quiet."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._out = context.out
        self._steps = 0

    def begin(self, home: Path, runs: int) -> None:
        """Where the story happens."""
        self.say(
            "A model is trained, registered and weighed: its numbers are measured again before it may pass. "
            f"No server, no account: everything lies in {home}."
        )
        if runs:
            self.say(
                f"Project weighbridge-demo is there already, with {runs} runs. The same content gives the same "
                "versions, so only runs and moves of aliases are added."
            )

    def step(self, title: str, text: str) -> None:
        """A new step: its number and title, and what it is about."""
        self._steps += 1
        if self._out.is_table:
            self._out.write("\n")
            self._out.heading(f"{self._steps}. {title}")
        self.say(text)

    def say(self, text: str) -> None:
        """A sentence or more, wrapped."""
        if self._out.is_table:
            self._out.write(textwrap.fill(text, min(self._out.width, TEXT_WIDTH_MAX)) + "\n")

    def command(self, *lines: str) -> None:
        """The command that would do the same, in a clone of the repository."""
        if self._out.is_table:
            words = " \\\n      ".join(lines)
            self._out.write(f"\n  $ weighbridge {words}\n\n")

    def epochs(self, epochs: Sequence[Mapping[str, float]]) -> None:
        """A few of the epochs, the first and the last among them."""
        if not self._out.is_table:
            return
        last = len(epochs) - 1
        shown = sorted({round(last * place / (EPOCHS_SHOWN - 1)) for place in range(EPOCHS_SHOWN)})
        columns = [
            Column[int]("epoch", str, is_number=True),
            *(
                Column[int](name, lambda epoch, name=name: f"{epochs[epoch][name]:.4f}", is_number=True)  # type: ignore[misc]  # a default binds the loop's name
                for name in epochs[-1]
            ),
        ]
        self._out.table(columns, shown)

    def report(self, report: EvaluationReport) -> None:
        """What an evaluation found."""
        from weighbridge.evaluation.rendering import render

        if self._out.is_table:
            self._out.write(render(report, is_terminal=self._out.is_terminal, width=self._out.width))

    def alias_history(self, events: Sequence[AliasEvent]) -> None:
        """The moves of an alias, oldest first."""
        columns = [
            Column["AliasEvent"]("when", lambda event: iso(event.at) or ""),
            Column["AliasEvent"]("who", lambda event: event.actor),
            Column["AliasEvent"]("alias", lambda event: event.alias),
            Column["AliasEvent"]("from", lambda event: event.from_version or "-"),
            Column["AliasEvent"]("to", lambda event: event.to_version or "-"),
            Column["AliasEvent"]("why", lambda event: event.reason),
        ]
        if self._out.is_table:
            self._out.table(columns, events)

    def lineage(self, path: str) -> None:
        """The graph around a version, as `weighbridge lineage` draws it."""
        if self._out.is_table:
            show_lineage(Namespace(path=path, depth=LINEAGE_DEPTH, direction="both"), self._context)

    def end(self, surprises: Sequence[str]) -> None:
        """Whether all came out as told, and what to do next."""
        if not self._out.is_table:
            return
        self._out.write("\n")
        if surprises:
            self._out.heading("Not everything came out as told:")
            for what in surprises:
                self._out.write(f"  not so: {what}\n")
            return
        self._out.heading("Every step came out as told.")
        self._next()

    def _next(self) -> None:
        """Commands that go on from here, as they must be typed in this shell."""
        program, python = _program(), _typed(sys.executable, "python")
        self._out.write("Look around in what was recorded:\n")
        for name, value in self._not_by_default():
            self._out.write(f"  export WEIGHBRIDGE_{name.upper()}={shlex.quote(value)}\n")
        for words in LOOK:
            self._out.write(f"  {program} {words}\n")
        self._out.write(
            "Then as scripts of your own, in a clone of the repository:\n"
            f"  {python} examples/digits/train.py && {python} examples/digits/evaluate.py\n"
            f'  {program} evaluate "model-registry/Digits:staging" --scorer examples/digits/score.py:score \\\n'
            '    --names "final_*=val_*" --against production\n'
        )

    def _not_by_default(self) -> list[tuple[str, str]]:
        """Settings of this telling that the next command would not have by itself."""
        usual, ours = resolve(), self._context.settings
        both = [(name, str(getattr(ours, name)), str(getattr(usual, name))) for name in ("home", "entity")]
        return [(name, value) for name, value, otherwise in both if value != otherwise]


def _program() -> str:
    """How this program is called from here."""
    if Path(sys.argv[0]).name == "weighbridge":
        return _typed(sys.argv[0], "weighbridge")
    return f"{_typed(sys.executable, 'python')} -m weighbridge"


def _typed(path: str, name: str) -> str:
    """The name alone where the shell finds this very program by it, else its path, the shorter one."""
    found = shutil.which(name)
    if found is not None and Path(found).absolute() == Path(path).absolute():
        return name
    return shlex.quote(min(os.path.relpath(path), os.path.abspath(path), key=len))
