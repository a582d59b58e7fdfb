"""What the program refuses to understand, then its help, its version and its start."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.conftest import Cli
from weighbridge import __version__
from weighbridge.cli.arguments import build_parser


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("rums",),
        ("run",),
        ("run", "show"),
        ("runs", "--limit", "0"),
        ("runs", "--limit", "100001"),
        ("runs", "--limit", "many"),
        ("runs", "--lim", "5"),
        ("runs", "--json", "--quiet"),
        ("evaluate", "model"),
        ("lineage", "a:b", "--direction", "sideways"),
    ],
)
def test_words_that_mean_nothing_are_usage_errors(cli: Cli, words: tuple[str, ...]) -> None:
    said = cli(*words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "hint: " in said.err


def test_a_wrong_setting_is_a_usage_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_MODE", "sometimes")
    said = cli("settings")
    assert said.code == 2
    assert "mode" in said.err and "WEIGHBRIDGE_MODE" in said.err


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    said = cli("--help")
    assert said.code == 0
    for command in (
        "runs",
        "run",
        "projects",
        "artifacts",
        "artifact",
        "registry",
        "lineage",
        "evaluate",
        "evaluations",
        "sync",
        "doctor",
        "export",
        "demo",
        "settings",
        "version",
    ):
        assert f"\n    {command} " in said.out
    assert "1 judged and failed" in said.out


def test_version(cli: Cli) -> None:
    assert cli("--version").out == f"weighbridge {__version__}\n"
    assert cli("version").out == f"weighbridge {__version__}\n"
    assert cli("version", "--json").out == f'{{\n  "weighbridge": "{__version__}"\n}}\n'
    assert cli("version", "-q").out == f"{__version__}\n"


def test_settings_say_where_each_value_comes_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEIGHBRIDGE_API_KEY", "hush")
    said = cli("settings", "--home", "/somewhere")
    assert "/somewhere" in said.out and "flag" in said.out
    assert "hush" not in said.out


@pytest.mark.parametrize("words", [["--home", "/a", "runs"], ["runs", "--home", "/a"]])
def test_options_stand_before_or_after_the_command(words: list[str]) -> None:
    assert build_parser().parse_args(words).home == "/a"


def test_the_module_runs_and_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['weighbridge', '--help']\n"
        "from weighbridge.cli.main import main\n"
        "code = main()\n"
        "heavy = {'numpy', 'sqlalchemy', 'rich', 'msgspec', 'alembic', 'blake3', 'asyncio'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), len(sys.modules)); sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "HEAVY []" in done.stdout
    whole = subprocess.run([sys.executable, "-m", "weighbridge", "version"], capture_output=True, text=True)
    assert whole.stdout == f"weighbridge {__version__}\n"
