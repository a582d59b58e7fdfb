"""Settings: one table of everything that can be set, resolved once into a frozen `Settings`.

This is the only module that reads the environment or a configuration file. It must stay cheap to
import, do nothing at import, and know nothing of runs, stores or servers.

A value comes from the highest of: command-line flag, argument, environment (our variable, then the W&B
variable that means the same), `./weighbridge.toml`, `~/.config/weighbridge/config.toml`, default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from weighbridge.errors import InvalidSetting

Mode = Literal["online", "offline", "disabled"]
Resume = Literal["allow", "must", "never", "auto"]
Shipper = Literal["auto", "process", "thread", "off"]
Color = Literal["auto", "always", "never"]
Choice = Literal["auto", "yes", "no"]

PROJECT_FILE: Final = "weighbridge.toml"
_TEXT_MAX: Final = 1024
_NOTES_MAX: Final = 65_536
_TAGS_MAX: Final = 256
_FILE_BYTES_MAX: Final = 1_048_576


class Setting(NamedTuple):
    """One row of the table.

    `parse` turns what a flag, argument, variable or file held into the value and raises ValueError when
    it can't; `allowed` says in words what it takes. A `default` that is a function is called with the
    environment. `aliases` are variables of other programs, ranked below `env`.
    """

    name: str
    default: object
    parse: Callable[[object], object]
    allowed: str
    help: str
    aliases: tuple[str, ...] = ()
    is_secret: bool = False

    @property
    def env(self) -> str:
        """The environment variable of this setting."""
        return f"WEIGHBRIDGE_{self.name.upper()}"

    @property
    def default_text(self) -> str:
        """The default in words, for the reference page."""
        if callable(self.default):
            return self.default.__doc__ or ""
        return f"`{show(self.default)}`" if self.default not in (None, ()) else "not set"


def show(value: object) -> str:
    """A value as it would be written in the environment."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(str(item) for item in value)
    return str(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not text")
    text = value.strip()
    if not text or len(text) > _TEXT_MAX or "\0" in text:
        raise ValueError("is empty, too long or holds a NUL")
    return text


def _notes(value: object) -> str:
    if not isinstance(value, str) or len(value) > _NOTES_MAX:
        raise ValueError("is not text, or too long")
    return value


def _path(value: object) -> Path:
    return Path(_text(os.fspath(value) if isinstance(value, os.PathLike) else value)).expanduser()


def _url(value: object) -> str:
    text = _text(value).rstrip("/")
    if not re.fullmatch(r"https?://[^\s/@]+(/\S*)?", text):
        raise ValueError("is not an http address")
    return text


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"1", "true", "yes", "on"}:
        return True
    if word in {"0", "false", "no", "off", ""}:
        return False
    raise ValueError("is not a yes or no")


def _tags(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        raise ValueError("is not a list of words")
    tags = tuple(dict.fromkeys(_text(item) for item in items if item != ""))
    if len(tags) > _TAGS_MAX:
        raise ValueError("holds too many tags")
    return tags


def _one_of(*words: str, also: Mapping[str, str] | None = None) -> Callable[[object], str]:
    synonyms = also or {}

    def parse(value: object) -> str:
        word = show(value).strip().lower()
        word = synonyms.get(word, word)
        if word not in words:
            raise ValueError("is none of the allowed words")
        return word

    return parse


def _seconds(low: float, high: float) -> Callable[[object], float]:
    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError("is not a number")
        seconds = float(value)
        if not low <= seconds <= high:
            raise ValueError("is out of range")
        return seconds

    return parse


def _login_name(environ: Mapping[str, str]) -> str:
    """your login name, in lower case, other characters than letters, digits, `_` and `-` made `-`"""
    name = next((environ[key] for key in ("LOGNAME", "USER", "USERNAME") if environ.get(key)), "")
    if not name:
        import pwd

        try:
            name = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a container's user often has no entry; any stable name does
            name = "local"
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:64] or "local"


_OLD_MODES: Final = {"run": "online", "dryrun": "offline"}
_OLD_RESUME: Final = {"true": "auto"}
_YES_NO: Final = {"true": "yes", "false": "no", "1": "yes", "0": "no"}

