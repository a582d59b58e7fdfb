"""The picture in the README: it shows what the demo says, and asks no other host for anything."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from tests.arch.rules import ROOT

PICTURE = ROOT / "docs" / "images" / "demo.svg"


def shown() -> str:
    """The text of the picture, one line."""
    root = ElementTree.fromstring(PICTURE.read_text())
    texts = ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    return " ".join("".join(texts).replace("\xa0", " ").split())


def test_it_is_small_and_asks_no_other_host() -> None:
    text = PICTURE.read_text()
    assert PICTURE.stat().st_size < 100_000
    assert set(re.findall(r"https?://[^\s\"')]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text.replace("url(#", "")


def test_it_shows_the_refuted_claim_its_cause_and_the_lineage() -> None:
    text = shown()
    for part in (
        "failed, 0 of 2 claims reproduced",
        "1. dataset digits-split: producer used v1",
        "Compared with ada/model-registry/Digits:v0 (production)",
        "digits-model:v2",
    ):
        assert part in text, part


def test_the_readme_shows_it() -> None:
    assert f"]({PICTURE.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
