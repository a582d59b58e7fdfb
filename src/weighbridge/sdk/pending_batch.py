"""The items of a batch under way: rows gathered into chunks, summary changes folded. It sends nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from weighbridge.domain.chunk import encode_chunk
from weighbridge.errors import InvalidInput, LimitExceeded, WeighbridgeError
from weighbridge.wire.runs import HistoryItem, Item, SummaryItem


class PendingBatch:
    """Takes rows and items in order, and gives the fewest items that say the same.

    A summary value set by hand and then logged again in the same batch is dropped, since the later row
    overrides it; so a script that sets the summary at every step still makes one chunk a batch.
    """

    def __init__(self, refused: Callable[[str, WeighbridgeError], None]) -> None:
        self._refused = refused
        self.items: list[Item] = []
        self._rows: list[tuple[int, float, dict[str, Any]]] = []
        self._set: dict[str, Any] = {}
        self._removed: set[str] = set()

    def add_row(self, row: tuple[int, float, dict[str, Any]]) -> None:
        self._rows.append(row)
        if self._set or self._removed:
            for name in row[2].keys() & (self._set.keys() | self._removed):
                self._set.pop(name, None)
                self._removed.discard(name)

    def add_item(self, item: Item) -> None:
        if isinstance(item, SummaryItem):
            for name in item.removed:
                self._set.pop(name, None)
                self._removed.add(name)
            self._set.update(item.values)
            self._removed -= item.values.keys()
            return
        self._flush()
        self.items.append(item)

    def _flush(self) -> None:
        if self._rows:
            self.items.extend(map(HistoryItem, self._chunks(self._rows)))
            self._rows = []
        if self._set or self._removed:
            self.items.append(SummaryItem(self._set, tuple(sorted(self._removed))))
            self._set, self._removed = {}, set()

    def _chunks(self, rows: list[tuple[int, float, dict[str, Any]]]) -> Iterator[bytes]:
        """The rows as one chunk; or in halves, where they are too many columns or one of them is refused."""
        try:
            yield encode_chunk(rows)
        except (InvalidInput, LimitExceeded) as error:
            half = len(rows) // 2
            if half == 0:
                self._refused(f"the row of step {rows[0][0]}", error)
                return
            yield from self._chunks(rows[:half])
            yield from self._chunks(rows[half:])

    def take(self) -> list[Item]:
        self._flush()
        taken, self.items = self.items, []
        return taken
