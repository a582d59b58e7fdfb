"""`weighbridge artifacts` and `artifact show|get|put|verify|alias`: artifact versions."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weighbridge.cli import plain
from weighbridge.cli.context import Context
from weighbridge.cli.output import Column
from weighbridge.cli.values import ago, cell, count_of, moment, size
from weighbridge.domain.names import LATEST, check_alias, check_artifact_name, check_artifact_type
from weighbridge.domain.summary import flatten
from weighbridge.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from weighbridge.domain.artifact import CollectionRecord
    from weighbridge.sdk.artifact import Artifact

FILES_SHOWN: Final = 20
"""Files that `artifact show` lists; JSON has all of them."""
JOB_TYPE: Final = "artifact-put"


def list_artifacts(arguments: Namespace, context: Context) -> int:
    """List the collections of a project or registry."""
    api = context.api
    project = arguments.project or api.default_project
    now = context.out.now
    columns: list[Column[CollectionRecord]] = [
        Column("artifact", lambda found: found.name),
        Column("type", lambda found: found.type),
        Column("versions", lambda found: str(found.version_count), is_number=True),
        Column("aliases", lambda found: alias_list(found.aliases)),
        Column("updated", lambda found: ago(found.updated_at, now)),
        Column("description", lambda found: found.description or "-"),
    ]
    records = [found.record for found in api.artifact_collections(project, arguments.type, per_page=1_000)]
    context.out.listing(
        records,
        columns,
        plain=plain.of_collection,
        path=lambda found: f"{found.entity}/{found.project}/{found.name}",
    )
    if not records:
        context.out.say(f"No artifact is in {project}.")
    return 0


def alias_list(aliases: dict[str, str]) -> str:
    """Aliases with what they point to, `latest` last."""
    ordered = sorted(aliases.items(), key=lambda item: (item[0] == LATEST, item[0]))
    return ", ".join(f"{alias}={version}" for alias, version in ordered) or "-"


def show_artifact(arguments: Namespace, context: Context) -> int:
    """Show what a version is, what it holds, where it came from and who used it."""
    artifact = context.api.artifact(arguments.path)
    record = artifact.record
    consumers = artifact.used_by()
    evaluations = artifact.evaluations()
    entries = artifact.manifest.entries
    whole = {
        **plain.of_version(record),
        "files": [
            {"path": entry.path, "digest": entry.digest, "size_bytes": entry.size_bytes, "ref": entry.ref}
            for entry in entries
        ],
        "used_by": [run.ref.path for run in consumers],
        "evaluations": [plain.without(plain.of_struct(found), "report") for found in evaluations],
    }

    def text() -> None:
        out = context.out
        out.heading(record.path)
        out.facts(_version_facts(artifact, out.now))
        out.facts([(name, cell(value)) for name, value in flatten(record.metadata)], title="Metadata")
        rows = [(entry.path, entry.ref or size(entry.size_bytes)) for entry in entries[:FILES_SHOWN]]
        if len(entries) > FILES_SHOWN:
            rows.append(("...", f"and {len(entries) - FILES_SHOWN:,} more; --json has all"))
        out.facts(rows, title="Files")
        out.facts(
            [(run.ref.path, f"{run.job_type or 'run'}, {run.state}") for run in consumers], title="Used by"
        )
        out.facts(
            [(found.run.path, f"{found.verdict}, {moment(found.evaluated_at)}") for found in evaluations],
            title="Evaluations",
        )
        out.write("\n")
        out.heading("Use it")
        out.write("".join(f"  {line}".rstrip() + "\n" for line in artifact.usage().splitlines()))

    context.out.record(whole, path=record.path, text=text)
    return 0


def _version_facts(artifact: Artifact, now: float) -> list[tuple[str, str]]:
    record = artifact.record
    producer = "" if record.producer is None else record.producer.path
    rows = [
        ("type", record.type),
        ("verdict", record.verdict or "not evaluated"),
        ("aliases", ", ".join(record.aliases)),
        ("tags", ", ".join(record.tags)),
        ("source", record.source_path if record.is_link else ""),
        ("producer", producer + (" (deleted)" if record.producer_deleted else "")),
        ("size", f"{size(record.size_bytes)} in {count_of(record.file_count, 'file')}"),
        ("digest", record.digest),
        ("created", f"{moment(record.created_at)} UTC, {ago(record.created_at, now)}"),
        ("description", record.description),
    ]
    return [(name, value) for name, value in rows if value]


def get_artifact(arguments: Namespace, context: Context) -> int:
    """Download a version; the folder goes to stdout."""
    artifact = context.api.artifact(arguments.path)
    folder = artifact.download(root=arguments.root)
    context.out.say(
        f"{artifact.qualified_name}: {size(artifact.size)}, {count_of(artifact.file_count, 'file')}, verified."
    )
    context.out.record(
        {"path": artifact.qualified_name, "folder": folder, "digest": artifact.digest},
        path=folder,
        text=lambda: context.out.write(f"{folder}\n"),
    )
    return 0


def put_artifact(arguments: Namespace, context: Context) -> int:
    """Store a file or folder as a version, in a run of its own, so that lineage says who put it there."""
    from weighbridge.sdk.artifact import Artifact
    from weighbridge.sdk.init import init

    source = Path(arguments.source)
    if not source.exists():
        raise InvalidInput(f"{source} does not exist.", hint="Name a file or a folder.")
    draft = Artifact(
        check_artifact_name(arguments.name), check_artifact_type(arguments.type), arguments.description
    )
    if source.is_dir():
        draft.add_dir(source)
    else:
        draft.add_file(source)
    aliases = [check_alias(alias) for alias in arguments.alias]
    with init(
        project=arguments.project,
        job_type=JOB_TYPE,
        mode="online",
        settings=context.settings_for_a_run(),
    ) as run:
        stored = run.log_artifact(draft, aliases=aliases).wait()
    _show_version(context, stored)
    return 0


def _show_version(context: Context, artifact: Artifact) -> None:
    record = artifact.record
    names = f" ({', '.join(record.aliases)})" if record.aliases else ""
    context.out.record(
        plain.of_version(record),
        path=record.path,
        text=lambda: context.out.write(f"{record.path}{names}\n"),
    )


def verify_artifact(arguments: Namespace, context: Context) -> int:
    """Hash a version's stored bytes, or a downloaded folder, again; 1 where anything is missing or altered."""
    from weighbridge.cli.integrity import damaged_entries

    artifact = context.api.artifact(arguments.path)
    path = artifact.qualified_name
    if arguments.root is not None:
        artifact.verify(arguments.root)  # raises DigestMismatch, naming the first file and both digests
        damages = []
    else:
        damages = list(damaged_entries(context.client, artifact.manifest.entries))
    whole = {"path": path, "is_whole": not damages, "damages": [damage._asdict() for damage in damages]}

    def text() -> None:
        for damage in damages:
            context.out.write(f"{damage}\n")
        found = f"{len(damages):,} damaged" if damages else "whole"
        context.out.write(
            f"{path}: {found}, {count_of(artifact.file_count, 'file')}, {size(artifact.size)}.\n"
        )

    context.out.record(whole, path=path, text=text)
    if damages:
        context.out.say("hint: Log the files again from where they came: equal bytes mend every version.")
    return 1 if damages else 0


def move_alias(arguments: Namespace, context: Context) -> int:
    """Give a version an alias, or take it away; with --expected only if nobody moved it meanwhile."""
    alias = check_alias(arguments.alias)
    if alias == LATEST:
        raise UsageError("The alias 'latest' is kept by the system.", hint="Choose another alias.")
    artifact = context.api.artifact(arguments.path)
    expected = {}
    if arguments.expected is not None:
        expected[alias] = None if arguments.expected == "none" else str(arguments.expected)
    if arguments.is_removal:
        if alias not in artifact.aliases:
            raise UsageError(
                f"{artifact.qualified_name} does not have the alias {alias!r}.",
                hint=f"It has: {', '.join(artifact.aliases) or 'none'}.",
            )
        artifact.aliases.remove(alias)
    elif alias not in artifact.aliases:
        artifact.aliases.append(alias)
    artifact.save(expected=expected, reason=arguments.reason)
    _show_version(context, artifact)
    return 0
