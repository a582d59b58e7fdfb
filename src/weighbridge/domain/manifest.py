"""What a version holds: logical paths, each with digest and size or a reference. No IO, no hashing.

A path that could leave the folder it is written to is refused when an entry is made and again when a manifest
is decoded, so no other layer has to think of it. References are opaque text and never opened here.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import msgspec

from weighbridge.domain.names import is_digest
from weighbridge.errors import InvalidManifest, LimitExceeded, NotFound

ENTRIES_MAX: Final = 1_000_000
PATH_BYTES_MAX: Final = 1_024
SEGMENT_BYTES_MAX: Final = 255
REF_MAX: Final = 4_096
REF_DIGEST_MAX: Final = 256
EXTRA_KEYS_MAX: Final = 32
EXTRA_TEXT_MAX: Final = 4_096
ENCODED_BYTES_MAX: Final = 512 << 20
"""Bytes of a manifest before compression; what inflates beyond it is refused, not read."""

Scalar = str | int | float | bool | None

_MAGIC: Final = b"WBM1"
_HEADER: Final = b"weighbridge manifest 1\n"
_SIZE_MAX: Final = (1 << 63) - 1
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,254})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_REF = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def _unsafe(path: str, problem: str, hint: str) -> InvalidManifest:
    return InvalidManifest(f"Path {path[:80]!r} {problem}.", hint=hint, details={"path": path[:200]})


def check_entry_path(path: str) -> str:
    r"""Return `path` if it may be a logical path: relative, `/` between segments, no `.` or `..` or empty one.

    Refused too: `\`, control characters, a drive, lone surrogates, a segment over 255 or a path over 1,024 bytes
    of UTF-8. Raises InvalidManifest.
    """
    if not isinstance(path, str):
        raise InvalidManifest(f"A path must be text, got {type(path).__name__}.", hint="Pass a str.")
    if len(path) > PATH_BYTES_MAX or not _PLAIN.fullmatch(path):
        _check_unusual(path)
    return path


def _check_unusual(path: str) -> None:
    if not path:
        raise _unsafe(path, "is empty", "Give the file a name.")
    if len(path) > PATH_BYTES_MAX:
        raise _unsafe(path, f"has {len(path):,} characters", f"Use at most {PATH_BYTES_MAX:,} bytes.")
    if path.startswith("/") or _DRIVE.match(path):
        raise _unsafe(path, "is absolute", "Name it relative to the artifact, such as weights/model.bin.")
    if "\\" in path:
        raise _unsafe(path, "holds a backslash", "Separate folders with '/'.")
    if _CONTROL.search(path):
        raise _unsafe(path, "holds a control character", "Rename the file.")
    try:
        encoded = path.encode()
    except UnicodeEncodeError as error:
        raise _unsafe(path, "is not valid Unicode", "Rename the file; its name can't be text.") from error
    if len(encoded) > PATH_BYTES_MAX:
        raise _unsafe(path, f"has {len(encoded):,} bytes", f"Use at most {PATH_BYTES_MAX:,}.")
    for segment in path.split("/"):
        if segment in {"", ".", ".."}:
            raise _unsafe(path, f"holds the segment {segment!r}", "Leave out '.', '..', '//' and a last '/'.")
        if len(segment.encode()) > SEGMENT_BYTES_MAX:
            raise _unsafe(path, f"has a name of over {SEGMENT_BYTES_MAX} bytes", "Shorten it.")


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One logical path: a blob (`ref` None), or a reference to something that lies elsewhere.

    digest: of a blob, its 64 hexadecimal characters; of a reference, whatever its owner says of its content (an ETag,
    say), `""` if nothing. extra: small facts beside the content; they are no part of the version's identity.
    Raises InvalidManifest.
    """

    path: str
    digest: str = ""
    size_bytes: int = 0
    ref: str | None = None
    extra: Mapping[str, Scalar] = {}

    def __post_init__(self) -> None:
        check_entry_path(self.path)
        if type(self.size_bytes) is not int or not 0 <= self.size_bytes <= _SIZE_MAX:
            raise _unsafe(self.path, f"has the size {self.size_bytes!r}", "Give its size in bytes.")
        if self.ref is not None:
            _check_ref(self)
        elif not is_digest(self.digest):
            raise _unsafe(
                self.path, f"has the digest {self.digest[:80]!r}", "Give 64 hexadecimal characters."
            )
        if self.extra:
            _check_extra(self)


def _check_ref(entry: ManifestEntry) -> None:
    ref = entry.ref or ""
    if len(ref) > REF_MAX or not _REF.match(ref) or not _is_line(ref):
        raise _unsafe(
            entry.path,
            f"has the reference {ref[:80]!r}",
            f"Write scheme://..., at most {REF_MAX:,} characters without control characters.",
        )
    if len(entry.digest) > REF_DIGEST_MAX or not _is_line(entry.digest):
        raise _unsafe(
            entry.path,
            "has a reference digest that is no short text",
            f"Use at most {REF_DIGEST_MAX} characters without control characters.",
        )


def _is_line(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return not _CONTROL.search(text)


def _check_extra(entry: ManifestEntry) -> None:
    fits = len(entry.extra) <= EXTRA_KEYS_MAX and all(
        len(key) <= REF_DIGEST_MAX
        and _is_line(key)
        and (value is None or type(value) in (bool, float) or _fits(value))
        for key, value in entry.extra.items()
    )
    if not fits:
        raise _unsafe(
            entry.path,
            "has extra facts that are too many, too long or not plain",
            f"Use at most {EXTRA_KEYS_MAX} text, number, bool or None values.",
        )


def _fits(value: Scalar) -> bool:
    if isinstance(value, int):
        return -_SIZE_MAX <= value <= _SIZE_MAX
    if not isinstance(value, str) or len(value) > EXTRA_TEXT_MAX:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class ManifestDiff(NamedTuple):
    """Paths in which two manifests differ, each list sorted."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


class _Encoded(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Columns, since equal kinds of values side by side compress best. Digests of blobs are raw, 32 bytes each."""

    paths: list[str]
    sizes: list[int]
    digests: bytes
    refs: list[tuple[int, str, str]]
    """(position, digest, ref), positions rising; such a position has nothing in `digests`."""
    extras: dict[int, dict[str, Scalar]]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Encoded)


class Manifest:
    """An immutable set of entries, sorted by path (by code point, which is the order of the UTF-8 bytes).

    Raises InvalidManifest if a path is there twice or is both file and folder, LimitExceeded over a million.
    """

    __slots__ = ("_by_path", "_entries", "_size_bytes")

    def __init__(self, entries: Iterable[ManifestEntry] = ()) -> None:
        self._by_path: dict[str, ManifestEntry] = {}
        count = 0
        for entry in entries:
            count += 1
            if count > ENTRIES_MAX:
                raise LimitExceeded(
                    f"A manifest can't have more than {ENTRIES_MAX:,} entries.",
                    hint="Split the artifact, or pack small files together.",
                )
            self._by_path[entry.path] = entry
        self._entries = tuple(self._by_path[path] for path in sorted(self._by_path))
        self._size_bytes = sum(entry.size_bytes for entry in self._entries)
        if len(self._entries) != count:
            raise InvalidManifest(
                f"{count - len(self._entries):,} of {count:,} entries repeat a path.",
                hint="Name a path once.",
            )
        self._check_folders()

    @classmethod
    def build(cls, entries: Iterable[ManifestEntry]) -> Manifest:
        """A manifest of the entries, in any order."""
        return cls(entries)

    @property
    def entries(self) -> tuple[ManifestEntry, ...]:
        """Every entry, sorted by path."""
        return self._entries

    @property
    def file_count(self) -> int:
        """Entries, references included."""
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Sum of all entries' sizes."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[ManifestEntry]:
        return iter(self._entries)

    def __contains__(self, path: object) -> bool:
        return path in self._by_path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Manifest) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash((len(self._entries), self._size_bytes))

    def __repr__(self) -> str:
        return f"<Manifest of {self.file_count:,} entries, {self.size_bytes:,} bytes>"

    def find(self, path: str) -> ManifestEntry | None:
        """The entry of a path, or None."""
        return self._by_path.get(path)

    def get(self, path: str) -> ManifestEntry:
        """The entry of a path; raises NotFound with the nearest paths."""
        entry = self._by_path.get(path)
        if entry is None:
            near = difflib.get_close_matches(path[:PATH_BYTES_MAX], list(self._by_path)[:2_000], n=3)
            raise NotFound(
                f"There is no {path[:80]!r} in the artifact.",
                hint=f"Did you mean {', '.join(map(repr, near))}?" if near else "List its files first.",
                details={"path": path[:200], "nearest": near},
            )
        return entry

    def add(self, *entries: ManifestEntry) -> Manifest:
        """A new manifest with these entries too, each in place of one of the same path. Cost: the whole size."""
        return Manifest({**self._by_path, **{entry.path: entry for entry in entries}}.values())

    def diff(self, other: Manifest) -> ManifestDiff:
        """What `other` has more, less and differently than this one; `extra` doesn't count."""
        mine, theirs = self._by_path, other._by_path
        return ManifestDiff(
            added=sorted(theirs.keys() - mine.keys()),
            removed=sorted(mine.keys() - theirs.keys()),
            changed=sorted(
                path for path, entry in mine.items() if path in theirs and _line(entry) != _line(theirs[path])
            ),
        )

    def warnings(self) -> list[str]:
        """One sentence for each group of paths that some file systems take for one (case, Unicode form)."""
        groups: dict[str, list[str]] = {}
        for path in self._by_path:
            key = path if path.isascii() else unicodedata.normalize("NFC", path)
            groups.setdefault(key.casefold(), []).append(path)
        return [
            f"{' and '.join(map(ascii, paths))} are one file where names ignore case or Unicode form."
            for paths in map(sorted, groups.values())
            if len(paths) > 1
        ]

    def canonical_bytes(self) -> bytes:
        r"""The bytes whose BLAKE3 is the version's digest.

        The line `weighbridge manifest 1`, then one line an entry, sorted by path:
        `digest TAB size TAB path TAB ref`, UTF-8, each ended by `\n`; an unknown digest and the ref of a blob
        are empty. No field can hold a tab or a line end, so different manifests never give equal bytes.
        `extra` is left out.
        """
        return _HEADER + "".join(map(_line, self._entries)).encode()

    def encode(self) -> bytes:
        """Compact bytes for storage and wire: `WBM1` and zlib over MessagePack columns. Raises LimitExceeded."""
        blobs = [entry.digest for entry in self._entries if entry.ref is None]
        packed = _encoder.encode(
            _Encoded(
                paths=[entry.path for entry in self._entries],
                sizes=[entry.size_bytes for entry in self._entries],
                digests=bytes.fromhex("".join(blobs)),
                refs=[
                    (position, entry.digest, entry.ref)
                    for position, entry in enumerate(self._entries)
                    if entry.ref is not None
                ],
                extras={
                    position: dict(entry.extra) for position, entry in enumerate(self._entries) if entry.extra
                },
            )
        )
        if len(packed) > ENCODED_BYTES_MAX:
            raise LimitExceeded(
                f"The manifest takes {len(packed):,} bytes; {ENCODED_BYTES_MAX:,} are allowed.",
                hint="Split the artifact, or use shorter paths.",
            )
        return _MAGIC + zlib.compress(packed, 1)

    @classmethod
    def decode(cls, data: bytes, *, bytes_max: int = ENCODED_BYTES_MAX) -> Manifest:
        """The manifest that `encode` made, with every rule checked again. Raises InvalidManifest."""
        encoded = _unpack(data, bytes_max)
        refs = {position: (digest, ref) for position, digest, ref in encoded.refs}
        count = len(encoded.paths)
        if (
            len(encoded.sizes) != count
            or len(refs) != len(encoded.refs)
            or len(encoded.digests) != 32 * (count - len(refs))
            or not all(0 <= position < count for position in (*refs, *encoded.extras))
        ):
            raise _damaged("its columns don't fit together")
        digests = encoded.digests.hex()
        entries: list[ManifestEntry] = []
        start = 0
        for position, (path, size_bytes) in enumerate(zip(encoded.paths, encoded.sizes, strict=True)):
            ref: str | None = None
            if refs and position in refs:
                digest, ref = refs[position]
            else:
                digest, start = digests[start : start + 64], start + 64
            extra = encoded.extras.get(position) or {}
            entries.append(
                ManifestEntry(path=path, digest=digest, size_bytes=size_bytes, ref=ref, extra=extra)
            )
        return cls(entries)

    def _check_folders(self) -> None:
        folders: set[str] = set()
        for path in self._by_path:
            folder = path.rpartition("/")[0]
            while folder and folder not in folders:
                folders.add(folder)
                folder = folder.rpartition("/")[0]
        both = folders & self._by_path.keys()
        if both:
            raise _unsafe(min(both), "is both a file and a folder", "Rename one of the two.")


def _line(entry: ManifestEntry) -> str:
    return f"{entry.digest}\t{entry.size_bytes}\t{entry.path}\t{entry.ref or ''}\n"


def _unpack(data: bytes, bytes_max: int) -> _Encoded:
    if not data.startswith(_MAGIC):
        raise _damaged("it doesn't begin with 'WBM1'")
    inflater = zlib.decompressobj()
    try:
        packed = inflater.decompress(data[len(_MAGIC) :], bytes_max + 1)
        if len(packed) > bytes_max:
            raise _damaged(f"it inflates to more than {bytes_max:,} bytes")
        if not inflater.eof or inflater.unused_data:
            raise _damaged("it is cut off or has bytes after its end")
        return _decoder.decode(packed)
    except (zlib.error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(str(error)[:200] or type(error).__name__) from error


def _damaged(reason: str) -> InvalidManifest:
    return InvalidManifest(
        f"The encoded manifest can't be read: {reason}.",
        hint="Log the artifact again; if it comes from a newer version, upgrade.",
    )
