"""What is captured of a process, what is masked, and that nothing makes it raise."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.environment import (
    ENVIRONMENT_VARIABLES,
    MAX_PATCH_SIZE_BYTES,
    Environment,
    environment_from_plain,
)
from weighbridge.errors import InvalidInput
from weighbridge.sdk import git_state as git_module
from weighbridge.sdk.environment import capture, installed_packages, nvidia_gpus
from weighbridge.sdk.environment_capture import captured, recaptured
from weighbridge.sdk.git_state import git_state
from weighbridge.sdk.secrets import MASK, MAX_ARGUMENTS, is_secret_name, mask_command, mask_text


@pytest.mark.parametrize(
    ("arguments", "masked"),
    [
        (["a.py", "--password", "hunter2"], ["a.py", "--password", MASK]),
        (["--api-key=abc"], [f"--api-key={MASK}"]),
        (["--hfToken", "abc", "x"], ["--hfToken", MASK, "x"]),
        (["db.password=abc"], [f"db.password={MASK}"]),
        (["AWS_SECRET_ACCESS_KEY=a=b"], [f"AWS_SECRET_ACCESS_KEY={MASK}"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["--url", "https://ada:pw@example.org/x"], ["--url", f"https://{MASK}@example.org/x"]),
        (["https://example.org/?a=1&access_token=xyz"], [f"https://example.org/?a=1&access_token={MASK}"]),
        (["hf_" + "a" * 30], [MASK]),
        (["-H", "Authorization: Bearer abc.def"], ["-H", f"Authorization: Bearer {MASK}"]),
        (["--max-tokens", "5", "--tokenizer", "bert"], ["--max-tokens", "5", "--tokenizer", "bert"]),
        (["--token-file", "t.txt", "--lr=0.1"], ["--token-file", "t.txt", "--lr=0.1"]),
    ],
)
def test_secrets_in_a_command_line_are_masked_and_the_rest_stays(
    arguments: list[str], masked: list[str]
) -> None:
    assert list(mask_command(arguments)) == masked


def test_a_command_line_is_bounded() -> None:
    masked = mask_command(["x"] * (MAX_ARGUMENTS + 1))
    assert len(masked) == MAX_ARGUMENTS + 1 and masked[-1] == "... 1 more"
    assert len(mask_command(["y" * 10_000])[0]) == 4_096


secrets = st.text("abcdefghijklmnop0123456789", min_size=12)


@given(secrets, st.sampled_from(["--password", "--x-token", "-api_key", "--client-secret"]))
def test_law_no_secret_given_by_flag_or_address_survives(secret: str, flag: str) -> None:
    shown = " ".join(mask_command([flag, secret, f"{flag}={secret}", f"s3://u:{secret}@host/p"]))
    assert secret not in shown


def test_names_of_secrets() -> None:
    assert [
        name for name in ("HF_TOKEN", "apiKey", "monkey", "pad_token_id", "tokens") if is_secret_name(name)
    ] == [
        "HF_TOKEN",
        "apiKey",
    ]


def test_only_the_listed_variables_are_kept() -> None:
    environ = {"OMP_NUM_THREADS": "4", "AWS_SECRET_ACCESS_KEY": "x", "PYTHONHASHSEED": "7", "PATH": "/bin"}
    found = capture(environ=environ, argv=[], with_git=False, with_packages=False)
    assert found.variables == {"OMP_NUM_THREADS": "4", "PYTHONHASHSEED": "7"}
    assert found.seeds == {"PYTHONHASHSEED": "7"}
    assert not any(
        word in name for name in ENVIRONMENT_VARIABLES for word in ("TOKEN", "SECRET", "PASSWORD", "KEY")
    )


def test_a_capture_knows_the_process_and_round_trips() -> None:
    found = capture(environ={}, argv=["train.py", "--lr", "0.1"], with_git=False)
    assert found.python_version == ".".join(map(str, sys.version_info[:3]))
    assert found.command == ("train.py", "--lr", "0.1") and found.program == "train.py"
    assert found.packages["msgspec"] == msgspec.__version__
    assert environment_from_plain(found.to_plain()) == found
    assert environment_from_plain({"later_field": 1}) == Environment()
    with pytest.raises(InvalidInput, match="packages"):
        environment_from_plain({"packages": [1]})


def test_packages_follow_sys_path_and_the_first_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place, name in (
        ("a", "My_Pkg-2.0.dist-info"),
        ("b", "my.pkg-1.0.dist-info"),
        ("b", "other-3-py3.11.egg-info"),
    ):
        (tmp_path / place / name).mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "gone")])
    assert installed_packages() == ({"my-pkg": "2.0", "other": "3"}, ())
    (tmp_path / "a" / "late-1.dist-info").mkdir()
    os.utime(tmp_path / "a", ns=(1, 1))
    assert installed_packages()[0]["late"] == "1"


def test_no_framework_is_imported_by_a_capture() -> None:
    code = (
        "import os, sys; from weighbridge.sdk.environment import capture; capture(environ=os.environ);"
        "print([m for m in ('torch', 'jax', 'numpy', 'importlib.metadata') if m in sys.modules])"
    )
    source = str(Path(git_module.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


def test_settings_of_an_imported_framework_are_read_and_missing_ones_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch = types.ModuleType("torch")
    torch.initial_seed = lambda: 42  # type: ignore[attr-defined]  # a module built for the test
    torch.get_default_dtype = lambda: "torch.float32"  # type: ignore[attr-defined]  # as above
    monkeypatch.setitem(sys.modules, "torch", torch)
    found = capture(environ={}, argv=[], with_git=False, with_packages=False)
    assert found.seeds == {"torch.initial_seed": "42"}
    assert found.precision == {"torch.default_dtype": "torch.float32"}
    assert any(note.startswith("torch.cudnn.deterministic: not known") for note in found.notes)


@pytest.mark.parametrize(
    "line",
    [
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.129.03  Release Build",
    ],
)
def test_gpus_are_read_from_the_kernel_modules_files(tmp_path: Path, line: str) -> None:
    assert nvidia_gpus(tmp_path / "none") == ((), "")
    (tmp_path / "gpus" / "0000:01:00.0").mkdir(parents=True)
    (tmp_path / "gpus" / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA H200\nIRQ: 1\n")
    (tmp_path / "version").write_text(line + "\nGCC version: 12.2.0\n")
    assert nvidia_gpus(tmp_path) == (("NVIDIA H200",), "535.129.03")


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a.py").write_text("x = 1\n")
    run_git(tmp_path, "add", "a.py")
    run_git(tmp_path, "commit", "-q", "-m", "first")
    run_git(tmp_path, "remote", "add", "origin", "https://ada:pw@example.org/r.git")
    return tmp_path


def test_outside_of_a_work_tree_there_is_no_git_and_no_note(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, ())


def test_a_missing_or_failing_git_leaves_a_note(work_tree: Path) -> None:
    state, notes = git_state(work_tree, program="no-such-git")
    assert state is None and "cannot be run" in notes[0]
    state, notes = git_state(work_tree, program="false")
    assert state is None and "status 1" in notes[0]


def test_a_broken_work_tree_leaves_a_note(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    state, notes = git_state(tmp_path)
    assert state is None and notes[0].startswith("git: ")


def test_a_git_that_does_not_answer_is_given_up(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = work_tree / "slow-git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(git_module, "GIT_TIMEOUT_S", 0.05)
    state, notes = git_state(work_tree, program=str(slow))
    assert state is None and "did not answer" in notes[0]


def test_a_clean_tree(work_tree: Path) -> None:
    state, notes = git_state(work_tree)
    assert state is not None and notes == ()
    assert (state.commit, state.branch) == (run_git(work_tree, "rev-parse", "HEAD"), "trunk")
    assert (state.is_dirty, state.untracked, state.patch, state.patch_digest) == (False, 0, "", "")
    assert state.remote == f"https://{MASK}@example.org/r.git"


def test_a_dirty_tree_keeps_its_patch_without_tokens(work_tree: Path) -> None:
    (work_tree / "a.py").write_text(f"x = 2\nkey = 'ghp_{'a' * 36}'\n")
    (work_tree / "new.py").write_text("")
    (work_tree / "sub").mkdir()
    state, notes = git_state(work_tree / "sub")
    assert state is not None and state.is_dirty
    assert "+x = 2" in state.patch and "ghp_" not in state.patch and len(state.patch_digest) == 64
    assert state.untracked == 1 and "1 files are not in git" in notes[0]


def test_a_patch_past_the_bound_is_cut_and_said(work_tree: Path) -> None:
    (work_tree / "a.py").write_text("y = 1\n" * (MAX_PATCH_SIZE_BYTES // 4))
    state, notes = git_state(work_tree)
    assert state is not None and state.is_patch_cut and len(state.patch) <= MAX_PATCH_SIZE_BYTES
    assert any("cut at 1 MiB" in note for note in notes)


def test_git_is_asked_once_for_a_root(work_tree: Path) -> None:
    before = git_state(work_tree)
    (work_tree / "a.py").write_text("x = 3\n")
    assert git_state(work_tree) is before


def test_a_repository_without_a_commit_is_no_error(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q")
    (tmp_path / "a.py").write_text("")
    state, _ = git_state(tmp_path)
    assert state is not None and state.commit == "" and state.untracked == 1


@given(st.text())
def test_law_masking_text_never_fails_and_is_stable(text: str) -> None:
    assert mask_text(mask_text(text)) == mask_text(text)


def test_an_environment_that_did_not_change_is_not_recorded_again() -> None:
    before = captured()
    assert recaptured(before) is None
    after = recaptured({**before, "seeds": {"made-up": 1, **before["seeds"]}})
    assert after is None, "what cannot be read any more is kept"
