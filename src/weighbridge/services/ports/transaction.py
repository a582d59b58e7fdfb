"""What a store method needs of an open transaction: nothing but its identity. Only storage looks inside."""

from __future__ import annotations

from typing import Protocol


class Transaction(Protocol):
    """An open transaction, made by a UnitOfWork and passed to every store method; opaque to services."""

    @property
    def closed(self) -> bool:
        """Whether the transaction has ended."""
        ...
