"""Filters of runs as people type them in a terminal, read into the Mongo-like language of `filters`.

    job_type = "evaluation" and summary.val_miou > 0.4
    not (state in (failed, crashed) or tags contains "broken") and config.optimizer ~ "^adam"

One job: text -> the mapping that `filters.parse_filter` takes. It asks no store, and which fields and
operators there are is decided there, comparison by comparison, so that a caret can point at the bad one.
"""

from __future__ import annotations

import enum
import json
import re
from typing import Final, NamedTuple, NoReturn

from weighbridge.domain.filters import DEPTH_MAX, LIST_MAX, parse_filter
from weighbridge.errors import InvalidFilter

TEXT_MAX: Final = 16_384
"""Most characters of a filter."""

_SHOWN: Final = 60
"""Characters shown on each side of the place an error points at."""

Scalar = str | float | int | bool | None
Tree = dict[str, object]


class _Kind(enum.Enum):
    WORD = enum.auto()
    TEXT = enum.auto()
    SYMBOL = enum.auto()
    END = enum.auto()


class _Token(NamedTuple):
    kind: _Kind
    text: str
    at: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind is _Kind.WORD and self.text.lower() in words

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind is _Kind.SYMBOL and self.text in symbols

    def __str__(self) -> str:
        return "the end" if self.kind is _Kind.END else repr(self.text)


_COMPARISONS: Final = {
    "=": "$eq",
    "==": "$eq",
    "!=": "$ne",
    "<": "$lt",
    "<=": "$lte",
    ">": "$gt",
    ">=": "$gte",
    "~": "$regex",
    "!~": "$regex",
}
RESERVED: Final = frozenset({"and", "or", "not", "in", "contains", "exists"})
"""Words that mean something bare; in quotes they are text."""

_CONSTANTS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None}
_SPACE: Final = re.compile(r"\s+")
_SYMBOL: Final = re.compile(r"==|!=|<=|>=|!~|[=<>~(),\[\]]")
_BARE: Final = re.compile(r"[^\s=<>~!(),\[\]\"']+")
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'', re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DIGITS_MAX: Final = 300  # int() refuses very long numbers; a float of so many digits is the same to a filter
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_OPERATORS_HINT: Final = "Operators: = != < <= > >= ~ !~ in, not in, contains, not contains, exists."


def read_filter(text: str) -> Tree:
    """The filter a person typed, as JSON (`{...}`) or as text; empty text is `{}`, which matches all.

    Raises InvalidFilter, whose message shows the place with a caret.
    """
    if len(text) > TEXT_MAX:
        raise InvalidFilter(
            f"The filter has {len(text):,} characters; at most {TEXT_MAX:,} are read.",
            hint="Use `in (...)` for many values.",
        )
    if text.lstrip().startswith("{"):
        return _read_json(text)
    if not text.strip():
        return {}
    return _Reader(text).whole()


def _read_json(text: str) -> Tree:
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(
            text, error.pos, f"the JSON is broken: {error.msg}", hint="Check quotes, commas and brackets."
        )
    except RecursionError as error:
        raise InvalidFilter("The filter is nested too deeply.", hint="Flatten it.") from error
    parse_filter(tree)
    return dict(tree)


def _refuse(text: str, at: int, problem: str, *, hint: str) -> NoReturn:
    """Raise InvalidFilter with the text around `at` and a caret under that character."""
    raise InvalidFilter(
        f"The filter cannot be read at character {at + 1}: {problem}.\n{_pointed_at(text, at)}",
        hint=hint,
        details={"position": at},
    )


def _pointed_at(text: str, at: int) -> str:
    start, end = max(0, at - _SHOWN), min(len(text), at + _SHOWN)
    line = "".join(char if char.isprintable() else " " for char in text[start:end])
    head, tail = "..." if start else "", "..." if end < len(text) else ""
    return f"  {head}{line}{tail}\n  {' ' * (len(head) + at - start)}^"


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(text):
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        if text[at] in "\"'":
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                _refuse(text, at, "the quote is never closed", hint=f"End the text with {text[at]}.")
            found.append(_Token(_Kind.TEXT, _unquoted(quoted.group()), at, quoted.end()))
            at = quoted.end()
            continue
        match = _SYMBOL.match(text, at)
        kind = _Kind.SYMBOL
        if match is None:
            match, kind = _BARE.match(text, at), _Kind.WORD
        if match is None:
            _refuse(text, at, f"{text[at]!r} means nothing here", hint="Put text into quotes.")
        found.append(_Token(kind, match.group(), at, match.end()))
        at = match.end()
    found.append(_Token(_Kind.END, "", len(text), len(text)))
    return found


