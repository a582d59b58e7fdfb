"""Applies the items of one batch to one run, inside the caller's transaction. It checks no offset.

What is read once is kept, and written once at the end, however many items the batch has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from weighbridge.domain.chunk import Chunk, ColumnInfo
from weighbridge.domain.names import (
    DISPLAY_NAME_MAX,
    NAME_MAX,
    NOTES_MAX,
    TAGS_MAX,
    check_metric_name,
    check_run_tag,
)
from weighbridge.domain.run import RunState
from weighbridge.domain.summary import ColumnFacts, SummaryFold, facts_of, flatten
from weighbridge.errors import InvalidInput, LimitExceeded
from weighbridge.services.ports.history import HistoryStore, NewChunk, StoredKey
from weighbridge.services.ports.runs import RunChanges, RunDocuments, RunStore, StoredRun, ValueChanges
from weighbridge.services.ports.transaction import Transaction
from weighbridge.wire.runs import (
    AttributesItem,
    ConfigItem,
    DefineItem,
    FinishItem,
    HistoryItem,
    Item,
    SummaryItem,
)

KEYS_MAX: Final = 100_000
"""Most top-level keys of a summary or a config."""


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags without repetition; InvalidName, LimitExceeded."""
    distinct = tuple(dict.fromkeys(check_run_tag(tag) for tag in tags))
    if len(distinct) > TAGS_MAX:
        raise LimitExceeded(
            f"A run has {len(distinct)} tags; at most {TAGS_MAX} are allowed.", hint="Use config values."
        )
    return distinct


def check_label(kind: str, text: str | None) -> str | None:
    """A label if it may stand; InvalidInput when too long or holding NUL."""
    limit = {"notes": NOTES_MAX, "display name": DISPLAY_NAME_MAX}.get(kind, NAME_MAX)
    if text is not None and (len(text) > limit or "\x00" in text):
        raise InvalidInput(
            f"The {kind} {text[:40]!r} has {len(text):,} characters, or holds NUL.",
            hint=f"Use at most {limit:,} characters without NUL.",
            details={"kind": kind, "length": len(text), "limit": limit},
        )
    return text


