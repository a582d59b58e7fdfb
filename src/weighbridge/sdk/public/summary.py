"""A stored run's summary: read like a dict, written through to the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from weighbridge.sdk.values import plain

Write = Callable[[dict[str, Any], tuple[str, ...]], None]
"""Sets the keys given and removes the keys named, in the store."""


class Summary(MutableMapping[str, Any]):
    """One value a key. Setting an item keeps it until `update()`, which writes at once, as W&B's does.

    A dotted name finds a nested value where no key has that very name.
    """

    def __init__(self, values: dict[str, Any], write: Write) -> None:
        self._values = values
        self._write = write
        self._changed: dict[str, Any] = {}
        self._removed: list[str] = []

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        found: Any = self._values
        for part in name.split("."):
            if not isinstance(found, Mapping) or part not in found:
                raise KeyError(name)
            found = found[part]
        return found

    def __setitem__(self, name: str, value: object) -> None:
        stored = plain(value, f"summary.{name}")
        self._values[name] = self._changed[name] = stored

    def __delitem__(self, name: str) -> None:
        del self._values[name]
        self._changed.pop(name, None)
        self._removed.append(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the summary has no key {name!r}") from None

    def update(self, values: Any = None, /, **more: Any) -> None:
        """Set several keys and write them, with what was set before, to the store."""
        for name, value in {**dict(values or {}), **more}.items():
            self[name] = value
        self.save()

    def save(self) -> None:
        """Write what was set or removed; nothing changed is a no-op."""
        if self._changed or self._removed:
            self._write(dict(self._changed), tuple(self._removed))
            self._changed, self._removed = {}, []