def _unquoted(quoted: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), quoted[1:-1], flags=re.DOTALL)


class _Reader:
    """Recursive descent: `or` binds weakest, then `and`, then `not`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> Tree:
        tree = self._either(1)
        token = self._peek()
        if token.kind is not _Kind.END:
            self._fail(token, f"expected 'and', 'or' or the end, not {token}", hint=_OPERATORS_HINT)
        parse_filter(tree)  # what only the whole can break: how many parts it has
        return tree

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        if token.kind is not _Kind.END:
            self._next += 1
        return token

    def _fail(self, token: _Token, problem: str, *, hint: str) -> NoReturn:
        _refuse(self._text, token.at, problem, hint=hint)

    def _either(self, depth: int) -> Tree:
        parts = [self._both(depth)]
        while self._peek().is_word("or"):
            self._take()
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else {"$or": parts}

    def _both(self, depth: int) -> Tree:
        parts = [self._part(depth)]
        while self._peek().is_word("and"):
            self._take()
            parts.append(self._part(depth))
        return parts[0] if len(parts) == 1 else {"$and": parts}

    def _part(self, depth: int) -> Tree:
        token = self._peek()
        if depth >= DEPTH_MAX - 1:
            self._fail(token, f"it is nested deeper than {DEPTH_MAX - 2}", hint="Flatten it.")
        if token.is_word("not"):
            self._take()
            return {"$not": self._part(depth + 1)}
        if token.is_symbol("("):
            self._take()
            tree = self._either(depth + 1)
            closing = self._take()
            if not closing.is_symbol(")"):
                self._fail(closing, f"expected ')', not {closing}", hint="Close the parenthesis.")
            return tree
        return self._comparison()

    def _comparison(self) -> Tree:
        field = self._take()
        is_name = field.kind is _Kind.TEXT or (
            field.kind is _Kind.WORD and field.text.lower() not in RESERVED
        )
        if not is_name or field.text.startswith("$"):
            self._fail(
                field,
                f"expected a field, not {field}",
                hint="Fields: state, job_type, tags, created_at, ..., config.<key>, summary.<key>.",
            )
        operator = self._take()
        condition = self._condition(operator)
        tree: Tree = {field.text: condition}
        try:
            parse_filter(tree)
        except InvalidFilter as error:
            at = field.at if error.details.get("path") == field.text else operator.at
            raise InvalidFilter(
                f"{error.message}\n{_pointed_at(self._text, at)}",
                hint=error.hint,
                details={**error.details, "position": at},
            ) from error
        return tree

    def _condition(self, operator: _Token) -> Tree:
        is_negated = operator.is_word("not")
        if is_negated:
            operator = self._take()
        if operator.is_word("in"):
            return {"$nin" if is_negated else "$in": self._list()}
        if operator.is_word("contains"):
            contains: Tree = {"$contains": self._value()}
            return {"$not": contains} if is_negated else contains
        if operator.is_word("exists") and not is_negated:
            return {"$exists": True}
        if operator.kind is _Kind.SYMBOL and operator.text in _COMPARISONS and not is_negated:
            condition: Tree = {_COMPARISONS[operator.text]: self._value()}
            return {"$not": condition} if operator.text == "!~" else condition
        wanted = "'in' or 'contains' after 'not'" if is_negated else "an operator"
        self._fail(operator, f"expected {wanted}, not {operator}", hint=_OPERATORS_HINT)

    def _list(self) -> list[Scalar]:
        opening = self._take()
        if not opening.is_symbol("(", "["):
            self._fail(opening, f"expected '(' after 'in', not {opening}", hint="Write in (1, 2, 3).")
        closing = ")" if opening.text == "(" else "]"
        values: list[Scalar] = []
        while True:
            if len(values) == LIST_MAX:
                self._fail(self._peek(), f"the list holds over {LIST_MAX:,} values", hint="Split it.")
            values.append(self._value())
            token = self._take()
            if token.is_symbol(closing):
                return values
            if not token.is_symbol(","):
                self._fail(token, f"expected ',' or {closing!r}, not {token}", hint="Write in (1, 2, 3).")

    def _value(self) -> Scalar:
        token = self._take()
        if token.kind is _Kind.TEXT:
            return token.text
        if token.kind is not _Kind.WORD or token.text.lower() in RESERVED:
            self._fail(token, f"expected a value, not {token}", hint="Put text into quotes.")
        if token.text.lower() in _CONSTANTS:
            return _CONSTANTS[token.text.lower()]
        if not _NUMBER.fullmatch(token.text):
            return token.text
        is_whole = token.text.lstrip("+-").isdecimal() and len(token.text) <= _DIGITS_MAX
        return int(token.text) if is_whole else float(token.text)
