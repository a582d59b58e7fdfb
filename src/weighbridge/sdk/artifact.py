"""`Artifact`: a draft one adds files to, then a stored version one downloads, checks and follows.

One class for both, as in W&B. How it is stored stands in `artifact_logging`; this module asks the transport
only about a version that is stored. It must not import what reads runs: its host makes those objects.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Protocol, runtime_checkable

from weighbridge.domain.lineage import Direction
from weighbridge.domain.manifest import Manifest
from weighbridge.domain.names import check_artifact_name, check_artifact_type
from weighbridge.errors import InvalidInput, NotFound, ProducerNotFound, UsageError
from weighbridge.sdk.artifact_draft import Draft, digest_of, hash_file
from weighbridge.sdk.artifact_files import ArtifactEntry
from weighbridge.sdk.artifact_identity import ArtifactHost
from weighbridge.sdk.artifact_lifecycle import ArtifactLifecycle
from weighbridge.sdk.links import check_aliases, parse_target, usage_code
from weighbridge.wire.artifacts import LinkVersion

if TYPE_CHECKING:
    from weighbridge.domain.artifact import VersionRecord
    from weighbridge.sdk.public.collections import ArtifactCollection
    from weighbridge.sdk.public.lineage import Lineage
    from weighbridge.sdk.public.run import Run
    from weighbridge.wire.evaluations import EvaluationRecord

Policy = Literal["mutable", "immutable"]
ARTIFACTS_DIR: Final = "artifacts"


@runtime_checkable
class ArtifactFile(Protocol):
    """An object that can write itself into an artifact, such as a table. `artifact_suffix` begins with a dot."""

    artifact_suffix: str

    def write_artifact_file(self, path: Path) -> None: ...


class Artifact(ArtifactLifecycle):
    """A set of files and references under a name and a type."""

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
    ) -> None:
        """Make a draft.

        Args:
            name: letters, digits, `_`, `.`, `-`; at most 128 characters.
            type: what it is, such as `model` or `dataset`; one name holds one type for ever.
            incremental: begin with the files of the newest version of this name, at the time it is logged.
            use_as: the role it plays where it is used as an input.

        Raises InvalidName, InvalidInput.
        """
        self._name = check_artifact_name(name)
        self._type = check_artifact_type(type)
        self.description = description or ""
        if metadata is not None and not isinstance(metadata, Mapping):
            raise InvalidInput(
                f"Artifact {name!r}: metadata takes a dict, not {metadata!r:.40}.",
                hint="Pass a dict.",
            )
        self.metadata = dict(metadata or {})
        self.incremental = incremental
        self.use_as = use_as or ""
        self.aliases: list[str] = []
        self.tags = []
        self._manifest: Manifest | None = None
        self._begin(Draft())

    @classmethod
    def of_record(
        cls, record: VersionRecord, *, host: ArtifactHost, asked_for: str | None = None
    ) -> Artifact:
        """A stored version. asked_for: the alias or version it was addressed by."""
        artifact = cls.__new__(cls)
        artifact._manifest = None
        artifact.incremental, artifact.use_as = False, ""
        artifact._begin(None, asked_for=asked_for)
        artifact.settle(record, host)
        return artifact

    # --- the draft ---

    def add_file(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: Policy | None = None,
        overwrite: bool = False,
    ) -> ArtifactEntry:
        """Add a file under `name` (default: its own).

        The file is read when the artifact is logged and must not change until then; `policy="mutable"` or
        `is_tmp` keeps a private copy from now on. `skip_cache` is W&B's and changes nothing. Raises
        SourceChanged (not there), InvalidManifest (the name), UsageError (the name is taken).
        """
        path = Path(local_path)
        chosen = name or path.name
        is_private = bool(is_tmp) or policy == "mutable"
        self._open_draft("add_file").add_file(path, chosen, is_private_copy=is_private, overwrite=overwrite)
        return self.get_entry(chosen)

    def add_dir(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        skip_cache: bool | None = False,
        policy: Policy | None = None,
        merge: bool = False,
    ) -> None:
        """Add every file below a folder, under the folder `name` of the artifact (default: its root).

        merge: replace files of the same name. Otherwise as `add_file`. Raises UsageError if it is no folder,
        InvalidManifest where a link leads out of it.
        """
        root = Path(local_path)
        if not root.is_dir():
            raise UsageError(f"{root} is not a folder.", hint="Use add_file() for a file.")
        prefix = (name or "").strip("/")
        draft = self._open_draft("add_dir")
        draft.add_dir(root, prefix, is_private_copy=policy == "mutable", overwrite=merge)

    def add_reference(
        self,
        uri: str | ArtifactEntry,
        name: str | None = None,
        checksum: bool = True,
        max_objects: int | None = None,
    ) -> list[ArtifactEntry]:
        """Add a URI without its bytes, or an entry of a stored artifact with them.

        A `file://` target (each file, if it is a folder) is hashed when `checksum`, and verified when
        downloaded. Any other URI is kept as written and never opened. Raises InvalidInput, InvalidManifest,
        LimitExceeded.
        """
        from weighbridge.sdk.references import reference_entries

        draft = self._open_draft("add_reference")
        if isinstance(uri, ArtifactEntry):
            entries = [uri.renamed(name or uri.path)]
        else:
            entries = reference_entries(uri, name, checksum=checksum, max_objects=max_objects)
        for entry in entries:
            draft.add_entry(entry)
        return [ArtifactEntry.of(entry) for entry in entries]

    @contextlib.contextmanager
    def new_file(self, name: str, mode: str = "w", encoding: str | None = None) -> Iterator[IO[Any]]:
        """A file to write, added when the block ends without an error. mode: `w` or `wb` (or `x`, the same)."""
        if mode.replace("x", "w") not in ("w", "wb", "wt", "w+", "w+b", "wb+"):
            raise UsageError(f"new_file() cannot open with mode {mode[:10]!r}.", hint='Use "w" or "wb".')
        draft = self._open_draft("new_file")
        staged = draft.staging.new_path(Path(name).suffix[:16])
        text_encoding = None if "b" in mode else encoding or "utf-8"
        with open(staged, mode, encoding=text_encoding) as file:
            yield file
        draft.add_staged(staged, name, overwrite=False)

    def add(self, obj: ArtifactFile, name: str, overwrite: bool = False) -> ArtifactEntry:
        """Add an object that can write itself (`artifact_suffix`, `write_artifact_file`), such as a table."""
        draft = self._open_draft("add")
        if not isinstance(obj, ArtifactFile):
            raise UsageError(
                f"A {type(obj).__name__} cannot write itself into an artifact.",
                hint='For JSON: with artifact.new_file("name.json") as file: json.dump(value, file)',
            )
        chosen = name if name.endswith(obj.artifact_suffix) else name + obj.artifact_suffix
        staged = draft.staging.new_path(obj.artifact_suffix)
        obj.write_artifact_file(staged)
        draft.add_staged(staged, chosen, overwrite=overwrite)
        return self.get_entry(chosen)

    def remove(self, item: str | os.PathLike[str] | ArtifactEntry) -> None:
        """Take a path, or all below it, out of the draft."""
        name = item.path if isinstance(item, ArtifactEntry) else os.fspath(item)
        self._open_draft("remove").remove(name)

    def new_draft(self) -> Artifact:
        """A draft with this version's files, description and metadata; log it to make the next version."""
        record = self._stored("version to begin from")
        draft = Artifact(record.source_collection, record.type, record.description, record.metadata)
        draft._draft = Draft(self.manifest)
        return draft

    # --- the content ---

    @property
    def manifest(self) -> Manifest:
        """Path, digest and size of every entry. On a draft every file is read and hashed for it."""
        if self._manifest is not None:
            return self._manifest
        if self._draft is not None:
            return self._draft.manifest()
        client = self._other_side().client
        self._manifest = Manifest.decode(
            client.transport.artifacts.manifest(self._stored("manifest").version_id)
        )
        return self._manifest

    @property
    def digest(self) -> str:
        """The identity of the content: equal content has an equal digest."""
        return self._record.digest if self._record else digest_of(self.manifest)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        if self._record is not None:
            return self._record.size_bytes
        return self._draft.size_bytes if self._draft is not None else self.manifest.size_bytes

    @property
    def file_count(self) -> int:
        """Entries, references included."""
        if self._record is not None:
            return self._record.file_count
        return len(self._draft) if self._draft is not None else len(self.manifest.entries)

    def get_entry(self, name: str | os.PathLike[str]) -> ArtifactEntry:
        """One entry by its path. Raises NotFound with the nearest paths."""
        path = os.fspath(name)
        source = self._draft.source(path) if self._draft is not None else None
        if source is not None:
            return ArtifactEntry(
                path, source.size_bytes, digest=partial(hash_file, source), local_path=source.path
            )
        entry = self._draft.entry(path) if self._draft is not None else self.manifest.find(path)
        if entry is None:
            raise self._no_entry(path)
        return ArtifactEntry.of(entry, None if self._record is None else self._download_one)

    def get_path(self, name: str | os.PathLike[str]) -> ArtifactEntry:
        """W&B's older name of `get_entry()`."""
        return self.get_entry(name)

    def files(self, names: Sequence[str] | None = None, per_page: int = 50) -> list[ArtifactEntry]:
        """Every entry, or those named, by path. `per_page` is W&B's and changes nothing."""
        if names is not None:
            return [self.get_entry(name) for name in names]
        paths = self._draft.paths() if self._draft is not None else [e.path for e in self.manifest.entries]
        return [self.get_entry(path) for path in paths]

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        path_prefix: str | None = None,
        multipart: bool | None = None,
        skip_cache: bool | None = None,
    ) -> str:
        """Fetch the files, in parallel, every byte checked against its digest; return the folder.

        Args:
            root: where to (default `./artifacts/<source name>:vN`). Files that are there and right are
                kept, wrong ones replaced, others left alone; `checkout()` removes those.
            path_prefix: only paths that begin with it.
            multipart, skip_cache: W&B's; they change nothing.

        Raises BlobNotFound, DigestMismatch (naming the file and both digests), UsageError (a draft).
        """
        from weighbridge.sdk.download import fetch

        target = self._root(root)
        entries = [e for e in self.manifest.entries if not path_prefix or e.path.startswith(path_prefix)]
        if path_prefix and not entries:
            raise self._no_entry(path_prefix)
        if self._host is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            fetch(entries, target, self._host.client)
        return str(target)

    def checkout(self, root: str | os.PathLike[str] | None = None) -> str:
        """Make a folder hold exactly this version, by deleting whatever else is in it; return it."""
        from weighbridge.sdk.download import remove_extra

        target = self._root(root)
        if target.is_dir():
            remove_extra(self.manifest.entries, target)
        return self.download(target)

    def verify(self, root: str | os.PathLike[str] | None = None) -> None:
        """Hash a downloaded folder again. Raises DigestMismatch naming the file and both digests."""
        from weighbridge.sdk.download import verify

        verify(self.manifest.entries, self._root(root))

    def file(self, root: str | os.PathLike[str] | None = None) -> str:
        """Fetch the only file of a version; return its path. Raises UsageError where there are more."""
        entries = self.manifest.entries
        if len(entries) != 1:
            raise UsageError(
                f"Artifact {self.name!r} holds {len(entries):,} files, not one.",
                hint="Use download(), or get_entry(name).download().",
            )
        return self._download_one(None if root is None else os.fspath(root), entries[0].path)

    # --- the stored version ---

    def link(self, target_path: str, aliases: Sequence[str] | None = None) -> Artifact:
        """Place the version in a registry collection, as `model-registry/Digits`; it as seen there."""
        record = self._stored("version to link")
        if self._host is None:
            return self
        identity = self._host.client.identity
        place = parse_target(target_path, entity=record.source_entity, organization=identity.organization)
        linked = self._host.client.transport.artifacts.link(
            LinkVersion(
                version_id=record.version_id,
                entity=place.entity,
                project=place.project,
                collection=place.collection,
                aliases=check_aliases(aliases),
            )
        )
        return self._host.artifact(linked)

    def logged_by(self) -> Run | None:
        """The run that made it; a deleted one says `is_deleted`. None where no run made it."""
        record = self._stored("producer")
        if self._host is None:
            return None
        try:
            return self._host.run(self._host.client.transport.lineage.producer(record.version_id))
        except ProducerNotFound:
            return None

    def used_by(self) -> list[Run]:
        """The runs that consumed it, through any link."""
        record = self._stored("consumer")
        if self._host is None:
            return []
        consumers = self._host.client.transport.lineage.consumers(record.version_id)
        return [self._host.run(consumer, is_full=False) for consumer in consumers]

    def lineage(self, depth: int = 10, direction: Direction | str = Direction.BOTH) -> Lineage:
        """The graph around this version, `depth` (1 to 50) edges far."""
        record = self._stored("lineage")
        return self._other_side().lineage(
            version_id=record.version_id, depth=depth, direction=Direction(direction)
        )

    def evaluations(self) -> tuple[EvaluationRecord, ...]:
        """The stored evaluations of this version, newest first."""
        record = self._stored("evaluations")
        if self._host is None:
            return ()
        return self._host.client.transport.evaluations.list_for_version(record.version_id)

    @property
    def collection(self) -> ArtifactCollection:
        """The collection it was reached through."""
        record = self._stored("collection")
        host = self._other_side()
        artifacts = host.client.transport.artifacts
        return host.collection(artifacts.get_collection(record.entity, record.project, record.collection))

    @property
    def source_artifact(self) -> Artifact:
        """The same version seen in the sequence it was logged into."""
        record = self._stored("source")
        if not record.is_link:
            return self
        host = self._other_side()
        return host.artifact(host.client.transport.artifacts.get(record.version_id))

    def usage(self) -> str:
        """Python that fetches this version, ready to copy; by the alias it was asked for, else by `vN`."""
        record = self._stored("address")
        return usage_code(
            f"{record.entity}/{record.project}/{record.collection}:{self._asked_for or record.version}",
            record.type,
        )

    def _open_draft(self, action: str) -> Draft:
        if self._draft is None or not self.is_draft():
            raise UsageError(
                f"Artifact {self._name!r} was logged; {action}() would change it.",
                hint="Versions never change: call new_draft(), change that, and log it.",
            )
        return self._draft

    def _root(self, root: str | os.PathLike[str] | None) -> Path:
        record = self._stored("file to download")
        if root is not None:
            return Path(root)
        return Path(os.curdir, ARTIFACTS_DIR, f"{record.source_collection}:{record.source_version}")

    def _download_one(self, root: str | None, path: str) -> str:
        from weighbridge.sdk.download import fetch

        target = self._root(root)
        entry = self.manifest.find(path)
        if entry is None:
            raise self._no_entry(path)
        fetch([entry], target, self._other_side().client)
        return str(target / path)

    def _no_entry(self, path: str) -> NotFound:
        import difflib

        paths = self._draft.paths() if self._draft is not None else [e.path for e in self.manifest.entries]
        near = difflib.get_close_matches(path, paths[:5_000], n=3)
        hint = f"Did you mean {', '.join(map(repr, near))}?" if near else f"It holds {len(paths):,} files."
        return NotFound(
            f"Artifact {self._name!r} has no file {path[:200]!r}.", hint=hint, details={"nearest": near}
        )
