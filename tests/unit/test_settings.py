"""Settings: what is refused and how it is said, then which of several sources wins."""

from __future__ import annotations

import pickle
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.errors import InvalidSetting
from weighbridge.settings import TABLE, Settings, resolve, show, user_file

SECRET = "k-9f31c0"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_bad_value_names_setting_value_origin_and_what_is_allowed() -> None:
    with pytest.raises(InvalidSetting) as caught:
        resolve(environ={"WEIGHBRIDGE_MODE": "onlin"})
    text = str(caught.value)
    assert "mode" in text and "'onlin'" in text
    assert "environment WEIGHBRIDGE_MODE" in text and "online, offline or disabled" in text


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidSetting, match="Did you mean project"):
        resolve(environ={}, projet="demo")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "sometimes"),
        ("resume", "perhaps"),
        ("shipper", 3),
        ("url", "file:///etc/passwd"),
        ("url", "https://ann:pw@host"),
        ("entity", "  "),
        ("entity", 7),
        ("project", "x" * 1025),
        ("project", "nul\0"),
        ("notes", "x" * 65_537),
        ("tags", 5),
        ("tags", [f"t{i}" for i in range(257)]),
        ("silent", "maybe"),
        ("ship_interval_s", 0.001),
        ("ship_interval_s", float("nan")),
        ("ship_interval_s", True),
        ("finish_timeout_s", -1),
        ("finish_timeout_s", "soon"),
        ("home", ""),
    ],
)
def test_impossible_values_are_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidSetting, match=name):
        Settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("project", "x" * 1024), ("notes", "x" * 65_536), ("tags", [f"t{i}" for i in range(256)])],
)
def test_values_at_the_bound_are_taken(name: str, value: object) -> None:
    assert len(getattr(Settings(**{name: value}), name)) == len(typing.cast(str, value))


def test_a_bad_secret_is_not_shown() -> None:
    with pytest.raises(InvalidSetting) as caught:
        resolve(environ={"WEIGHBRIDGE_API_KEY": SECRET + "\0"})
    assert SECRET not in str(caught.value) and SECRET not in str(caught.value.details)


def test_a_secret_in_the_project_file_is_refused() -> None:
    Path("weighbridge.toml").write_text(f'api_key = "{SECRET}"\n')
    with pytest.raises(InvalidSetting, match="which others may read") as caught:
        resolve(environ={})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("content", [b"mode = ", b"\xff\xfe", b"# " + b"x" * 1_048_576])
def test_an_unreadable_file_is_named(content: bytes) -> None:
    Path("weighbridge.toml").write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"weighbridge\.toml cannot be read"):
        resolve(environ={})


def test_an_unknown_name_in_a_file_names_the_file() -> None:
    Path("weighbridge.toml").write_text('projct = "demo"\n')
    with pytest.raises(InvalidSetting, match=r"project file .*weighbridge\.toml"):
        resolve(environ={})


def test_settings_are_frozen() -> None:
    settings = Settings(mode="offline")
    with pytest.raises(AttributeError, match="frozen"):
        settings.mode = "online"
    with pytest.raises(AttributeError, match="frozen"):
        del settings.mode


