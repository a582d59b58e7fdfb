"""What a run is called and where it stands: the properties of `Run` that record nothing but labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from weighbridge.domain.names import check_run_tag
from weighbridge.domain.run import RunRef
from weighbridge.wire.runs import AttributesItem, Item, StartRun

if TYPE_CHECKING:
    from weighbridge.sdk.client import Client
    from weighbridge.settings import Settings


class RunLabels:
    """The part of `Run` that answers who it is. `Run` fills in the private attributes."""

    _client: Client
    _start: StartRun
    _mode: str
    _display_name: str
    _step: int
    _logged_step: int | None
    _is_finished: bool
    was_resumed: bool

    def _item(self, item: Item) -> None:
        raise AssertionError("Run records items")

    @property
    def ref(self) -> RunRef:
        """The run's address."""
        return self._start.run

    @property
    def id(self) -> str:
        """The run id; it never changes."""
        return self._start.run.run_id

    @property
    def entity(self) -> str:
        """Owner of the project."""
        return self._start.run.entity

    @property
    def project(self) -> str:
        """The project's name."""
        return self._start.run.project

    @property
    def path(self) -> str:
        """`entity/project/run_id`."""
        return self._start.run.path

    @property
    def url(self) -> str | None:
        """Where the run can be seen in a browser; None in the local home, which has no pages."""
        return None

    def get_url(self) -> str | None:
        """The same as `url`."""
        return self.url

    @property
    def name(self) -> str:
        """The display name; may be set."""
        return self._display_name

    @name.setter
    def name(self, value: str) -> None:
        self._display_name = value
        self._item(AttributesItem(display_name=value))

    @property
    def job_type(self) -> str:
        """The run's role, such as `train` or `evaluation`."""
        return self._start.job_type or ""

    @property
    def group(self) -> str:
        """The set of runs it belongs to."""
        return self._start.group or ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels; may be set, or added to with `run.tags += ("x",)`."""
        return self._start.tags or ()

    @tags.setter
    def tags(self, value: tuple[str, ...] | list[str]) -> None:
        tags = tuple(dict.fromkeys(check_run_tag(tag) for tag in value))
        self._start = msgspec.structs.replace(self._start, tags=tags)
        self._item(AttributesItem(tags=tags))

    @property
    def notes(self) -> str:
        """Free text; may be set."""
        return self._start.notes or ""

    @notes.setter
    def notes(self, value: str) -> None:
        self._start = msgspec.structs.replace(self._start, notes=value)
        self._item(AttributesItem(notes=value))

    @property
    def step(self) -> int:
        """The step that the next `log()` without a step will write."""
        return self._step

    @property
    def logged_step(self) -> int | None:
        """The step of the row that was logged last; None before the first."""
        return self._logged_step

    @property
    def start_time(self) -> float:
        """Unix seconds when the run began."""
        return self._start.started_at

    @property
    def settings(self) -> Settings:
        """The settings in force for this run."""
        return self._client.settings

    @property
    def resumed(self) -> bool:
        """Whether the run existed before this process began it."""
        return self.was_resumed

    @property
    def is_online(self) -> bool:
        """Whether the other side may be asked now (neither offline nor disabled)."""
        return self._mode == "online"

    @property
    def offline(self) -> bool:
        """Whether everything stays in the spool until `weighbridge sync`."""
        return self._mode == "offline"

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded at all."""
        return self._mode == "disabled"

    @property
    def is_disabled(self) -> bool:
        """The same as `disabled`."""
        return self.disabled

    @property
    def is_finished(self) -> bool:
        """Whether `finish()` was called."""
        return self._is_finished

    @property
    def dir(self) -> str:
        """A folder for the run's own files, made at the first use."""
        base = self.settings.dir or self._client.home / "files"
        folder = Path(base) / self.entity / self.project / self.id
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def __repr__(self) -> str:
        return f"<Run {self.path} ({self.name}){' finished' if self._is_finished else ''}>"
