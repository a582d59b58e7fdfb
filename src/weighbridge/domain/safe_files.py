"""The check `safe_files`: does any file of a model have a format that can run code when it is loaded?

One job: judge names and first bytes that somebody else read. It opens nothing. It judges formats, not
contents: no list of opcodes proves a pickle harmless, so a pickle fails however innocent
(docs/design/0005-evaluation.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

import msgspec

from weighbridge.domain.evaluation import CheckKind, CheckResult, Verdict
from weighbridge.domain.name_mapping import NameGlob, refuse_too_many

HEAD_SIZE_BYTES = 512
"""How many first bytes of a file, and of a zip's member, a caller should hand in."""

_PICKLE = "pickle runs code as it loads"
_KERAS = "Keras files can hold Lambda layers, which are marshalled Python code"
_CODE = "it is code"
_ARCHIVE = "an archive can hold anything"

UNSAFE_SUFFIXES: dict[str, str] = {
    **dict.fromkeys((".pkl", ".pickle", ".p", ".dill", ".cloudpickle", ".joblib", ".skops"), _PICKLE),
    **dict.fromkeys(
        (".pt", ".pth", ".ckpt", ".ptl", ".torchscript", ".mar", ".pt2"), "PyTorch's own format is a pickle"
    ),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), _KERAS),
    ".pb": "a TensorFlow graph is a program that may read and write files",
    **dict.fromkeys(
        (".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat", ".ps1", ".js"), _CODE
    ),
    **dict.fromkeys((".whl", ".egg", ".jar", ".class", ".wasm"), _CODE),
    **dict.fromkeys((".rds", ".rdata", ".mat"), "its loader can evaluate what it holds"),
}
"""Suffix -> why its format can run code."""

ARCHIVE_SUFFIXES = frozenset((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".zst", ".rar"))

SAFE_SUFFIXES = frozenset(
    ".safetensors .onnx .gguf .npy .json .jsonl .ndjson .yaml .yml .toml .ini .cfg .txt .md .rst .csv "
    ".tsv .parquet .arrow .feather .png .jpg .jpeg .gif .webp .bmp .tif .tiff .svg .html .pdf .wav .flac "
    ".mp3 .mp4 .msgpack .ubj .model .vocab .merges .tiktoken .proto .xml .log .lock .spm .bpe .cbm".split()
)
"""Formats that hold data only: numbers, text, tables, pictures. Their first bytes are still looked at."""

SAFE_NAMES = frozenset(
    ("license", "licence", "readme", "notice", "authors", "changelog", ".gitattributes", "copying")
)

_PICKLE_OPCODES = frozenset(b"(.0123456789:BCFGIJKLMNPQRSTUVX]abcdeghijlopqrstu}"
                            b"\x80\x81\x82\x83\x84\x85\x86\x87\x88"
                            b"\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98")  # fmt: skip


class FileHead(msgspec.Struct, frozen=True):
    """A file as far as this check needs it: its logical path, first bytes, and those of a zip's members.

    head: at least HEAD_SIZE_BYTES where the file has them; None when nobody looked. members: for a zip, each
    member's path and first uncompressed bytes; None when nobody looked.
    """

    path: str
    head: bytes | None = None
    members: tuple[tuple[str, bytes], ...] | None = None


def check_safe_files(files: Iterable[FileHead], *, allow: Collection[str] = ()) -> CheckResult:
    """Failed if a file's format can run code, inconclusive if one is not recognised, else passed.

    allow: paths or globs (`*` only) of files that their owner vouches for; they are listed in the evidence.
    """
    globs = [NameGlob(pattern) for pattern in allow]
    refuse_too_many(len(globs), "allow")
    unsafe: dict[str, object] = {}
    unknown: dict[str, object] = {}
    allowed: list[str] = []
    count = 0
    for file in files:
        count += 1
        verdict, reason = judge_file(file)
        if verdict is Verdict.PASSED:
            continue
        if any(glob.matches(file.path) for glob in globs):
            allowed.append(file.path)
        else:
            (unsafe if verdict is Verdict.FAILED else unknown)[file.path] = reason
    if unsafe:
        outcome, message = Verdict.FAILED, _sentence(unsafe, "can run code when loaded")
    elif unknown or not count:
        outcome = Verdict.INCONCLUSIVE
        message = _sentence(unknown, "cannot be told safe") if unknown else "The version holds no files."
    else:
        outcome, message = Verdict.PASSED, f"None of {count} files has a format that can run code."
    if allowed:
        message += f" {len(allowed)} allowed by name: {', '.join(sorted(allowed)[:5])}."
    evidence: dict[str, object] = {
        "files": count,
        "unsafe": unsafe,
        "unrecognised": unknown,
        "allowed": allowed,
    }
    return CheckResult(
        kind=CheckKind.SAFE_FILES, name="files", outcome=outcome, message=message, evidence=evidence
    )


