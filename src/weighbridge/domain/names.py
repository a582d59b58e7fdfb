"""Rules for every name a user may choose, and how an artifact path is read.

One function per kind of name; each returns the name unchanged or raises InvalidName with the reason.
The rules are those the W&B client checks (names it makes must pass here), made explicit. No IO.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from weighbridge.errors import InvalidName, InvalidReference

NAME_MAX: Final = 128
RUN_ID_MAX: Final = 128
METRIC_NAME_MAX: Final = 1_000
DISPLAY_NAME_MAX: Final = 512
NOTES_MAX: Final = 65_536
TAGS_MAX: Final = 64
REGISTRY_PREFIX: Final = "wandb-registry-"
LEGACY_REGISTRY: Final = "model-registry"
LATEST: Final = "latest"

_ENTITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PROJECT_BAD = re.compile(r"[/\\#?%:\x00-\x1f\x7f]")
_RUN_ID_BAD = re.compile(r"[/\\#?%:\s\x00-\x1f\x7f]")
_ARTIFACT = re.compile(r"[A-Za-z0-9_.-]+")
_COLLECTION_BAD = re.compile(r"[/:\\\x00-\x1f\x7f]")
_ALIAS_BAD = re.compile(r"[/:\\\x00-\x1f\x7f]")
_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_VERSION = re.compile(r"v(0|[1-9][0-9]{0,9})")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _bounded(kind: str, name: object, limit: int) -> str:
    if not isinstance(name, str):
        raise InvalidName(
            f"{kind} must be text, got {type(name).__name__}.", hint="Pass a str.", details={"kind": kind}
        )
    if not name or name != name.strip():
        raise InvalidName(
            f"{kind} {name[:80]!r} is empty or has space around it.", hint="Trim it.", details={"kind": kind}
        )
    if len(name) > limit:
        raise InvalidName(
            f"{kind} {name[:40]!r}... has {len(name):,} characters; at most {limit} are allowed.",
            hint="Shorten it; put the long text into notes or metadata.",
            details={"kind": kind, "length": len(name), "limit": limit},
        )
    return _encodable(kind, name)


def _encodable(kind: str, name: str) -> str:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidName(
            f"{kind} {name[:80]!a} is not valid Unicode.",
            hint="Remove the lone surrogates.",
            details={"kind": kind},
        ) from error
    return name


def _refuse(kind: str, name: str, rule: str) -> InvalidName:
    return InvalidName(f"{kind} {name[:80]!r} is not allowed.", hint=rule, details={"kind": kind})


def check_entity(name: str) -> str:
    """Return `name` if it may own projects: letters, digits, `_`, `.`, `-`."""
    if not _ENTITY.fullmatch(_bounded("entity", name, NAME_MAX)):
        raise _refuse(
            "entity", name, "Use letters, digits, '_', '.' and '-', beginning with a letter or digit."
        )
    return name


def check_project(name: str) -> str:
    r"""Return `name` if it may name a project or registry: anything but `/ \ # ? % :` and controls."""
    if _PROJECT_BAD.search(_bounded("project", name, NAME_MAX)) or name in {".", ".."}:
        raise _refuse("project", name, r"Leave out / \ # ? % : and control characters.")
    return name


def check_run_id(name: str) -> str:
    r"""Return `name` if it may be a run id: as a project, and no white space."""
    if _RUN_ID_BAD.search(_bounded("run id", name, RUN_ID_MAX)) or name in {".", ".."}:
        raise _refuse("run id", name, r"Leave out / \ # ? % : white space and control characters.")
    return name


def check_artifact_name(name: str) -> str:
    """Return `name` if a run may log an artifact under it: `[A-Za-z0-9_.-]+`."""
    if not _ARTIFACT.fullmatch(_bounded("artifact name", name, NAME_MAX)):
        raise _refuse("artifact name", name, "Use letters, digits, '_', '.' and '-' only.")
    return name


def check_artifact_type(name: str) -> str:
    """Return `name` if it may be an artifact type."""
    if _COLLECTION_BAD.search(_bounded("artifact type", name, NAME_MAX)):
        raise _refuse("artifact type", name, r"Leave out / : \ and control characters.")
    return name


def check_collection(name: str) -> str:
    r"""Return `name` if it may name a registry collection: spaces allowed, no `/ : \` or controls."""
    if _COLLECTION_BAD.search(_bounded("collection", name, NAME_MAX)):
        raise _refuse("collection", name, r"Leave out / : \ and control characters.")
    return name


def check_alias(name: str) -> str:
    r"""Return `name` if it may be a movable alias: no `/ : \`, and not of the form `v12`."""
    if _ALIAS_BAD.search(_bounded("alias", name, NAME_MAX)):
        raise _refuse("alias", name, r"Leave out / : \ and control characters.")
    if _VERSION.fullmatch(name):
        raise _refuse("alias", name, "Names such as v0 or v12 are version numbers and cannot be moved.")
    return name


def check_tag(name: str) -> str:
    """Return `name` if it may be a tag: words of letters, digits, `_`, `-`, separated by spaces."""
    if not _TAG.fullmatch(_bounded("tag", name, NAME_MAX)):
        raise _refuse("tag", name, "Use letters, digits, '_', '-' and single spaces between words.")
    return name


def check_run_tag(name: str) -> str:
    """Return `name` if a run may carry it as a tag: any text without control characters, <= 128."""
    if re.search(r"[\x00-\x1f\x7f]", _bounded("tag", name, NAME_MAX)):
        raise _refuse("tag", name, "Leave out control characters.")
    return name


def check_metric_name(name: object) -> str:
    """Return `name` if it may name a metric: any Unicode without NUL, at most 1,000 characters."""
    if not isinstance(name, str) or not name or len(name) > METRIC_NAME_MAX or "\x00" in name:
        shown = name[:40] if isinstance(name, str) else name
        raise InvalidName(
            f"metric name {shown!r} is not allowed.",
            hint=f"Use non-empty text of at most {METRIC_NAME_MAX} characters without NUL.",
            details={"kind": "metric name"},
        )
    return name if name.isascii() else _encodable("metric name", name)


def is_registry(project: str) -> bool:
    """Whether a project of this name is a registry."""
    return project == LEGACY_REGISTRY or project.startswith(REGISTRY_PREFIX)


def version_index(text: str) -> int | None:
    """The number in `v12`, or None if `text` is no version."""
    match = _VERSION.fullmatch(text)
    return int(match.group(1)) if match else None


def is_digest(text: str) -> bool:
    """Whether `text` has the shape of a digest (64 lower-case hexadecimal characters)."""
    return _DIGEST.fullmatch(text) is not None


class ArtifactPath(msgspec.Struct, frozen=True, kw_only=True):
    """`[entity/][project/]collection[:alias|:vN|:digest]`, read but not yet resolved.

    `version` is `latest` where the text names none. An organisation's registry may be written
    `wandb-registry-model/Name:alias`, so a two-part path is project and collection.
    """

    entity: str | None
    project: str | None
    collection: str
    version: str

    def __str__(self) -> str:
        head = "/".join(part for part in (self.entity, self.project, self.collection) if part)
        return f"{head}:{self.version}"


def parse_artifact_path(text: object) -> ArtifactPath:
    """Read an artifact path as users and Usage tabs write it; raises InvalidReference, InvalidName."""
    if not isinstance(text, str) or not text.strip():
        raise InvalidReference(
            "An artifact path is empty.", hint="Write entity/project/name:alias, or name:alias."
        )
    text = text.strip()
    for scheme in ("wandb-artifact://", "weighbridge-artifact://"):
        text = text.removeprefix(scheme)
    head, colon, version = text.partition(":")
    if colon and (not version or ":" in version or "/" in version):
        raise InvalidReference(
            f"Artifact path {text[:200]!r} has no readable version after ':'.",
            hint="Write name:latest, name:v3 or name:staging.",
        )
    parts = head.split("/")
    if len(parts) > 3 or any(not part for part in parts):
        raise InvalidReference(
            f"Artifact path {text[:200]!r} has {len(parts)} parts or an empty one.",
            hint="Write entity/project/name:alias; entity and project may be left out.",
        )
    version = version or LATEST
    if version_index(version) is None and not is_digest(version):
        check_alias(version)
    entity = check_entity(parts[-3]) if len(parts) == 3 else None
    project = check_project(parts[-2]) if len(parts) >= 2 else None
    return ArtifactPath(
        entity=entity, project=project, collection=check_collection(parts[-1]), version=version
    )


_ADJECTIVES = [
    "amber",
    "azure",
    "bold",
    "brave",
    "bright",
    "brisk",
    "calm",
    "clever",
    "cobalt",
    "copper",
    "coral",
    "crimson",
    "daring",
    "deft",
    "eager",
    "earnest",
    "fair",
    "fleet",
    "gentle",
    "gilded",
    "glad",
    "golden",
    "grand",
    "hardy",
    "hazel",
    "honest",
    "indigo",
    "ivory",
    "jade",
    "jolly",
    "keen",
    "kind",
    "lively",
    "lucid",
    "lunar",
    "mellow",
    "merry",
    "mighty",
    "misty",
    "mossy",
    "nimble",
    "noble",
    "olive",
    "opal",
    "patient",
    "pearl",
    "plucky",
    "polished",
    "proud",
    "quick",
    "quiet",
    "radiant",
    "rapid",
    "rosy",
    "royal",
    "ruby",
    "russet",
    "sage",
    "scarlet",
    "serene",
    "sharp",
    "silver",
    "sleek",
    "smooth",
    "solar",
    "solid",
    "sparkling",
    "spry",
    "stalwart",
    "steady",
    "sterling",
    "stout",
    "sunny",
    "sure",
    "swift",
    "tawny",
    "tender",
    "tidy",
    "trusty",
    "umber",
    "upbeat",
    "valiant",
    "velvet",
    "violet",
    "vivid",
    "warm",
    "wise",
    "witty",
    "zesty",
]
_NOUNS = [
    "albatross",
    "alpaca",
    "antelope",
    "armadillo",
    "badger",
    "beaver",
    "bison",
    "bobcat",
    "buffalo",
    "camel",
    "capybara",
    "caribou",
    "cheetah",
    "condor",
    "coyote",
    "crane",
    "dingo",
    "dolphin",
    "dormouse",
    "eagle",
    "egret",
    "elk",
    "ermine",
    "falcon",
    "ferret",
    "finch",
    "fox",
    "gazelle",
    "gecko",
    "gibbon",
    "giraffe",
    "goose",
    "grouse",
    "gull",
    "hare",
    "hawk",
    "hedgehog",
    "heron",
    "ibex",
    "ibis",
    "impala",
    "jackal",
    "jaguar",
    "kestrel",
    "kingfisher",
    "kiwi",
    "koala",
    "lark",
    "lemur",
    "leopard",
    "lion",
    "lizard",
    "llama",
    "lynx",
    "macaw",
    "magpie",
    "manatee",
    "marmot",
    "marten",
    "mole",
    "moose",
    "narwhal",
    "newt",
    "ocelot",
    "octopus",
    "okapi",
    "orca",
    "oriole",
    "osprey",
    "otter",
    "owl",
    "ox",
    "panda",
    "panther",
    "pelican",
    "penguin",
    "pheasant",
    "pika",
    "plover",
    "puffin",
    "puma",
    "quail",
    "rabbit",
    "raccoon",
    "raven",
    "robin",
    "salmon",
    "seal",
    "serval",
    "shrew",
    "sparrow",
    "stoat",
    "stork",
    "swallow",
    "swan",
    "tapir",
    "tern",
    "tiger",
    "toucan",
    "trout",
    "turtle",
    "viper",
    "vole",
    "walrus",
    "weasel",
    "whale",
    "wolf",
    "wombat",
    "wren",
    "yak",
    "zebra",
]


def display_name(seed: int, number: int) -> str:
    """A name people can say, such as `scarlet-armadillo-12`; the same for the same arguments."""
    adjective = _ADJECTIVES[seed % len(_ADJECTIVES)]
    noun = _NOUNS[(seed // len(_ADJECTIVES)) % len(_NOUNS)]
    return f"{adjective}-{noun}-{number}"
