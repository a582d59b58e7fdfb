"""The tracked files: no index address, no machine path, links that lead somewhere, a changelog."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.arch import rules

# Written in pieces, so that this file does not hold what it looks for.
HOSTS = (
    "py" + r"pi\.org",
    r"python" + r"hosted\.org",
    r"registry\.npm" + r"js\.org",
    r"registry\.yarn" + r"pkg\.com",
)
INDEX_OPTIONS = (r"^\s*--?(extra-)?index" + "-url", r"^\s*--find" + "-links", r'"resolved":\s*"http')
MACHINE_PATHS = (
    r"(?<![\w.])/work" + "/",
    r"(?<![\w.])/root" + "/",
    r"(?<![\w.])/opt/" + "(wheels|pypi)",
    r"/tmp/" + "brief",
)
FORBIDDEN = re.compile("|".join(HOSTS + INDEX_OPTIONS + MACHINE_PATHS), re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@cache
def tracked() -> tuple[Path, ...]:
    """The files git knows, or all files where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=rules.ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout, so nothing says which files are ours")
    paths = (rules.ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def forbidden_in(text: str) -> list[str]:
    """Every registry address, index option and machine path in a text."""
    return [match.group() for match in FORBIDDEN.finditer(text)]


def slug(heading: str) -> str:
    """The anchor that Markdown sites make of a heading."""
    kept = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"[\s]+", "-", kept)


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead to no file, or to no heading of it."""
    broken = []
    for match in LINK.finditer(CODE.sub("", page.read_text())):
        target = match.group(1) or match.group(2)
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists():
            broken.append(f"{page.name}: {target}")
        elif anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            if anchor not in {slug(heading) for heading in headings}:
                broken.append(f"{page.name}: {target} (no such heading)")
    return broken


@pytest.mark.parametrize(
    "text",
    [
        "see https://" + "pypi" + ".org/simple",
        "--index" + "-url x",
        "cd /work" + "/main",
        "open('/root" + "/x')",
    ],
)
def test_an_address_or_machine_path_is_found(text: str) -> None:
    assert forbidden_in(text)


def test_ordinary_text_is_let_through() -> None:
    path_of_an_artifact = "/".join(("entity", "work", "root"))  # joined here, so that this file passes too
    assert not forbidden_in(f"pip install weighbridge; ~/.weighbridge; {path_of_an_artifact}; index-url")


def test_no_tracked_file_holds_an_index_address_or_a_machine_path() -> None:
    found = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # an image or a data file
        found += [f"{path.relative_to(rules.ROOT)}: {match}" for match in forbidden_in(text)]
    assert not found


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# The `run` page\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md) [b](other.md#the-run-page) [c](https://example.org/x) `[d](code.md)`")
    assert broken_links(page) == []
    page.write_text("[a](gone.md) [b](other.md#gone)\n\n[c]: also-gone.md\n")
    assert len(broken_links(page)) == 3


def test_links_between_pages_lead_somewhere() -> None:
    pages = [path for path in tracked() if path.suffix == ".md"]
    assert pages
    assert not [problem for page in pages for problem in broken_links(page)]


def lost_paths(text: str) -> list[str]:
    """Files and folders a page names in backticks that are in neither the repository nor the package."""
    named = re.findall(r"`([\w./-]*/[\w./-]*)`", text)
    places = (rules.ROOT, rules.PACKAGE)
    return [name for name in named if not any((place / name).exists() for place in places)]


def test_a_lost_path_is_found() -> None:
    assert lost_paths("`sdk/` `src/weighbridge/errors.py` `sdk/gone.py` `a * b` `errors.py`") == [
        "sdk/gone.py"
    ]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md"])
def test_the_map_names_only_what_exists(page: str) -> None:
    assert not lost_paths((rules.ROOT / page).read_text())


def lost_modules(text: str, package: Path) -> list[str]:
    """Modules a page names in its drawings (fenced blocks) that are nowhere in a package."""
    drawings = "".join(re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"[\w/*]+\.py\b", drawings)
    return [name for name in named if not any(package.glob(f"**/{name}"))]


def test_a_module_that_is_gone_from_a_drawing_is_found(tmp_path: Path) -> None:
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk" / "run.py").touch()
    text = "gone.py\n```text\nsdk/\n  run.py, r*.py  sdk/run.py, sdk/spool.py, x*.py\n```\n"
    assert lost_modules(text, tmp_path) == ["sdk/spool.py", "x*.py"]


def test_the_drawings_of_the_map_name_only_what_exists() -> None:
    assert not lost_modules((rules.ROOT / "ARCHITECTURE.md").read_text(), rules.PACKAGE)


def test_locks_hold_exact_pins_and_nothing_else() -> None:
    for path in (rules.ROOT / "requirements").glob("*.txt"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        assert lines and all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines), path.name


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    changelog = (rules.ROOT / "CHANGELOG.md").read_text()
    unreleased = re.search(r"^## \[?Unreleased\]?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    assert unreleased is not None
