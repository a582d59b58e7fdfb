"""What every command gets beside its arguments: settings, output, and the stored things, opened when touched."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final

from weighbridge.cli.output import Output
from weighbridge.errors import UsageError
from weighbridge.settings import Settings, resolve

if TYPE_CHECKING:
    from weighbridge.sdk.client import Client
    from weighbridge.sdk.public.api import Api

FLAGS: Final = ("home", "entity", "color")
"""Settings that the program takes as flags."""


class Context:
    """Settings and output of one call of the program."""

    def __init__(self, settings: Settings, out: Output) -> None:
        self.settings = settings
        self.out = out

    @cached_property
    def client(self) -> Client:
        """The home, without shipping what lies in it."""
        from weighbridge.sdk.client import client_for

        return client_for(self.settings)

    @cached_property
    def api(self) -> Api:
        """The stored runs and artifacts; spools of killed processes are shipped first, so that they are seen."""
        from weighbridge.sdk.public.api import Api

        is_given = self.settings.origin("entity") == "flag"
        return Api(overrides={"entity": self.settings.entity} if is_given else {}, home=self.settings.home)

    def settings_for_a_run(self) -> Settings:
        """The settings for a run that a command opens: flags count as arguments there, and it talks little."""
        flags = {name: getattr(self.settings, name) for name in FLAGS if self.settings.origin(name) == "flag"}
        return resolve(**flags, quiet=True)

    def require_yes(self, is_confirmed: bool, what: str) -> None:
        """Raise UsageError unless --yes was given. Nothing is ever asked, so that scripts cannot hang."""
        if not is_confirmed:
            raise UsageError(f"{what} was not confirmed; nothing was changed.", hint="Add --yes to do it.")
