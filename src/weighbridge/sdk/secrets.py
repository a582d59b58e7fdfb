"""Take secrets out of command lines and addresses before anything is recorded.

One job: `***` in place of what looks like a secret. It errs on the side of masking and knows no secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MASK = "***"
MAX_ARGUMENTS = 1_000
MAX_ARGUMENT_LENGTH = 4_096

_SECRET_WORDS = frozenset(
    (
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "credential",
        "credentials",
        "auth",
        "pat",
    )
)
_SECRET_PAIRS = frozenset(
    (("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("auth", "key"))
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s@]+@")
_QUERY = re.compile(r"(?i)([?&;](?:[a-z0-9_-]*(?:token|secret|password|signature|key|sig|auth)))=[^&\s#]+")
_ASSIGNMENT = re.compile(r"([^\s=:]+)([=:])(.+)", re.DOTALL)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+\S+")
_KNOWN_TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)


def is_secret_name(name: str) -> bool:
    """Whether a flag or key such as `--api-key`, `db.password` or `HF_TOKEN` names a secret, by its end."""
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(words) and (words[-1] in _SECRET_WORDS or tuple(words[-2:]) in _SECRET_PAIRS)


def mask_text(text: str) -> str:
    """The text without credentials in addresses, bearer headers and tokens of well-known forms."""
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _QUERY.sub(rf"\1={MASK}", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _KNOWN_TOKENS.sub(MASK, text)


def mask_command(arguments: Sequence[str]) -> tuple[str, ...]:
    """argv with the values of secret flags masked; at most MAX_ARGUMENTS, each cut at MAX_ARGUMENT_LENGTH."""
    masked: list[str] = []
    is_next_secret = False
    for argument in arguments[:MAX_ARGUMENTS]:
        if is_next_secret and not argument.startswith("--"):
            masked.append(MASK)
            is_next_secret = False
            continue
        found = _ASSIGNMENT.fullmatch(argument)
        if found is not None and is_secret_name(found[1]):
            masked.append(f"{found[1]}{found[2]}{MASK}")
            is_next_secret = False
            continue
        is_next_secret = argument.startswith("-") and is_secret_name(argument)
        masked.append(mask_text(argument)[:MAX_ARGUMENT_LENGTH])
    if len(arguments) > MAX_ARGUMENTS:
        masked.append(f"... {len(arguments) - MAX_ARGUMENTS} more")
    return tuple(masked)