TABLE: Final[tuple[Setting, ...]] = (
    Setting("home", "~/.weighbridge", _path, "a folder", "Where runs, artifacts and the registry are kept."),
    Setting(
        "url",
        None,
        _url,
        "an http or https address without a login in it",
        "Server to use instead of the home. Of no effect yet, and you are told so.",
    ),
    Setting(
        "api_key",
        None,
        _text,
        "text",
        "Key for that server. Never printed; refused in the project file.",
        is_secret=True,
    ),
    Setting("entity", _login_name, _text, "a name", "Owner of the projects you log to.", ("WANDB_ENTITY",)),
    Setting("organization", "local", _text, "a name", "Owner of the organisation registries."),
    Setting("project", "uncategorized", _text, "a name", "Project a run goes to.", ("WANDB_PROJECT",)),
    Setting(
        "mode",
        "online",
        _one_of("online", "offline", "disabled", also=_OLD_MODES),
        "online, offline or disabled",
        "online ships as it logs, offline keeps the spool for `weighbridge sync`, disabled does nothing.",
        ("WANDB_MODE",),
    ),
    Setting(
        "dir",
        None,
        _path,
        "a folder",
        "Where a run's own files go, instead of inside the home.",
        ("WANDB_DIR",),
    ),
    Setting("run_id", None, _text, "a run id", "Id of the run to start or resume.", ("WANDB_RUN_ID",)),
    Setting(
        "resume",
        None,
        _one_of("allow", "must", "never", "auto", also=_OLD_RESUME),
        "allow, must, never or auto",
        "What to do when the run id exists already.",
        ("WANDB_RESUME",),
    ),
    Setting("name", None, _text, "text", "Display name of the run; made up when not set.", ("WANDB_NAME",)),
    Setting("group", None, _text, "text", "Set of runs this one belongs to.", ("WANDB_RUN_GROUP",)),
    Setting(
        "job_type", None, _text, "text", "Role of the run, such as train or evaluation.", ("WANDB_JOB_TYPE",)
    ),
    Setting(
        "tags", (), _tags, "words with commas between, at most 256", "Labels of the run.", ("WANDB_TAGS",)
    ),
    Setting(
        "notes", None, _notes, "text of at most 65,536 characters", "Free text on the run.", ("WANDB_NOTES",)
    ),
    Setting(
        "shipper",
        "auto",
        _one_of("auto", "process", "thread", "off"),
        "auto, process, thread or off",
        "Who ships the spool: a process of its own, a thread, or nobody until `weighbridge sync`.",
    ),
    Setting(
        "ship_interval_s",
        0.5,
        _seconds(0.01, 3600.0),
        "0.01 to 3600",
        "Seconds between two batches of a run.",
    ),
    Setting(
        "finish_timeout_s",
        60.0,
        _seconds(0.0, 86_400.0),
        "0 to 86400",
        "Seconds finish() waits for the shipping.",
    ),
    Setting(
        "silent", False, _boolean, "true or false", "Print nothing at all, warnings too.", ("WANDB_SILENT",)
    ),
    Setting("quiet", False, _boolean, "true or false", "Print warnings only.", ("WANDB_QUIET",)),
    Setting(
        "color",
        "auto",
        _one_of("auto", "always", "never"),
        "auto, always or never",
        "Colours in the terminal. A non-empty `NO_COLOR` means never.",
        ("NO_COLOR",),
    ),
    Setting(
        "network_home",
        "auto",
        _one_of("auto", "yes", "no", also=_YES_NO),
        "auto, yes or no",
        "Whether the home lies on a network file system, where one host at a time may write.",
    ),
)

_GIVEN: Final = ("flag", "argument")
"""Origins that mean the caller said so, and not its surroundings."""
_BY_NAME: Final = {setting.name: setting for setting in TABLE}


class Settings:
    """Every setting with its value, frozen. Given arguments are checked; the rest holds its default.

    `resolve()` is what reads the environment and the files; `Settings(mode="offline")` reads neither.
    A None argument counts as not given. Raises InvalidSetting.
    """

    home: Path
    url: str | None
    api_key: str | None
    entity: str
    organization: str
    project: str
    mode: Mode
    dir: Path | None
    run_id: str | None
    resume: Resume | None
    name: str | None
    group: str | None
    job_type: str | None
    tags: tuple[str, ...]
    notes: str | None
    shipper: Shipper
    ship_interval_s: float
    finish_timeout_s: float
    silent: bool
    quiet: bool
    color: Color
    network_home: Choice
    _origins: dict[str, str]

    def __init__(self, **arguments: object) -> None:
        _fill(self, [("argument", arguments)], {})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Settings are frozen; resolve({name}=...) makes new ones")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Settings are frozen")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        set_here = ", ".join(
            f"{name}={shown!r}" for name, shown, origin in self.rows() if origin != "default"
        )
        return f"Settings({set_here})"

    def origin(self, name: str) -> str:
        """Where the value came from: a flag, an argument, which variable, which file, or `default`."""
        if name not in _BY_NAME:
            raise _unknown(name, "Settings.origin()")
        return self._origins[name]

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """Name, value as text and origin of every setting, in table order; secrets are masked."""
        for setting in TABLE:
            value = getattr(self, setting.name)
            shown = "" if value is None else "***" if setting.is_secret else show(value)
            yield setting.name, shown, self.origin(setting.name)

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, setting.name) for setting in TABLE)


