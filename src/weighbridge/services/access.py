"""Who is asking, and whether they may. The first line of every service method calls `check`.

The local actor owns the home and may do all. Roles of server users plug in here and nowhere else.
"""

from __future__ import annotations

import enum

import msgspec

from weighbridge.errors import PermissionDenied


class ActorKind(enum.StrEnum):
    """How the actor came in."""

    LOCAL = "local"
    USER = "user"


class Actor(msgspec.Struct, frozen=True):
    """Who asks: `user` is the name that goes into the audit trail."""

    user: str
    kind: ActorKind = ActorKind.LOCAL


class Action(enum.StrEnum):
    """What may be allowed or refused in a project."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


def check(actor: Actor, action: Action, *, entity: str, project: str = "") -> None:
    """Return if `actor` may do `action` there, else PermissionDenied. No `project`: the whole entity."""
    if actor.kind is ActorKind.LOCAL:
        return
    place = f"{entity}/{project}" if project else entity
    raise PermissionDenied(
        f"{actor.user!r} may not {action.value} in {place}.",
        hint="Ask the owner of the project for access.",
        details={"action": action.value, "entity": entity, "project": project},
    )
