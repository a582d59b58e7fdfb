"""Output: no codes in pipes, nothing that steers a terminal, numbers and times for people."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.cli.output import Column, Format, Output, to_json
from weighbridge.cli.values import ago, cell, count_of, duration, nested, number, size, visible
from weighbridge.errors import NotFound

NOW = 1_800_000_000.0


class Stream(io.StringIO):
    """A stream that may be a terminal, and whose reader may go away."""

    def __init__(self, *, is_terminal: bool = False, is_broken: bool = False) -> None:
        super().__init__()
        self.is_terminal, self.is_broken = is_terminal, is_broken

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        if self.is_broken:
            raise BrokenPipeError
        return super().write(text)


COLUMNS: list[Column[tuple[str, float]]] = [
    Column("name", lambda row: row[0]),
    Column("score", lambda row: number(row[1]), is_number=True),
]
ROWS = [("a", 0.123456), ("bcd", 12.0)]


def listed(
    format: Format, stream: Stream, *, color: str = "auto", rows: list[tuple[str, float]] = ROWS
) -> str:
    out = Output(format, color=color, stdout=stream, stderr=io.StringIO(), now=NOW)
    out.listing(rows, COLUMNS, plain=lambda row: {"name": row[0], "score": row[1]}, path=lambda row: row[0])
    return stream.getvalue()


def test_a_reader_that_goes_away_is_no_error() -> None:
    out = Output(stdout=Stream(is_broken=True), stderr=io.StringIO())
    out.write("x")
    assert out.is_abandoned
    out.write("y")
    out.flush()


def test_a_listing_stops_being_made_when_nobody_reads() -> None:
    made: list[str] = []

    def rows() -> Iterator[tuple[str, float]]:
        for name in "abc":
            made.append(name)
            yield name, 0.0

    out = Output(Format.QUIET, stdout=Stream(is_broken=True), stderr=io.StringIO())
    out.listing(rows(), COLUMNS, plain=lambda row: {}, path=lambda row: row[0])
    assert made == ["a"]


def test_no_name_can_steer_a_terminal() -> None:
    for format in (Format.TABLE, Format.QUIET):
        for is_terminal in (False, True):
            text = listed(
                format, Stream(is_terminal=is_terminal), color="never", rows=[("\x1b[2Jx\r\n", 1.0)]
            )
            assert "\x1b" not in text and "\r" not in text
    stderr = io.StringIO()
    Output(stderr=stderr).error(NotFound("no \x1b[2J here", hint="look\x07"))
    assert stderr.getvalue() == "error: no \\x1b[2J here\nhint: look\\x07\n"


def test_a_pipe_gets_plain_aligned_columns() -> None:
    assert listed(Format.TABLE, Stream()) == "name   score\na     0.1235\nbcd       12\n"


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b[" not in listed(Format.TABLE, Stream())
    assert "\x1b[" in listed(Format.TABLE, Stream(is_terminal=True))
    assert "\x1b[" in listed(Format.TABLE, Stream(), color="always")
    drawn = listed(Format.TABLE, Stream(is_terminal=True), color="never")
    assert "\x1b[" not in drawn and "───" in drawn


def test_json_is_one_array_and_quiet_is_one_path_a_line() -> None:
    assert json.loads(listed(Format.JSON, Stream())) == [
        {"name": "a", "score": 0.123456},
        {"name": "bcd", "score": 12.0},
    ]
    assert listed(Format.JSON, Stream(), rows=[]) == "[]\n"
    assert listed(Format.QUIET, Stream()) == "a\nbcd\n"


def test_json_is_valid_where_the_terminal_is_not_unicode() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    out = Output(Format.JSON, stdout=stream, stderr=io.StringIO())
    out.document({"name": "é 😀"})
    out.flush()
    assert json.loads(raw.getvalue()) == {"name": "é 😀"}


def test_json_keeps_what_is_not_finite() -> None:
    assert json.loads(to_json({"a": [math.nan, -math.inf, 1.0]})) == {
        "a": [{"$float": "nan"}, {"$float": "-inf"}, 1.0]
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.95, "0.95"),
        (0.123456, "0.1235"),
        (1234.5678, "1235"),
        (1234567.0, "1234567"),
        (1.5e20, "1.5e+20"),
        (0.00001234, "1.234e-05"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (7, "7"),
        (True, "true"),
        (None, "-"),
        ([1, 0.5], "1, 0.5"),
        ({"a": {"b": 1}}, "{a: {b: 1}}"),
    ],
)
def test_values_are_shown(value: object, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [
        (0, "0 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (3_599, "59 min ago"),
        (3_600, "1 h ago"),
        (86_400, "1 d ago"),
        (30 * 86_400, "2026-12-16"),
        (-5, "2027-01-15"),
    ],
)
def test_moments_are_told_by_their_age(age_s: float, shown: str) -> None:
    assert ago(NOW - age_s, NOW) == shown


def test_sizes_durations_and_counts() -> None:
    assert [size(n) for n in (0, 1_023, 1_024, 5 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "5 MiB",
        "3 TiB",
    ]
    assert [duration(s) for s in (None, 1.25, 61, 3_700)] == ["-", "1.2 s", "1 min 01 s", "1 h 01 min"]
    assert [count_of(n, "file") for n in (0, 1, 2_000)] == ["0 files", "1 file", "2,000 files"]


def test_a_dotted_name_finds_the_literal_key_first() -> None:
    assert nested({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert nested({"a": {"b": {"c": 3}}}, "a.b.c") == 3
    assert nested({"a": 1}, "a.b") is None


@given(st.text())
def test_visible_text_is_printable_and_printable_text_is_kept(text: str) -> None:
    assert visible(text).isprintable()
    if text.isprintable():
        assert visible(text) == text
