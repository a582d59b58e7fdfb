"""`run.summary`: one value a key, by item or attribute, nested or not; each change goes to the spool."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from weighbridge.domain.summary import SummaryFold
from weighbridge.sdk.values import PLAIN, plain

Changed = Callable[[dict[str, Any], tuple[str, ...]], None]


class Summary(MutableMapping[str, Any]):
    """A live view of a run's summary: what was logged last, or as defined, and what was set by hand."""

    def __init__(self, fold: SummaryFold, changed: Changed) -> None:
        object.__setattr__(self, "_fold", fold)
        object.__setattr__(self, "_changed", changed)

    _fold: SummaryFold
    _changed: Changed

    def __getitem__(self, key: str) -> Any:
        value = self._fold.values[key]
        return Nested(self, (key,)) if isinstance(value, dict) and "_type" not in value else value

    def __getattr__(self, key: str) -> Any:
        try:
            return self[key]
        except KeyError:
            raise AttributeError(f"summary has no key {key!r}.") from None

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if key not in self._fold.values:
            raise KeyError(key)
        self._changed({}, (key,))
        self._fold.set({}, (key,))

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._fold.values))

    def __len__(self) -> int:
        return len(self._fold.values)

    def __repr__(self) -> str:
        return repr(self._fold.values)

    def update(self, values: Any = (), /, **more: Any) -> None:
        """Set several keys at once. Raises InvalidInput for a value that cannot be stored."""
        given = {**(values if isinstance(values, Mapping) else dict(values)), **more}
        fresh = {
            str(key): value if type(value) in PLAIN else plain(value, f"summary.{key}")
            for key, value in given.items()
        }
        if fresh:
            self._changed(fresh, ())  # first, for it refuses what cannot be stored
            self._fold.set(fresh)

    def as_dict(self) -> dict[str, Any]:
        """A copy of everything."""
        return dict(self._fold.values)


class Nested(MutableMapping[str, Any]):
    """A dict inside the summary; setting an item stores the whole top-level value anew."""

    def __init__(self, summary: Summary, path: tuple[str, ...]) -> None:
        self._summary = summary
        self._path = path

    def _value(self) -> dict[str, Any]:
        value: Any = self._summary.as_dict()
        for key in self._path:
            value = value[key]
        assert isinstance(value, dict)
        return value

    def __getitem__(self, key: str) -> Any:
        value = self._value()[key]
        return Nested(self._summary, (*self._path, key)) if isinstance(value, dict) else value

    def __setitem__(self, key: str, value: object) -> None:
        self._store(lambda inner: {**inner, key: plain(value, f"summary.{'.'.join(self._path)}.{key}")})

    def __delitem__(self, key: str) -> None:
        if key not in self._value():
            raise KeyError(key)
        self._store(lambda inner: {name: item for name, item in inner.items() if name != key})

    def _store(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        def rebuilt(value: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
            if not path:
                return change(value)
            return {**value, path[0]: rebuilt(value[path[0]], path[1:])}

        top = self._summary.as_dict()
        self._summary.update({self._path[0]: rebuilt(top, self._path)[self._path[0]]})

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._value()))

    def __len__(self) -> int:
        return len(self._value())

    def __eq__(self, other: object) -> bool:
        return self._value() == (other._value() if isinstance(other, Nested) else other)

    __hash__ = None  # type: ignore[assignment]  # mutable, as dict

    def __repr__(self) -> str:
        return repr(self._value())
