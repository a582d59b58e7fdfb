"""Filters as typed: what is refused and where the caret points, then what they mean."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.filters import DEPTH_MAX, LIST_MAX, parse_filter
from weighbridge.domain.text_filter import TEXT_MAX, read_filter
from weighbridge.errors import InvalidFilter


def pointed_at(text: str) -> str:
    """What stands in the shown line from the caret on."""
    with pytest.raises(InvalidFilter) as caught:
        read_filter(text)
    line, caret = caught.value.message.splitlines()[-2:]
    assert caret.strip() == "^"
    return line[caret.index("^") :]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("state = = 3", "= 3"),
        ("summary.x > ", ""),
        ("a b", "b"),
        ("not", ""),
        ("and state = x", "and state = x"),
        ("(state = x", ""),
        ("state = x)", ")"),
        ("state in x", "x"),
        ("state in (a b)", "b)"),
        ("state in ()", ")"),
        ("state not = x", "= x"),
        ("state = 'open", "'open"),
        ("state ! x", "! x"),
        ("state contains or", "or"),
        ("state = x state = y", "state = y"),
        ('{"state": }', "}"),
        ("jobtyp = x", "jobtyp = x"),
        ("state = x and jobtyp = x", "jobtyp = x"),
        ("state > 4", "> 4"),
        ('state ~ "("', '~ "("'),
        ('row_count = "many"', '= "many"'),
        ("$where = 1", "$where = 1"),
    ],
)
def test_the_caret_points_at_what_is_wrong(text: str, rest: str) -> None:
    assert pointed_at(text) == rest


def test_a_nearer_name_is_suggested() -> None:
    with pytest.raises(InvalidFilter, match="job_type"):
        read_filter("job_tipe = train")


def test_a_long_filter_is_shown_around_the_caret_only() -> None:
    text = " and ".join(["state = finished"] * 20) + " and = 3 and " + " and ".join(["state = x"] * 20)
    with pytest.raises(InvalidFilter) as caught:
        read_filter(text)
    line, caret = caught.value.message.splitlines()[-2:]
    assert len(line) < 140
    assert line[caret.index("^")] == "="


def test_control_characters_never_reach_the_terminal() -> None:
    with pytest.raises(InvalidFilter) as caught:
        read_filter("state = x \x1b[31m = 2\n")
    assert "\x1b" not in caught.value.message


def test_bounds_are_refused_just_past_them() -> None:
    fits = "state = " + "x" * (TEXT_MAX - 8)
    read_filter(fits)
    with pytest.raises(InvalidFilter, match="characters"):
        read_filter(fits + "x")
    many = ", ".join(["1"] * LIST_MAX)
    read_filter(f"config.lr in ({many})")
    with pytest.raises(InvalidFilter, match="list holds"):
        read_filter(f"config.lr in ({many}, 1)")
    depth = DEPTH_MAX - 3
    read_filter("(" * depth + "state = x" + ")" * depth)
    with pytest.raises(InvalidFilter, match="nested"):
        read_filter("(" * (depth + 1) + "state = x" + ")" * (depth + 1))
    with pytest.raises(InvalidFilter):
        read_filter("not " * 5_000 + "state = x")
    with pytest.raises(InvalidFilter, match="nested"):
        read_filter('{"$not":' * 1_500)


def test_more_parts_than_a_filter_may_have_are_refused() -> None:
    with pytest.raises(InvalidFilter):
        read_filter(" and ".join(["state = x"] * 300))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", {}),
        ("  ", {}),
        ("state = finished", {"state": {"$eq": "finished"}}),
        ("row_count == 4", {"row_count": {"$eq": 4}}),
        ("config.lr != 1e-3", {"config.lr": {"$ne": 0.001}}),
        ("config.on = TRUE", {"config.on": {"$eq": True}}),
        ("config.on = null", {"config.on": {"$eq": None}}),
        ("config.on = 'null'", {"config.on": {"$eq": "null"}}),
        ("created_at >= 2026-05-03T10:00", {"created_at": {"$gte": "2026-05-03T10:00"}}),
        ("state not in (a, 'b c')", {"state": {"$nin": ["a", "b c"]}}),
        ("state in [a]", {"state": {"$in": ["a"]}}),
        ("tags contains x", {"tags": {"$contains": "x"}}),
        ("tags not contains x", {"tags": {"$not": {"$contains": "x"}}}),
        ("name !~ '^a'", {"name": {"$not": {"$regex": "^a"}}}),
        ("summary.iou exists", {"summary.iou": {"$exists": True}}),
        ('"summary.val acc" < .5', {"summary.val acc": {"$lt": 0.5}}),
        (r'notes = "say \"hi\"\n"', {"notes": {"$eq": 'say "hi"\n'}}),
        (
            "state=a or state=b and not state=c",
            {
                "$or": [
                    {"state": {"$eq": "a"}},
                    {"$and": [{"state": {"$eq": "b"}}, {"$not": {"state": {"$eq": "c"}}}]},
                ]
            },
        ),
        (
            "(state=a OR state=b) AND state=c",
            {"$and": [{"$or": [{"state": {"$eq": "a"}}, {"state": {"$eq": "b"}}]}, {"state": {"$eq": "c"}}]},
        ),
        ('{"state": "finished"}', {"state": "finished"}),
    ],
)
def test_a_filter_means(text: str, tree: dict[str, object]) -> None:
    assert read_filter(text) == tree


Written = tuple[str, dict[str, object]]

VALUES: st.SearchStrategy[str | int | float] = st.one_of(
    st.text(max_size=20), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)
)
FIELDS = st.sampled_from(["config.lr", "summary.val/iou", "config.a b", 'config.say "x"'])
OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


@st.composite
def comparisons(draw: st.DrawFn) -> Written:
    field, sign, value = draw(FIELDS), draw(st.sampled_from(sorted(OPERATORS))), draw(VALUES)
    quoted = json.dumps(field, ensure_ascii=False)
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        written = f"'{escaped}'"
    else:
        written = repr(value)
    return f"{quoted}{sign}{written}", {field: {OPERATORS[sign]: value}}


def joined(parts: list[Written], word: str) -> Written:
    return f" {word} ".join(f"({text})" for text, _ in parts), {f"${word}": [tree for _, tree in parts]}


def combined(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        several.map(lambda parts: joined(parts, "and")),
        several.map(lambda parts: joined(parts, "or")),
        inner.map(lambda part: (f"NOT ({part[0]})", {"$not": part[1]})),
    )


@given(st.recursive(comparisons(), combined, max_leaves=6))
def test_every_tree_that_is_written_is_read_back(written: Written) -> None:
    text, tree = written
    assert read_filter(text) == tree


@given(st.text(alphabet="state=<>!~()[]'\", \\andorit.config1-\n\x00", max_size=60))
def test_any_text_is_read_or_refused_with_a_caret(text: str) -> None:
    try:
        tree = read_filter(text)
    except InvalidFilter as error:
        assert "^" in error.message or text.lstrip().startswith("{")
        assert error.hint
    else:
        parse_filter(tree)
