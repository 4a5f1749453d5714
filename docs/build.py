"""mkdocs calls this while it builds the site: it adds the pages that are made from the code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those that are written by hand."""
    from mkdocs.structure.files import File

    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    from docs.generator import llms, pages

    made = pages()
    for path, text in [*made.items(), (llms.PATH, llms.text(made))]:
        files.append(File.generated(config, path, content=text))
    return files