class BatchApplier:
    """One batch on its way into one run: `apply` the items in order, then `save` once."""

    def __init__(self, tx: Transaction, run: StoredRun, *, runs: RunStore, history: HistoryStore) -> None:
        self._tx = tx
        self._run = run
        self._runs = runs
        self._history = history
        self._documents: RunDocuments | None = None
        self._fold: SummaryFold | None = None
        self._touched: set[str] = set()
        self._leaves_before: dict[str, dict[str, Any]] = {"c": {}, "s": {}}
        self._seen: dict[str, set[str]] = {"c": set(), "s": set()}
        self._keys: dict[str, StoredKey] = {}
        self._labels: dict[str, Any] = {}
        self._row_count = run.record.row_count
        self._last_step = run.record.last_step
        self.finish: FinishItem | None = None

    @property
    def documents(self) -> RunDocuments:
        """The run's documents, read when first needed."""
        if self._documents is None:
            self._documents = self._runs.documents(self._tx, self._run.run_pk)
        return self._documents

    @property
    def fold(self) -> SummaryFold:
        """The summary under way."""
        if self._fold is None:
            documents = self.documents
            self._fold = SummaryFold(documents.summary, documents.metrics, documents.totals)
        return self._fold

    def apply(self, item: Item) -> None:
        """Apply one item."""
        if isinstance(item, HistoryItem):
            self._add_chunk(item.chunk)
        elif isinstance(item, ConfigItem):
            self.set_config(item.values)
        elif isinstance(item, SummaryItem):
            self.set_summary(item.values, item.removed)
        elif isinstance(item, DefineItem):
            check_metric_name(item.metric.name)
            self.fold.define(item.metric)
            self._touched.add("metrics")
        elif isinstance(item, AttributesItem):
            self._set_attributes(item)
        else:
            self.finish = item

    def set_config(self, values: dict[str, Any]) -> None:
        """Set top-level config keys."""
        config = self.documents.config
        self._remember("c", config, values)
        config.update(values)
        self._bound("config", len(config))
        self._touched.add("config")

    def set_summary(self, values: dict[str, Any], removed: Iterable[str]) -> None:
        """Set and remove summary keys by hand."""
        removed = tuple(removed)
        self._remember("s", self.fold.values, (*values, *removed))
        self.fold.set(values, removed)
        self._bound("summary", len(self.fold.values))
        self._touched.add("summary")

    def set_environment(self, values: dict[str, Any]) -> None:
        """Set top-level keys of the environment."""
        self.documents.environment.update(values)
        self._touched.add("environment")

    def save(self, *, at: float, is_alive: bool = True) -> None:
        """Write what changed; `is_alive`: the change is a sign of life of the run's own process."""
        changes = dict(self._labels)
        if is_alive:
            changes["heartbeat_at"] = at
        if self.finish is not None:
            changes.update(
                state=self.finish.state, exit_code=self.finish.exit_code, finished_at=self.finish.at
            )
        if self._keys:
            self._history.add_keys(self._tx, self._run.run_pk, tuple(self._keys.values()))
            changes.update(row_count=self._row_count, last_step=self._last_step)
        self._save_documents()
        self._runs.update(self._tx, self._run.run_pk, RunChanges(updated_at=at, **changes))

    # ------------------------------------------------------------------------------------------- history

    def _add_chunk(self, data: bytes) -> None:
        chunk = Chunk(data)
        new = NewChunk(row_count=chunk.row_count, step_min=chunk.step_min, step_max=chunk.step_max, data=data)
        self._history.add_chunk(self._tx, self._run.run_pk, new)
        self._row_count += new.row_count
        self._last_step = new.step_max if self._last_step is None else max(self._last_step, new.step_max)
        names = chunk.names
        fold = self.fold
        self._remember("s", fold.values, names)
        for name in names:
            info = chunk.column_info(name)
            self._count(info, _last_step(chunk, info))
            self._fold_column(chunk, info, fold)
        self._bound("summary", len(fold.values))
        self._touched.update(("summary",) if fold.is_plain else ("summary", "totals"))

    def _count(self, info: ColumnInfo, last_of_chunk: int) -> None:
        known = self._keys.get(info.name)
        count, kind, last_step = info.count, str(info.kind), last_of_chunk
        if known is not None:
            count += known.count
            kind = widened(known.kind, kind)
            last_step = max(known.last_step, last_step)
        self._keys[info.name] = StoredKey(name=info.name, kind=kind, count=count, last_step=last_step)

    def _fold_column(self, chunk: Chunk, info: ColumnInfo, fold: SummaryFold) -> None:
        """As if values were folded one by one, but from the chunk's directory where that tells enough."""
        definition = fold.definition(info.name)
        kinds = definition.summary if definition is not None else ()
        if info.kind == "j" and kinds and "none" not in kinds:
            for value in chunk.read(info.name).values:
                fold.add(info.name, facts_of(value))
            return
        last: object = info.last
        first: object = None
        if info.kind in ("s", "j") or (kinds and info.name not in fold.totals):
            values = chunk.read(info.name).values
            first, last = values[0], values[-1]
        has_numbers = info.kind in ("f", "i")
        fold.add(
            info.name,
            ColumnFacts(
                last=last,
                first=first,
                count=info.count,
                nan_count=info.nan_count,
                min=info.min if has_numbers else None,
                max=info.max if has_numbers else None,
                sum=info.sum if has_numbers else None,
            ),
        )

    # ------------------------------------------------------------------------------------------- labels

    def _set_attributes(self, item: AttributesItem) -> None:
        self.set_labels(
            display_name=item.display_name, job_type=item.job_type, group=item.group, notes=item.notes
        )
        if item.tags is not None:
            self._runs.set_tags(self._tx, self._run.run_pk, check_tags(item.tags))
        if item.environment is not None:
            self.set_environment(item.environment)

    def set_labels(
        self, *, display_name: str | None, job_type: str | None, group: str | None, notes: str | None
    ) -> None:
        """Set the labels that are given; an empty display name leaves as is."""
        given = {
            "display_name": check_label("display name", display_name) or None,
            "job_type": check_label("job type", job_type),
            "group": check_label("group", group),
            "notes": check_label("notes", notes),
        }
        self._labels.update({name: text for name, text in given.items() if text is not None})

    def set_state(self, state: RunState) -> None:
        """Open the run again: no end, no exit code."""
        self._labels.update(state=state, finished_at=None, exit_code=None)

    # ------------------------------------------------------------------------------------------ documents

    def _bound(self, kind: str, count: int) -> None:
        if count > KEYS_MAX:
            raise LimitExceeded(
                f"The {kind} of run {self._run.record.path!r} would have {count:,} keys; "
                f"at most {KEYS_MAX:,} are allowed.",
                hint="Log fewer different names, or log a table as an artifact.",
                details={"run": self._run.record.path, "kind": kind, "count": count, "limit": KEYS_MAX},
            )

    def _remember(self, scope: str, values: dict[str, Any], keys: Iterable[str]) -> None:
        """Keep the leaves that stood under keys before their first change, to index only what differs."""
        fresh = [key for key in keys if key not in self._seen[scope]]
        self._seen[scope].update(fresh)
        self._leaves_before[scope].update(flatten({key: values[key] for key in fresh if key in values}))

    def _index(self, scope: str, values: dict[str, Any]) -> None:
        if not self._seen[scope]:
            return
        before = self._leaves_before[scope]
        after = dict(flatten({key: values[key] for key in self._seen[scope] if key in values}))
        changed = {
            key: value
            for key, value in after.items()
            if key not in before or type(before[key]) is not type(value) or before[key] != value
        }
        gone = frozenset(before.keys() - after.keys())
        if changed or gone:
            self._runs.index_values(
                self._tx,
                self._run.run_pk,
                self._run.project_pk,
                changes=ValueChanges(scope=scope, values=changed, removed=gone),
            )

    def _save_documents(self) -> None:
        if not self._touched:
            return
        documents = self.documents
        if self._fold is not None:
            documents.summary = self._fold.values
            documents.metrics = tuple(self._fold.definitions.values())
            documents.totals = self._fold.totals
        self._index("c", documents.config)
        self._index("s", documents.summary)
        self._runs.update_documents(self._tx, self._run.run_pk, documents, names=frozenset(self._touched))


def _last_step(chunk: Chunk, info: ColumnInfo) -> int:
    """The highest step at which a column has a value."""
    if info.index is None:
        return chunk.step_max
    index = chunk.read(info.name).index
    progression = chunk.step_progression()
    if index is None:
        return chunk.step_max
    if progression is not None:
        start, stride = progression
        return start + stride * (index[-1] if stride > 0 else index[0])
    steps = chunk.steps()
    return max(steps[row] for row in index)


def widened(known: str, new: str) -> str:
    """The kind that holds values of two kinds: i and f meet in f, all others in j."""
    if known == new:
        return known
    return "f" if {known, new} == {"i", "f"} else "j"
