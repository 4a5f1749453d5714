"""The site is whole: links lead somewhere, every page is in the navigation, and it is built without a warning."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from blocks import DOCS, FENCE, ROOT, WRITTEN

from docs.generator import PAGES, pages
from docs.pictures import terminal

LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every page without its code."""
    written = {name: (DOCS / name).read_text(encoding="utf-8") for name in WRITTEN}
    return {name: FENCE.sub("", text) for name, text in {**written, **pages()}.items()}


def anchors(text: str) -> set[str]:
    """What headings can be pointed at by."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w-]+", "-", title.lower()).strip("-") for title in titles}


def test_links_resolve(texts: dict[str, str]) -> None:
    checked = 0
    for name, text in texts.items():
        for link in LINK.findall(text):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = os.path.normpath(PurePosixPath(name).parent / path) if path else name
            assert target in texts or (DOCS / target).is_file(), f"{name} points at {link}"
            assert not anchor or anchor in anchors(texts[target]), f"{name} points at {link}"
            checked += 1
    assert checked > 10


def test_links_of_the_front_page_resolve() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = {link.partition("#")[0] for link in LINK.findall(text) if "://" not in link}
    assert [link for link in links if not (ROOT / link).exists()] == []  # nor is a page that the site alone has
    assert len(links) > 10


def test_no_generated_page_is_kept_as_a_file() -> None:
    assert set(PAGES).isdisjoint(WRITTEN)


def test_navigation_has_every_page_once() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    assert sorted(_pages(nav)) == sorted([*WRITTEN, *PAGES])


def _pages(nav: Any) -> Iterator[str]:
    for entry in nav:
        for value in entry.values():
            if isinstance(value, str):
                yield value
            else:
                yield from _pages(value)


@pytest.mark.parametrize("name", ["flow.svg", "structure.svg", "terminal.svg"])
def test_pictures_are_described_and_load_nothing(name: str) -> None:
    text = (DOCS / name).read_text()
    root = ElementTree.fromstring(text)
    assert root.find("{*}title") is not None
    assert root.find("{*}desc") is not None
    assert not re.search(r"(href|src|@import|url\((?!#))", text)


def test_the_terminal_shows_the_commands_of_its_script() -> None:
    text = html.unescape((DOCS / "terminal.svg").read_text()).replace("\xa0", " ")
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert {*terminal.COMMANDS} <= {line.strip() for line in shown}
    assert not any("Traceback" in line for line in shown)


def test_it_is_built_strictly(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="the extra docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout + done.stderr == ""
    for name in (*WRITTEN, *PAGES):
        page = tmp_path / "site" / name.replace(".md", ".html")
        assert "<table" in page.read_text() or "<h1" in page.read_text()
    assert not list((tmp_path / "site").rglob("*.py"))
    listed = re.findall(r"\]\((.+?)\): \S", (tmp_path / "site" / "llms.txt").read_text())
    assert sorted(listed) == sorted(name.replace(".md", ".html") for name in (*WRITTEN, *PAGES))
    assert all((tmp_path / "site" / page).is_file() for page in listed)
