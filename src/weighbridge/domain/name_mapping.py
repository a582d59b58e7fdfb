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
        pieces = [re.escape(piece) for piece in pattern.split("*")]
        self._lazy = re.compile("(.*?)".join(pieces), re.DOTALL)
        self._greedy = re.compile("(.*)".join(pieces), re.DOTALL) if pattern.count("*") > 1 else None

    def matches(self, name: str) -> bool:
        """Whether the whole name fits."""
        return self._lazy.fullmatch(name) is not None

    def map(self, name: str, measured: Container[str]) -> str | None:
        """The measured name for a claimed one, None if it does not fit; InvalidInput if two remain."""
        match = self._lazy.fullmatch(name)
        if match is None or self.target is None:
            return None
        mapped = _fill(self.target, match.groups())
        if self._greedy is None:
            return mapped
        other = self._greedy.fullmatch(name)
        assert other is not None
        second = _fill(self.target, other.groups())
        if second == mapped or (mapped in measured and second not in measured):
            return mapped
        if second in measured and mapped not in measured:
            return second
        raise InvalidInput(
            f"names: {self.pattern!r} fits {name!r} in two ways, as {mapped!r} and as {second!r}.",
            hint=f"Map {name!r} by its exact name as well.",
        )


def _fill(target: str, parts: tuple[str, ...]) -> str:
    pieces = target.split("*")
    filled = [pieces[0]]
    for part, piece in zip(parts, pieces[1:], strict=True):
        filled += [part, piece]
    return "".join(filled)


class NameMapping:
    """From claimed to measured names. Exact names win over globs, the more specific glob over another."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._exact = {pattern: target for pattern, target in names.items() if "*" not in pattern}
        for pattern, target in names.items():
            if pattern.count("*") != target.count("*"):
                raise InvalidInput(
                    f"names: {pattern!r} has {pattern.count('*')} `*`, {target!r} {target.count('*')}.",
                    hint="Both sides need the same number, for each `*` stands for the same text on both.",
                )
        self._globs = [NameGlob(pattern, target) for pattern, target in names.items() if "*" in pattern]
        refuse_too_many(len(self._globs), "names")

    def find(self, name: str, measured: Container[str]) -> str | None:
        """The measured name for a claimed one, None if nothing maps it; InvalidInput if two fit equally."""
        if name in self._exact:
            return self._exact[name]
        matches = [(glob, mapped) for glob in self._globs if (mapped := glob.map(name, measured)) is not None]
        if not matches:
            return None
        best = max(glob.specificity for glob, _ in matches)
        winners = [(glob, mapped) for glob, mapped in matches if glob.specificity == best]
        if len({mapped for _, mapped in winners}) > 1:
            listed = " and ".join(f"{glob.pattern!r} (to {mapped!r})" for glob, mapped in winners[:2])
            raise InvalidInput(
                f"names: {listed} fit {name!r} equally well.",
                hint=f"Map {name!r} by its exact name, or make one pattern longer.",
            )
        return winners[0][1]

    def refuse_unused(self, claimed: Sequence[str]) -> None:
        """Raise InvalidInput for a name or glob that fits none of the claimed names, naming the nearest."""
        recorded = set(claimed)
        unused = [name for name in self._exact if name not in recorded]
        unused += [glob.pattern for glob in self._globs if not any(map(glob.matches, claimed))]
        if unused:
            raise InvalidInput(
                f"names: {unused[0]!r} matches none of the {len(claimed)} values the producer recorded.",
                hint=_nearest(unused[0], claimed),
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