def judge_file(file: FileHead) -> tuple[Verdict, str]:
    """Passed for a data format, failed for one that can run code, inconclusive if unknown; and why."""
    suffix = PurePosixPath(file.path).suffix.lower()
    if suffix in UNSAFE_SUFFIXES:
        return Verdict.FAILED, UNSAFE_SUFFIXES[suffix]
    if suffix == ".npz":
        return _judge_npz(file)
    if suffix in ARCHIVE_SUFFIXES:
        return Verdict.INCONCLUSIVE, _ARCHIVE
    head = file.head
    if head is not None and (reason := _code_in(head, suffix)):
        return Verdict.FAILED, f"{reason}, whatever its name says" if suffix else reason
    if suffix in SAFE_SUFFIXES or PurePosixPath(file.path).name.lower() in SAFE_NAMES:
        if suffix == ".npy" and head is None:
            return Verdict.INCONCLUSIVE, "its header was not looked at: an array of objects is a pickle"
        return Verdict.PASSED, "a format that holds data only"
    if head == b"":
        return Verdict.PASSED, "empty"
    return Verdict.INCONCLUSIVE, "the format is not known"


def _judge_npz(file: FileHead) -> tuple[Verdict, str]:
    if file.members is None:
        return Verdict.INCONCLUSIVE, "its arrays were not looked at: an array of objects is a pickle"
    for name, head in file.members:
        if not name.endswith(".npy"):
            return Verdict.FAILED, f"its member {name!r} is not an array"
        if reason := _code_in(head, ".npy"):
            return Verdict.FAILED, f"its member {name!r}: {reason}"
    return Verdict.PASSED, "arrays of plain numbers"


def _code_in(head: bytes, suffix: str) -> str:
    """Why these first bytes can run code, or empty text."""
    if suffix == ".safetensors" and _is_safetensors(head):
        return ""  # its length field could look like the start of a pickle
    if suffix == ".npy" or head.startswith(b"\x93NUMPY"):
        return _objects_in_npy(head)
    if len(head) >= 3 and head[0] == 0x80 and 2 <= head[1] <= 5 and head[2] in _PICKLE_OPCODES:
        return _PICKLE
    if head.startswith(b"PK\x03\x04"):
        return "it is a zip, as PyTorch, Keras and wheel files are"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _KERAS
    if head.startswith(
        (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!", b"\x00asm")
    ):
        return _CODE
    return ""


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of little-endian header length, at most 100 MB, then JSON (the safetensors format)."""
    return len(head) > 8 and int.from_bytes(head[:8], "little") <= 100_000_000 and head[8:9] == b"{"


def _objects_in_npy(head: bytes) -> str:
    """NPY format 1 to 3: magic, version, length, then a dict whose `descr` is the dtype; `O` is objects."""
    if not head.startswith(b"\x93NUMPY"):
        return "it is no NumPy array"
    if len(head) < 10:
        return "its header is cut short"
    start, width = (10, 2) if head[6] == 1 else (12, 4)
    length = int.from_bytes(head[8 : 8 + width], "little")
    header = head[start : start + length]
    if len(header) < length:
        return "its header is too long to look through"
    return "an array of objects is a pickle" if b"|O" in header or b"'O" in header else ""


def _sentence(found: dict[str, object], what: str) -> str:
    path = min(found)
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{path} {what}: {found[path]}{more}."
