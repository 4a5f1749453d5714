"""``llms.txt`` beside the site: which page says what, for programs that read on behalf of people (llmstxt.org)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).resolve().parent.parent
PATH: Final = "llms.txt"
INTRODUCTION: Final = """# rsbench

> Trains, evaluates and ranks models of scene classification, image captioning and visual question answering on
> remote-sensing datasets under fixed protocols. Every number has an interval, every interval comes from stored
> predictions, and every model, dataset, loss and metric is a plugin. Command line: `rsbench`; Python: `import rsbench`.

## Pages

"""


def text(generated: Mapping[str, str]) -> str:
    """Return the file: a line for each page, with its first sentence.

    Args:
        generated: path below ``docs/`` -> Markdown of the pages that are made from the code.
    """
    written = {p.relative_to(DOCS).as_posix(): p.read_text(encoding="utf-8") for p in DOCS.rglob("*.md")}
    return INTRODUCTION + "".join(_lines({**written, **generated}))


def _lines(pages: Mapping[str, str]) -> Iterator[str]:
    for path, page in sorted(pages.items()):
        title = re.search(r"^# (.+)$", page, re.MULTILINE)
        prose = re.search(r"^(?![#>|!`<\s-])(.+?)(?:\n\n|\Z)", page, re.MULTILINE | re.DOTALL)
        about = " ".join(prose[1].split()) if prose else ""
        sentence = re.split(r"(?<=[.:]) ", about, maxsplit=1)[0].rstrip(":")
        yield f"- [{title[1] if title else path}]({path.removesuffix('.md')}.html): {sentence}\n"
