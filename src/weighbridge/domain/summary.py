"""How rows of history and values set by hand become a run's summary.

The same fold runs in the client (what `run.summary` shows) and in the service (what is stored), so the two
agree. Rules: a metric's summary is its last logged value, unless `define_metric(summary=...)` asks for min,
max, mean, best, last, first or none; then it is a dict of those. What is set by hand stands until the
metric is logged again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from weighbridge.domain.run import MetricDefinition

KINDS = frozenset({"min", "max", "mean", "best", "last", "first", "none", "copy"})


class ColumnFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a chunk knows of one metric without its values. Numeric facts leave NaN out, or are None."""

    last: Any
    count: int
    nan_count: int = 0
    first: Any = None
    min: float | int | None = None
    max: float | int | None = None
    sum: float | int | None = None


class Accumulator(msgspec.Struct, kw_only=True):
    """Running totals of one metric since its definition; NaN values are left out of min, max and mean."""

    first: Any = None
    last: Any = None
    min: float | int | None = None
    max: float | int | None = None
    sum: float = 0.0
    count: int = 0

    def add(self, facts: ColumnFacts) -> None:
        """Fold in the facts of a column."""
        if self.last is None:
            self.first = facts.first
        self.last = facts.last
        numbers = facts.count - facts.nan_count
        if facts.sum is not None and numbers > 0:
            self.sum += facts.sum
            self.count += numbers
        if facts.min is not None:
            self.min = facts.min if self.min is None else min(self.min, facts.min)
        if facts.max is not None:
            self.max = facts.max if self.max is None else max(self.max, facts.max)

    def value(self, kinds: tuple[str, ...], goal: str | None) -> dict[str, Any]:
        """The summary dict of the wanted kinds; kinds without a number yet are left out."""
        found: dict[str, Any] = {
            "min": self.min,
            "max": self.max,
            "mean": self.sum / self.count if self.count else None,
            "best": self.max if goal == "maximize" else self.min,
            "last": self.last,
            "first": self.first,
        }
        return {kind: found[kind] for kind in kinds if found.get(kind) is not None}


def facts_of(value: Any) -> ColumnFacts:
    """The facts of a single value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ColumnFacts(last=value, first=value, count=1)
    if isinstance(value, float) and math.isnan(value):
        return ColumnFacts(last=value, first=value, count=1, nan_count=1)
    return ColumnFacts(last=value, first=value, count=1, min=value, max=value, sum=value)


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Dotted names and leaves of nested dicts; a dict with `_type` (media) and an empty dict are leaves."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and "_type" not in value:
            yield from flatten(value, f"{name}.")
        else:
            yield name, value


class SummaryFold:
    """A run's summary under way: the values, the definitions, the totals that min/max/mean/best need."""

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        definitions: Iterable[MetricDefinition] = (),
        totals: Mapping[str, Accumulator] | None = None,
    ) -> None:
        self.values: dict[str, Any] = values if values is not None else {}
        self.totals: dict[str, Accumulator] = dict(totals or {})
        self.definitions: dict[str, MetricDefinition] = {d.name: d for d in definitions}
        self._resolved: dict[str, MetricDefinition | None] = {}

    @property
    def is_plain(self) -> bool:
        """Whether every metric's summary is its last value, so that a dict update is the whole fold."""
        return not any(definition.summary for definition in self.definitions.values())

    def define(self, metric: MetricDefinition) -> None:
        """Add or replace a definition; it counts from the next row on."""
        self.definitions[metric.name] = metric
        self._resolved.clear()

    def definition(self, name: str) -> MetricDefinition | None:
        """The definition that holds for a metric: its own, else the longest matching glob."""
        if name not in self._resolved:
            own = self.definitions.get(name)
            if own is None:
                globs = (d for d in self.definitions.values() if d.is_glob and name.startswith(d.name[:-1]))
                own = max(globs, key=lambda d: len(d.name), default=None)
            self._resolved[name] = own
        return self._resolved[name]

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Fold in one row of history (nested dicts are flattened to dotted names)."""
        for name, value in flatten(row):
            self.add(name, facts_of(value))

    def add(self, name: str, facts: ColumnFacts) -> None:
        """Fold in the facts of one metric."""
        definition = self.definition(name)
        kinds = definition.summary if definition is not None else ()
        if not kinds:
            self.values[name] = facts.last
            return
        if "none" in kinds:
            return
        total = self.totals.setdefault(name, Accumulator())
        total.add(facts)
        self.values[name] = total.value(kinds, definition.goal if definition else None)

    def set(self, values: Mapping[str, Any], removed: Iterable[str] = ()) -> None:
        """Set values by hand, and remove keys."""
        for name in removed:
            self.values.pop(name, None)
        self.values.update(values)
