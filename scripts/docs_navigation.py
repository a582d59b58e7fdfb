"""MkDocs hook: the order of the pages in the site's menu, so that a new page needs no entry anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

FIRST = ("index.md", "tutorial.md")
SECTIONS = {"Guides": "guides", "Reference": "reference", "Design": "design"}
LAST = ("benchmarks.md",)


class SiteConfig(Protocol):
    """What this hook uses of MkDocs' configuration."""

    docs_dir: str
    nav: list[object] | None


def on_config(config: SiteConfig) -> SiteConfig:
    """Fill the menu: start pages, one section a folder in name order, then everything else."""
    config.nav = navigation(Path(config.docs_dir))
    return config


def navigation(folder: Path) -> list[object]:
    """The menu of a docs folder; every page stands in it once, and no section is empty."""
    top = sorted(path.name for path in folder.glob("*.md"))
    menu: list[object] = [name for name in FIRST if name in top]
    for title, name in SECTIONS.items():
        pages: list[object] = [f"{name}/{path.name}" for path in sorted((folder / name).glob("*.md"))]
        if pages:
            menu.append({title: pages})
    rest = [name for name in top if name not in FIRST and name not in LAST]
    return [*menu, *rest, *(name for name in LAST if name in top)]
