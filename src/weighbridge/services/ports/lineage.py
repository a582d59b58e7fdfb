"""The port of lineage: which run used and logged which version, asked in bulk."""

from __future__ import annotations

from typing import Protocol

import msgspec

from weighbridge.domain.lineage import LineageNode
from weighbridge.domain.run import RunRef
from weighbridge.services.ports.transaction import Transaction


class Edge(msgspec.Struct, frozen=True, order=True):
    """A run and a version that it used or logged."""

    run_pk: int
    version_id: int


class LineageStore(Protocol):
    """Keeps the edges between runs and versions. Bulk reads take at most 5,000 keys."""

    def add_input(self, tx: Transaction, edge: Edge, *, collection_id: int, used_as: str, at: float) -> None:
        """Record that a run used a version through a collection; the first record of a pair stands."""
        ...

    def add_output(self, tx: Transaction, edge: Edge, *, at: float) -> None:
        """Record that a run logged a version; the first record of a pair stands."""
        ...

    def inputs_of(self, tx: Transaction, run_pks: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Versions that any of the runs used, by id."""
        ...

    def outputs_of(self, tx: Transaction, run_pks: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Versions that any of the runs logged, by id."""
        ...

    def users_of(self, tx: Transaction, version_ids: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Runs that used any of the versions, by key."""
        ...

    def makers_of(self, tx: Transaction, version_ids: tuple[int, ...], *, limit: int) -> tuple[int, ...]:
        """Runs that logged any of the versions, by key."""
        ...

    def used_between(
        self, tx: Transaction, run_pks: tuple[int, ...], version_ids: tuple[int, ...]
    ) -> tuple[Edge, ...]:
        """Every use of one of the versions by one of the runs, ordered."""
        ...

    def logged_between(
        self, tx: Transaction, run_pks: tuple[int, ...], version_ids: tuple[int, ...]
    ) -> tuple[Edge, ...]:
        """Every logging of one of the versions by one of the runs, ordered."""
        ...

    def run_nodes(self, tx: Transaction, run_pks: tuple[int, ...]) -> dict[int, LineageNode]:
        """Nodes of runs, tombstones included."""
        ...

    def version_nodes(self, tx: Transaction, version_ids: tuple[int, ...]) -> dict[int, LineageNode]:
        """Nodes of versions with their aliases, links and newest verdict, tombstones included."""
        ...

    def run_refs(self, tx: Transaction, run_pks: tuple[int, ...]) -> tuple[RunRef, ...]:
        """Addresses in the order asked for, tombstones included."""
        ...

    def input_memberships(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[int, ...]:
        """Memberships through which a run used its inputs, in order of use.

        Where the version was taken out of that collection since, its place in its own sequence.
        """
        ...

    def output_memberships(self, tx: Transaction, run_pk: int, *, limit: int) -> tuple[int, ...]:
        """Memberships, in their own sequences, of what a run logged, in order of logging."""
        ...