def resolve(
    *,
    flags: Mapping[str, object] | None = None,
    base: Settings | None = None,
    environ: Mapping[str, str] | None = None,
    **arguments: object,
) -> Settings:
    """The settings in force for this process, each with its origin.

    flags: what the command line gave. base: settings whose explicit arguments count as arguments here,
    below `arguments`. environ: read instead of the process's environment. None means not given.
    Raises InvalidSetting, which names the setting, the value, where it came from and what is allowed.
    """
    environment = os.environ if environ is None else environ
    layers: list[tuple[str, Mapping[str, object]]] = [("flag", flags or {}), ("argument", arguments)]
    if base is not None:
        layers.append(("argument", {n: getattr(base, n) for n in _BY_NAME if base.origin(n) in _GIVEN}))
    layers.extend(_environment_layers(environment))
    layers.extend(_file_layers(environment))
    settings = Settings.__new__(Settings)
    _fill(settings, layers, environment)
    return settings


def _fill(
    settings: Settings, layers: list[tuple[str, Mapping[str, object]]], environ: Mapping[str, str]
) -> None:
    """Set every value from the first layer that holds it, else from the table."""
    for origin, layer in layers:
        for name in layer:
            if name not in _BY_NAME:
                raise _unknown(name, origin)
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for setting in TABLE:
        name = setting.name
        found = next(((o, layer[name]) for o, layer in layers if layer.get(name) is not None), None)
        if found is None:
            default = setting.default(environ) if callable(setting.default) else setting.default
            origins[name], values[name] = "default", None if default is None else setting.parse(default)
        else:
            origins[name], values[name] = found[0], _parse(setting, found[1], origin=found[0])
    vars(settings).update(values, _origins=origins)


def _parse(setting: Setting, value: object, *, origin: str) -> object:
    try:
        return setting.parse(value)
    except (ValueError, TypeError) as error:
        shown = "***" if setting.is_secret else repr(value)[:200]
        raise InvalidSetting(
            f"Setting {setting.name} = {shown} (from {origin}) cannot be used.",
            hint=f"Allowed: {setting.allowed}.",
            details={"setting": setting.name, "origin": origin, "allowed": setting.allowed},
        ) from error


def _unknown(name: str, origin: str) -> InvalidSetting:
    import difflib

    near = difflib.get_close_matches(name, _BY_NAME, n=3)
    nearest = f"Did you mean {' or '.join(near)}? " if near else ""
    return InvalidSetting(
        f"There is no setting {name!r} (from {origin}).",
        hint=f"{nearest}Known: {', '.join(_BY_NAME)}.",
        details={"setting": name, "origin": origin},
    )


def _environment_layers(environ: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """One layer a variable, ours first; an empty variable counts as not set, as shells clear them so."""
    for setting in TABLE:
        if environ.get(setting.env):
            yield f"environment {setting.env}", {setting.name: environ[setting.env]}
    for setting in TABLE:
        for alias in setting.aliases:
            if environ.get(alias):
                # NO_COLOR means "never" whatever it holds
                yield (
                    f"environment {alias}",
                    {setting.name: "never" if alias == "NO_COLOR" else environ[alias]},
                )


def _file_layers(environ: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, object]]]:
    project_file = Path(PROJECT_FILE)
    if project_file.is_file():
        values = _read_file(project_file)
        for setting in TABLE:
            if setting.is_secret and setting.name in values:
                raise InvalidSetting(
                    f"Setting {setting.name} stands in {project_file.absolute()}, which others may read.",
                    hint=f"Remove it there and set {setting.env}, or keep it in {user_file(environ)}.",
                )
        yield f"project file {project_file.absolute()}", values
    path = user_file(environ)
    if path is not None and path.is_file():
        yield f"user file {path}", _read_file(path)


def user_file(environ: Mapping[str, str]) -> Path | None:
    """The user's configuration file, there or not; None without a home directory."""
    base, home = environ.get("XDG_CONFIG_HOME"), environ.get("HOME")
    folder = Path(base) if base else Path(home, ".config") if home else None
    return folder and folder / "weighbridge" / "config.toml"


def _read_file(path: Path) -> dict[str, object]:
    import tomllib

    try:
        data = path.read_bytes()
        if len(data) > _FILE_BYTES_MAX:
            raise ValueError(f"it is larger than {_FILE_BYTES_MAX} bytes")
        return tomllib.loads(data.decode())
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise InvalidSetting(
            f"The settings file {path} cannot be read: {error}.",
            hint="Write it as TOML, one `name = value` a line.",
        ) from error
