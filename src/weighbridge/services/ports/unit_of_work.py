"""The port that opens transactions: one service call is one `write()` or one `read()`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from weighbridge.services.ports.transaction import Transaction


class UnitOfWork(Protocol):
    """Opens transactions. Safe to call from several threads.

    A block inside another block of the same thread joins it; `write()` inside `read()` is an error.
    Raises StorageBusy (retryable), StorageFull (retryable), StorageError.
    """

    def read(self) -> AbstractContextManager[Transaction]:
        """One consistent snapshot until the block ends."""
        ...

    def write(self) -> AbstractContextManager[Transaction]:
        """The only writer until the block ends: committed at its end, rolled back when it raises."""
        ...
