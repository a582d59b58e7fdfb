"""Everything a command says: data on stdout as table, JSON or bare paths; talk, progress and errors on stderr.

One object per call of the program. It is the only module of the package that prints, and it asks no store.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TextIO, TypeVar

from weighbridge.cli.values import visible
from weighbridge.errors import WeighbridgeError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

T = TypeVar("T")

WIDTH_DEFAULT: Final = 100
"""Columns of a terminal that does not say how wide it is."""

STYLES: Final = {
    "passed": "green",
    "ok": "green",
    "finished": "green",
    "failed": "red",
    "fail": "red",
    "crashed": "red",
    "killed": "red",
    "inconclusive": "yellow",
    "warn": "yellow",
    "running": "cyan",
}
"""Colours of words that stand alone in a cell."""


_ASCII: Final = str.maketrans({"◆": "*", "▶": ">", "└": "`", "├": "|", "│": "|", "─": "-", "…": "..."})
"""What is drawn where a terminal cannot show the characters we draw with."""


class Format(enum.StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    QUIET = "quiet"


class Column(NamedTuple, Generic[T]):
    """One column of a table: its heading and what it shows of an item."""

    name: str
    show: Callable[[T], str]
    is_number: bool = False


class Output:
    """Where a command writes to, and how.

    color: `auto`, `always` or `never`. now: unix seconds that relative times count from.
    """

    def __init__(
        self,
        format: Format = Format.TABLE,
        *,
        color: str = "auto",
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        now: float | None = None,
    ) -> None:
        self.format = format
        self.now = time.time() if now is None else now
        self._stdout = sys.stdout if stdout is None else stdout
        self._stderr = sys.stderr if stderr is None else stderr
        self._color = color
        self.is_abandoned = False
        """Whether the reader of stdout went away, so that nothing more need be made for it."""

    @property
    def is_terminal(self) -> bool:
        """Whether stdout is a terminal, or colours were asked for as if it were one."""
        return self._color == "always" or self._stdout.isatty()

    @property
    def is_table(self) -> bool:
        """Whether people read what is written."""
        return self.format is Format.TABLE

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return shutil.get_terminal_size((WIDTH_DEFAULT, 24)).columns

    # --- data, on stdout ---

    def listing(
        self,
        items: Iterable[T],
        columns: Sequence[Column[T]],
        *,
        plain: Callable[[T], Mapping[str, object]],
        path: Callable[[T], str],
        title: str = "",
    ) -> int:
        """Write items as a table, a JSON array, or one path a line; how many there were."""
        count = 0
        if self.format is Format.TABLE:
            held = list(items)
            if held:
                rows = [[column.show(item) for column in columns] for item in held]
                self._table(columns, rows, title=title)
            return len(held)
        if self.format is Format.QUIET:
            for item in items:
                self.write(visible(path(item)) + "\n")
                count += 1
                if self.is_abandoned:
                    break
            return count
        return self._json_lines(plain(item) for item in items)

    def record(self, plain: Mapping[str, object], *, path: str, text: Callable[[], None]) -> None:
        """Write one thing: `plain` as JSON, its path, or what `text` writes for people."""
        if self.format is Format.JSON:
            self.document(plain)
        elif self.format is Format.QUIET:
            self.write(visible(path) + "\n")
        else:
            text()

    def document(self, value: object) -> None:
        """Write one JSON document, indented."""
        self.write(self._json(value, indent=2) + "\n")

    def heading(self, text: str) -> None:
        """Write the first line of a thing's description."""
        self.draw(lambda: _styled(visible(text), "bold"), plain=visible(text))

    def facts(self, rows: Iterable[tuple[str, str]], *, title: str = "") -> None:
        """Write names and values one a line, aligned; nothing where there are none."""
        held = [(visible(name), visible(value)) for name, value in rows]
        if not held:
            return
        width = max(len(name) for name, _ in held)
        if title:
            self.write("\n")
            self.heading(title)
        for name, value in held:
            self.write(f"  {name.ljust(width)}  {value}\n")

    def table(self, columns: Sequence[Column[T]], items: Sequence[T], *, title: str = "") -> None:
        """Write a table below a heading, as part of a thing's description; nothing without items."""
        if items:
            self.write("\n")
            self._table(columns, [[column.show(item) for column in columns] for item in items], title=title)

    def draw(self, drawn: Callable[[], RenderableType], *, plain: str) -> None:
        """Write a drawing for a terminal, or `plain` for anything else."""
        if self.is_terminal:
            console = self._console()
            with console.capture() as capture:
                console.print(drawn())
            self.write(capture.get())
        else:
            self.write(plain + "\n")

    def write(self, text: str) -> None:
        """Write text to stdout. A reader that went away is no error: the rest is dropped."""
        if self.is_abandoned:
            return
        try:
            self._stdout.write(text)
        except UnicodeEncodeError as error:
            self.write(
                text.translate(_ASCII).encode(error.encoding, "backslashreplace").decode(error.encoding)
            )
        except BrokenPipeError:
            self._drop_stdout()

    def flush(self) -> None:
        """Hand over what was written."""
        try:
            self._stdout.flush()
        except BrokenPipeError:
            self._drop_stdout()

    # --- talk, on stderr ---

    def say(self, text: str) -> None:
        """Tell people something that is no data; silent where only paths are wanted."""
        if self.format is not Format.QUIET:
            self._tell(text)

    def warn(self, text: str) -> None:
        """Tell people something that matters, whatever the format."""
        self._tell(f"warning: {text}")

    def error(self, error: WeighbridgeError) -> None:
        """Tell what went wrong and what to do next."""
        self._tell(f"error: {error.message}")
        if error.hint:
            self._tell(f"hint: {error.hint}")

    def progress(self, text: str) -> None:
        """Replace the last line of progress on a terminal; nothing anywhere else. Empty text clears it."""
        if self.format is not Format.QUIET and self._stderr.isatty():
            self._stderr.write(f"\r\x1b[2K{text[: self.width - 1]}")
            self._stderr.flush()

    # --- inside ---

    def _tell(self, text: str) -> None:
        lines = text.split("\n")
        self._stderr.write("\n".join(map(visible, lines)) + "\n")
        self._stderr.flush()

    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=self._stdout,
            force_terminal=True,
            width=self.width,
            color_system=None if self._color == "never" else "standard",
            highlight=False,
            emoji=False,
            markup=False,
            legacy_windows=False,
        )

    def _table(self, columns: Sequence[Column[T]], rows: list[list[str]], *, title: str = "") -> None:
        cells = [[visible(value) for value in row] for row in rows]
        self.draw(lambda: _rich_table(columns, cells, title), plain=_plain_table(columns, cells, title))

    def _json_lines(self, items: Iterable[Mapping[str, object]]) -> int:
        count = 0
        for count, item in enumerate(items, 1):
            self.write(("[\n" if count == 1 else ",\n") + self._json(item))
            if self.is_abandoned:
                break
        self.write("\n]\n" if count else "[]\n")
        return count

    def _json(self, value: object, *, indent: int | None = None) -> str:
        """JSON that stdout can carry: escaped where its encoding has not every character."""
        text = to_json(value, indent=indent)
        encoding = getattr(self._stdout, "encoding", None) or "utf-8"
        if encoding.lower().startswith("utf") or text.isascii():
            return text
        return json.dumps(json.loads(text), indent=indent)

    def _drop_stdout(self) -> None:
        """Send the rest nowhere. The descriptor too, or the interpreter would flush into the pipe at its end."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stdout.fileno())
            os.close(nowhere)
        self.is_abandoned = True


def to_json(value: object, *, indent: int | None = None) -> str:
    """Plain values as JSON; NaN and infinities as domain.exact_json writes them."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:
        import msgspec

        from weighbridge.domain.exact_json import to_plain

        holder = msgspec.defstruct("Holder", [("value", object)])
        exact = to_plain(holder(value))
        assert isinstance(exact, dict)
        return json.dumps(exact["value"], ensure_ascii=False, allow_nan=False, indent=indent)


def _plain_table(columns: Sequence[Column[T]], rows: list[list[str]], title: str) -> str:
    """Aligned columns, nothing cut, for pipes and files."""
    headings = [column.name for column in columns]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [title] if title else []
    for row in itertools.chain([headings], rows):
        parts = [
            value.rjust(width) if column.is_number else value.ljust(width)
            for value, width, column in zip(row, widths, columns, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    return "\n".join(lines)


def _rich_table(columns: Sequence[Column[T]], rows: list[list[str]], title: str) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        drawn.add_column(column.name, justify="right" if column.is_number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(value, style=STYLES.get(value, "")) for value in row))
    return drawn


def _styled(text: str, style: str) -> RenderableType:
    from rich.text import Text

    return Text(text, style=style)
