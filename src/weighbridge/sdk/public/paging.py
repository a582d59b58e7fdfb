"""Lazy sequences over pages that follow a cursor. It must not know what it pages through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar, overload

from weighbridge.errors import InvalidInput

PER_PAGE_MAX: Final = 1_000

T_co = TypeVar("T_co", covariant=True)


class Page(NamedTuple, Generic[T_co]):
    """Items in order, and the cursor of the next page or None."""

    items: Sequence[T_co]
    next_cursor: str | None


Fetch = Callable[[str | None, int], Page[T_co]]
"""Called with the cursor (None at first) and the page size."""


class Paged(Sequence[T_co]):
    """A sequence that loads a page when it is first needed, and keeps what it has loaded.

    `len()` asks the store to count where it can, and loads everything where it can't. Negative indexes
    load everything.
    """

    def __init__(
        self, fetch: Fetch[T_co], *, per_page: int = 50, count: Callable[[], int] | None = None
    ) -> None:
        if not 1 <= per_page <= PER_PAGE_MAX:
            raise InvalidInput(
                f"per_page={per_page!r} is not between 1 and {PER_PAGE_MAX:,}.",
                hint="It only says how much is fetched at a time; iterate to get everything.",
            )
        self._fetch = fetch
        self._per_page = per_page
        self._count = count
        self._items: list[T_co] = []
        self._cursor: str | None = None
        self._is_complete = False

    def __iter__(self) -> Iterator[T_co]:
        index = 0
        while self._load(index + 1):
            yield self._items[index]
            index += 1

    def __len__(self) -> int:
        if self._is_complete or self._count is None:
            self._load(None)
            return len(self._items)
        return self._count()

    def __bool__(self) -> bool:
        return self._load(1)

    @overload
    def __getitem__(self, index: int) -> T_co: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T_co]: ...
    def __getitem__(self, index: int | slice) -> T_co | Sequence[T_co]:
        if isinstance(index, slice):
            bounds = (index.start or 0, index.stop)
            is_forward = bounds[0] >= 0 and bounds[1] is not None and bounds[1] >= 0 and (index.step or 1) > 0
            self._load(index.stop if is_forward else None)
            return self._items[index]
        self._load(index + 1 if index >= 0 else None)
        return self._items[index]

    def __repr__(self) -> str:
        more = "" if self._is_complete else " so far"
        return f"<{type(self).__name__}: {len(self._items)} loaded{more}>"

    def _load(self, wanted: int | None) -> bool:
        """Load until `wanted` items (None: all) are here; whether they are."""
        while not self._is_complete and (wanted is None or len(self._items) < wanted):
            page = self._fetch(self._cursor, self._per_page)
            self._items.extend(page.items)
            self._cursor = page.next_cursor
            self._is_complete = page.next_cursor is None
        return wanted is None or len(self._items) >= wanted
