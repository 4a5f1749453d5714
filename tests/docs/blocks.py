"""The code blocks of the documentation."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rsbench.registry import registry
from rsbench.scaffold import write

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(rsbench [^`\n]+)`")
README = "../README.md"
WRITTEN = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@dataclass(frozen=True)
class Block:
    """A fenced block; one with a title is a file of the plugin that the page is about."""

    language: str
    title: str | None
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page in order."""
    content = (DOCS / page).read_text(encoding="utf-8")
    return [Block(m[1], m[2], m[3], content.count("\n", 0, m.start()) + 2) for m in FENCE.finditer(content)]


def command_lines(page: str) -> Iterator[str]:
    """Yield each call of rsbench, from blocks and from the running text, without what comes before ``rsbench``."""
    for block in blocks(page):
        if block.language == "sh":
            for line in block.text.replace("\\\n", " ").splitlines():
                found = re.search(r"(?:^|\s|/)(rsbench\s.*)", line)
                if found and not line.startswith(("#", "pip", "python")):
                    yield found[1]
    content = FENCE.sub("", (DOCS / page).read_text(encoding="utf-8"))
    yield from INLINE.findall(content)


def install(page: str, place: Path) -> str | None:
    """Write the plugin of a page, put it where pip would, and return its name."""
    folder = place / "plugin"
    for line in command_lines(page):
        words = line.split()
        if words[1:3] == ["plugins", "new"] and page not in ("plugins/index.md", "howto.md", README):
            write(words[3], words[5], folder)
    for block in blocks(page):
        if block.title:
            target = folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
    if not folder.exists():
        return None
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"]["rsbench"].items()
    if (folder / module).is_dir():
        shutil.copytree(folder / module, place / "site" / module)
    else:
        shutil.copy(folder / f"{module}.py", place / "site")
    info = place / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\n{name} = {module}\n")
    registry.cache_clear()
    return name