def test_each_source_wins_over_those_below_it(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert resolve(environ=environ).origin("project") == "default"

    path = user_file(environ)
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_text('project = "from-user-file"\n')
    assert resolve(environ=environ).project == "from-user-file"

    Path("weighbridge.toml").write_text('project = "from-project-file"\n')
    assert resolve(environ=environ).project == "from-project-file"

    environ["WANDB_PROJECT"] = "from-alias"
    assert resolve(environ=environ).origin("project") == "environment WANDB_PROJECT"

    environ["WEIGHBRIDGE_PROJECT"] = "from-environment"
    assert resolve(environ=environ).origin("project") == "environment WEIGHBRIDGE_PROJECT"

    base = Settings(project="from-base")
    assert resolve(environ=environ, base=base).project == "from-base"
    assert resolve(environ=environ, base=base, project="from-argument").project == "from-argument"

    flags = {"project": "from-flag", "entity": None}
    settings = resolve(environ=environ, base=base, flags=flags, project="from-argument")
    assert (settings.project, settings.origin("project")) == ("from-flag", "flag")
    assert settings.origin("entity") == "default"


def test_a_default_of_base_does_not_hide_the_environment() -> None:
    base = Settings(mode="online")
    environ = {"WEIGHBRIDGE_MODE": "offline", "WEIGHBRIDGE_PROJECT": "mine"}
    settings = resolve(environ=environ, base=base)
    assert (settings.mode, settings.project) == ("online", "mine")


@pytest.mark.parametrize(
    ("variable", "held", "name", "expected"),
    [
        ("WANDB_MODE", "dryrun", "mode", "offline"),
        ("WANDB_PROJECT", "p", "project", "p"),
        ("WANDB_ENTITY", "e", "entity", "e"),
        ("WANDB_RUN_ID", "r1", "run_id", "r1"),
        ("WANDB_RESUME", "must", "resume", "must"),
        ("WANDB_RUN_GROUP", "g", "group", "g"),
        ("WANDB_JOB_TYPE", "train", "job_type", "train"),
        ("WANDB_NAME", "n", "name", "n"),
        ("WANDB_TAGS", "a, b,,a", "tags", ("a", "b")),
        ("WANDB_NOTES", "two\nlines", "notes", "two\nlines"),
        ("WANDB_DIR", "/data", "dir", Path("/data")),
        ("WANDB_SILENT", "true", "silent", True),
        ("NO_COLOR", "1", "color", "never"),
    ],
)
def test_variables_of_other_programs_are_understood(
    variable: str, held: str, name: str, expected: object
) -> None:
    settings = resolve(environ={variable: held})
    assert getattr(settings, name) == expected
    assert settings.origin(name) == f"environment {variable}"


def test_an_empty_variable_counts_as_not_set() -> None:
    assert resolve(environ={"WEIGHBRIDGE_MODE": "", "NO_COLOR": ""}).origin("mode") == "default"


def test_resume_true_means_auto() -> None:
    assert Settings(resume=True).resume == "auto"


@pytest.mark.parametrize(
    ("login", "entity"),
    [("Ann Lee", "ann-lee"), ("DOMAIN\\ann", "domain-ann"), ("--", "local"), ("é", "local")],
)
def test_the_entity_is_the_login_name_made_safe(login: str, entity: str) -> None:
    assert resolve(environ={"LOGNAME": login}).entity == entity


def test_the_process_environment_is_read_when_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_PROJECT", "from-process")
    assert resolve().project == "from-process"


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    settings = resolve(environ={"WEIGHBRIDGE_API_KEY": SECRET})
    assert settings.api_key == SECRET
    assert SECRET not in repr(settings)
    assert ("api_key", "***", "environment WEIGHBRIDGE_API_KEY") in list(settings.rows())


def test_settings_cross_into_another_process_unchanged() -> None:
    settings = resolve(environ={"WANDB_TAGS": "a,b"}, mode="offline")
    copy = pickle.loads(pickle.dumps(settings))
    assert copy == settings and hash(copy) == hash(settings)
    assert copy.origin("mode") == "argument"
    assert copy != Settings()


def test_origin_of_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="Did you mean mode"):
        Settings().origin("mod")


def test_table_and_typed_attributes_name_the_same_settings() -> None:
    attributes = [name for name in typing.get_type_hints(Settings) if not name.startswith("_")]
    assert [setting.name for setting in TABLE] == attributes


def test_no_variable_is_claimed_twice() -> None:
    variables = [name for setting in TABLE for name in (setting.env, *setting.aliases)]
    assert len(variables) == len(set(variables))


@given(st.sampled_from([setting.name for setting in TABLE]), st.text(max_size=40))
def test_what_is_shown_can_be_read_back(name: str, text: str) -> None:
    try:
        settings = Settings(**{name: text})
    except InvalidSetting:
        return
    value = getattr(settings, name)
    assert getattr(Settings(**{name: show(value)}), name) == value
