"""Globs over metric names, and the mapping from claimed names to measured ones.

One job: `{"final_*": "val_*"}` and nothing else; it knows no values. Only `*` is special, since metric
names may hold `?`, `[` and `/`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Mapping, Sequence

from weighbridge.errors import InvalidInput

MAX_PATTERNS = 1_000
"""Most globs in one mapping; exact names are not counted."""

MAX_STARS = 4
"""Most `*` in one glob: it bounds how long a match can take."""


class NameGlob:
    """One glob of names. Only `*` is special: any run of characters, none included."""

    def __init__(self, pattern: str, target: str | None = None) -> None:
        if "**" in pattern:
            raise InvalidInput(
                f"{pattern!r} has two `*` side by side, so what each stands for is open.",
                hint="Write a single `*`.",
            )
        if pattern.count("*") > MAX_STARS:
            raise InvalidInput(
                f"{pattern[:80]!r} has {pattern.count('*')} `*`; at most {MAX_STARS} are taken.",
                hint="Use fewer.",
            )
        self.pattern = pattern
        self.target = target
        self.specificity = (len(pattern) - pattern.count("*"), -pattern.count("*"))
        self._pieces = pattern.split("*")
        self._target_pieces = target.split("*") if target is not None else []
        escaped = [re.escape(piece) for piece in self._pieces]
        self._lazy = re.compile("(.*?)".join(escaped), re.DOTALL)
        self._greedy = re.compile("(.*)".join(escaped), re.DOTALL)

    def matches(self, name: str) -> bool:
        """Whether the whole name fits."""
        return self._parts(name) is not None

    def map(self, name: str, measured: Container[str]) -> str | None:
        """The measured name for a claimed one, None if it does not fit; InvalidInput if two remain."""
        parts = self._parts(name)
        if parts is None or self.target is None:
            return None
        mapped = _fill(self._target_pieces, parts)
        if len(parts) < 2:
            return mapped
        other = self._greedy.fullmatch(name)
        assert other is not None  # what fits lazily fits greedily
        second = _fill(self._target_pieces, other.groups())
        if second == mapped or (mapped in measured and second not in measured):
            return mapped
        if second in measured and mapped not in measured:
            return second
        raise InvalidInput(
            f"names: {self.pattern!r} fits {name!r} in two ways, as {mapped!r} and as {second!r}.",
            hint=f"Map {name!r} by its exact name as well.",
        )

    def _parts(self, name: str) -> tuple[str, ...] | None:
        """What each `*` stands for, the first ones taking the least; None where the name does not fit."""
        if len(self._pieces) == 2:  # by far the most usual, and 10,000 metrics must take no time
            head, tail = self._pieces
            end = len(name) - len(tail)
            if end < len(head) or not name.startswith(head) or not name.endswith(tail):
                return None
            return (name[len(head) : end],)
        match = self._lazy.fullmatch(name)
        return match.groups() if match else None


def _fill(pieces: Sequence[str], parts: tuple[str, ...]) -> str:
    if len(parts) == 1:
        return f"{pieces[0]}{parts[0]}{pieces[1]}"
    filled = [pieces[0]]
    for part, piece in zip(parts, pieces[1:], strict=True):
        filled += [part, piece]
    return "".join(filled)


class NameMapping:
    """From claimed to measured names. Exact names win over globs, the more specific glob over another."""

    def __init__(self, names: Mapping[str, str]) -> None:
        if not isinstance(names, Mapping):
            raise InvalidInput(
                f"names takes a dict, got {type(names).__name__}.", hint='Write {"final_*": "val_*"}.'
            )
        self._exact = {pattern: target for pattern, target in names.items() if "*" not in pattern}
        for pattern, target in names.items():
            if pattern.count("*") != target.count("*"):
                raise InvalidInput(
                    f"names: {pattern!r} has {pattern.count('*')} `*`, {target!r} {target.count('*')}.",
                    hint="Both sides need the same number, for each `*` stands for the same text on both.",
                )
        self._globs = [NameGlob(pattern, target) for pattern, target in names.items() if "*" in pattern]
        self._used: set[str] = set()
        refuse_too_many(len(self._globs), "names")

    def find(self, name: str, measured: Container[str]) -> str | None:
        """The measured name for a claimed one, None if nothing maps it; InvalidInput if two fit equally."""
        if name in self._exact:
            self._used.add(name)
            return self._exact[name]
        matches = [(glob, mapped) for glob in self._globs if (mapped := glob.map(name, measured)) is not None]
        if not matches:
            return None
        if len(matches) == 1:
            self._used.add(matches[0][0].pattern)
            return matches[0][1]
        best = max(glob.specificity for glob, _ in matches)
        winners = [(glob, mapped) for glob, mapped in matches if glob.specificity == best]
        if len({mapped for _, mapped in winners}) > 1:
            listed = " and ".join(f"{glob.pattern!r} (to {mapped!r})" for glob, mapped in winners[:2])
            raise InvalidInput(
                f"names: {listed} fit {name!r} equally well.",
                hint=f"Map {name!r} by its exact name, or make one pattern longer.",
            )
        self._used.update(glob.pattern for glob, _ in matches)  # a glob that a better one hides is not unused
        return winners[0][1]

    def refuse_unused(self, claimed: Sequence[str]) -> None:
        """Raise InvalidInput for a name or glob that `find` met no claimed name for, naming the nearest."""
        hidden = self._exact.keys() & set(claimed)
        for pattern in [*self._exact, *(glob.pattern for glob in self._globs)]:
            if pattern in self._used or any(NameGlob(pattern).matches(name) for name in hidden):
                continue
            raise InvalidInput(
                f"names: {pattern!r} matches none of the {len(claimed)} values the producer recorded.",
                hint=_nearest(pattern, claimed),
            )


def refuse_too_many(count: int, argument: str) -> None:
    """Raise InvalidInput past MAX_PATTERNS globs."""
    if count > MAX_PATTERNS:
        raise InvalidInput(
            f"{argument} holds {count} globs; at most {MAX_PATTERNS} are taken.",
            hint="Use exact names, of which there may be any number, or fewer and wider globs.",
        )


def _nearest(pattern: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(pattern.replace("*", ""), names[:10_000], n=3, cutoff=0.4)
    listed = ", ".join(repr(name) for name in near or sorted(names)[:5])
    return f"Recorded are, among others: {listed}." if listed else "The producer recorded no values at all."
