"""`run.config`: the inputs of a run, by item or attribute; each change goes to the spool at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from weighbridge.errors import InvalidInput
from weighbridge.sdk.values import plain

Changed = Callable[[dict[str, Any]], None]


class Config(MutableMapping[str, Any]):
    """Nested plain values. A key keeps its value unless `update` is passed `allow_val_change=True`.

    That is W&B's rule: a config that changes half-way through a run describes neither half. Notebooks are
    exempt there and here, since cells are run again.
    """

    def __init__(self, values: Mapping[str, Any], changed: Changed, *, is_lenient: bool = False) -> None:
        object.__setattr__(self, "_values", dict(values))
        object.__setattr__(self, "_changed", changed)
        object.__setattr__(self, "_is_lenient", is_lenient)

    _values: dict[str, Any]
    _changed: Changed
    _is_lenient: bool

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __getattr__(self, key: str) -> Any:
        try:
            return self._values[key]
        except KeyError:
            import difflib

            near = difflib.get_close_matches(key, self._values, n=3)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise AttributeError(f"config has no key {key!r}.{hint}") from None

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __setattr__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        raise InvalidInput(
            f"config key {key!r} cannot be deleted.", hint="Set it to None with allow_val_change=True."
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def keys(self) -> Any:
        """The top-level keys."""
        return self._values.keys()

    def update(self, values: Any = (), /, allow_val_change: bool | None = None, **more: Any) -> None:
        """Set several keys at once: from a mapping, pairs, an argparse namespace, or keywords.

        Raises InvalidInput for a value that cannot be stored, or a key that has another value already.
        """
        fresh = plain_mapping(values) | plain_mapping(more)
        if not (allow_val_change or self._is_lenient):
            for key, value in fresh.items():
                if key in self._values and not _same(self._values[key], value):
                    raise InvalidInput(
                        f"config key {key!r} is {self._values[key]!r} and would become {value!r}.",
                        hint=f"If that is meant: config.update({{{key!r}: ...}}, allow_val_change=True).",
                        details={"key": key},
                    )
        different = {
            key: value
            for key, value in fresh.items()
            if key not in self._values or not _same(self._values[key], value)
        }
        if different:
            self._changed(different)  # first, for it refuses what cannot be stored
            self._values.update(different)

    def setdefaults(self, values: Mapping[str, Any]) -> None:
        """Set the keys that have no value yet."""
        self.update({key: value for key, value in values.items() if key not in self._values})

    def allow_changes(self) -> None:
        """From now on keys may take other values without `allow_val_change`."""
        object.__setattr__(self, "_is_lenient", True)

    def as_dict(self) -> dict[str, Any]:
        """A copy of everything."""
        return dict(self._values)


def plain_mapping(values: object) -> dict[str, Any]:
    """`values` (mapping, pairs, namespace, or anything with `keys`) as a dict of plain values."""
    if not isinstance(values, Mapping):
        fields = getattr(values, "__dict__", None)
        as_dict = getattr(values, "as_dict", None) or getattr(values, "to_dict", None)
        if callable(as_dict):
            values = as_dict()
        elif isinstance(fields, dict) and not isinstance(values, list | tuple):
            values = fields
        else:
            try:
                values = dict(values)  # type: ignore[call-overload]  # pairs, or refused below
            except (TypeError, ValueError) as error:
                raise InvalidInput(
                    f"config takes a dict, got {type(values).__name__}.", hint="Pass a dict or a namespace."
                ) from error
    checked = plain(values, "config")
    if not isinstance(checked, dict):
        raise InvalidInput(
            f"config takes a dict, got {type(values).__name__}.", hint="Pass a dict or a namespace."
        )
    return checked


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)
