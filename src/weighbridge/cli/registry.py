"""`weighbridge registry`, and `registry show|history|link`: registered models and their aliases."""

from __future__ import annotations

from argparse import Namespace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from weighbridge.cli import plain
from weighbridge.cli.artifacts import alias_list
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.runs import common_metrics, words
from weighbridge.cli.values import ago, cell, moment, nested
from weighbridge.domain.names import LEGACY_REGISTRY
from weighbridge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from weighbridge.domain.artifact import AliasEvent, CollectionRecord, VersionRecord
    from weighbridge.domain.run import RunRecord
    from weighbridge.sdk.public.collections import ArtifactCollection

PAGE_MAX: Final = 1_000


class Registered(NamedTuple):
    """A version in a registry, with the run that made it."""

    version: VersionRecord
    producer: RunRecord | None


def list_registries(arguments: Namespace, context: Context) -> int:
    """List what every registry holds: its collections, versions and aliases."""
    records = [
        collection.record
        for registry in context.api.registries()
        for collection in registry.collections(per_page=PAGE_MAX)
    ]
    now = context.out.now
    columns: list[Column[CollectionRecord]] = [
        Column("registry", lambda found: f"{found.entity}/{found.project}"),
        Column("name", lambda found: found.name),
        Column("type", lambda found: found.type),
        Column("versions", lambda found: str(found.version_count), is_number=True),
        Column("aliases", lambda found: alias_list(found.aliases)),
        Column("updated", lambda found: ago(found.updated_at, now)),
    ]
    context.out.listing(
        records,
        columns,
        plain=plain.of_collection,
        path=lambda found: f"{found.entity}/{found.project}/{found.name}",
    )
    if not records:
        context.out.say("No model is registered yet. See weighbridge registry link --help.")
    return 0


def show_collection(arguments: Namespace, context: Context) -> int:
    """Show the versions of a registered model with aliases, producer, its metrics, and verdict."""
    collection = _collection(arguments.path, context)
    limit: int = arguments.limit
    found = [
        Registered(artifact.record, _producer(artifact.record, context))
        for artifact in islice(collection.versions(per_page=min(limit + 1, PAGE_MAX)), limit + 1)
    ]
    is_cut = len(found) > limit
    found = found[:limit]
    metrics = words(arguments.columns) or common_metrics([each.producer for each in found if each.producer])
    now = context.out.now
    columns: list[Column[Registered]] = [
        Column("version", lambda each: each.version.version),
        Column("aliases", lambda each: ", ".join(each.version.aliases) or "-"),
        Column("verdict", lambda each: each.version.verdict or "-"),
        Column("producer", _producer_name),
        *(_metric_column(name) for name in metrics),
        Column("source", lambda each: each.version.source_path),
        Column("linked", lambda each: ago(each.version.linked_at or each.version.created_at, now)),
    ]
    if context.out.is_table:
        context.out.heading(f"{collection.path}  ({collection.type})")
        if collection.description:
            context.out.write(f"{cell(collection.description)}\n")
    context.out.listing(found, columns, plain=_plain, path=lambda each: each.version.path)
    if is_cut:
        context.out.say(f"{limit:,} of {collection.version_count:,} versions are shown; --limit shows more.")
    return 0


def _collection(path: str, context: Context) -> ArtifactCollection:
    """A registered model by `registry/Name`. Raises UsageError where the path names a version too."""
    if ":" in path:
        raise UsageError(
            f"{path!r} names a version.",
            hint=f"Write {path.partition(':')[0]!r}, or use weighbridge artifact show.",
        )
    return context.api.artifact_collection(None, path if "/" in path else f"{LEGACY_REGISTRY}/{path}")


def _producer(version: VersionRecord, context: Context) -> RunRecord | None:
    if version.producer is None:
        return None
    try:
        return context.api.run(version.producer.path).record
    except NotFound:  # deleted: only its name is left
        return None


def _producer_name(each: Registered) -> str:
    if each.version.producer is None:
        return "-"
    deleted = " (deleted)" if each.version.producer_deleted else ""
    name = each.producer.display_name if each.producer else each.version.producer.run_id
    return f"{name}{deleted}"


def _metric_column(name: str) -> Column[Registered]:
    return Column(
        name,
        lambda each: cell(nested(each.producer.summary, name) if each.producer else None),
        is_number=True,
    )


def _plain(each: Registered) -> dict[str, object]:
    return {
        **plain.of_version(each.version),
        "producer_name": each.producer.display_name if each.producer else None,
        "producer_summary": each.producer.summary if each.producer else {},
    }


def show_history(arguments: Namespace, context: Context) -> int:
    """Show the moves of aliases, or which version an alias pointed to at a moment."""
    collection = _collection(arguments.path, context)
    if arguments.at is not None:
        return _show_holder(arguments, context, collection)
    events = collection.alias_history(arguments.alias)
    columns: list[Column[AliasEvent]] = [
        Column("when (UTC)", lambda event: moment(event.at)),
        Column("alias", lambda event: event.alias),
        Column("from", lambda event: event.from_version or "-"),
        Column("to", lambda event: event.to_version or "-"),
        Column("who", lambda event: event.actor),
        Column("run", lambda event: event.run.path if event.run else "-"),
        Column("why", lambda event: event.reason or "-"),
    ]
    context.out.listing(
        events, columns, plain=plain.of_event, path=lambda event: f"{collection.path}:{event.to_version}"
    )
    if not events:
        context.out.say("No alias ever moved there.")
    return 0


def _show_holder(arguments: Namespace, context: Context, collection: ArtifactCollection) -> int:
    if arguments.alias is None:
        raise UsageError("--at needs an alias.", hint="Add --alias production.")
    at = moment_of(arguments.at)
    version = collection.alias_at(arguments.alias, at).record
    event = collection.alias_history(arguments.alias, until=at)[-1]
    why = f": {event.reason}" if event.reason else ""
    context.out.record(
        {"alias": arguments.alias, "at": arguments.at, "held_since": plain.of_event(event)["at"]}
        | plain.of_version(version),
        path=version.path,
        text=lambda: context.out.write(
            f"{version.path}\n"
            f"  {arguments.alias} since {moment(event.at)} UTC, moved by {cell(event.actor)}{cell(why)}\n"
        ),
    )
    return 0


def moment_of(text: str) -> float:
    """Unix seconds of an ISO date (its end) or time, UTC where it names no zone. Raises UsageError."""
    from weighbridge.sdk.times import seconds

    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(
            f"{text[:80]!r} is no date or time.", hint="Write 2026-05-03 or 2026-05-03T12:00."
        ) from error


def link_version(arguments: Namespace, context: Context) -> int:
    """Place a version in a registry, with aliases."""
    linked = context.api.artifact(arguments.source).link(arguments.target, aliases=arguments.alias).record
    names = f" ({', '.join(linked.aliases)})" if linked.aliases else ""
    context.out.record(
        plain.of_version(linked), path=linked.path, text=lambda: context.out.write(f"{linked.path}{names}\n")
    )
    return 0
