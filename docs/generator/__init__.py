"""The pages that are made from the code when the site is built, so that they cannot be out of date."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from docs.generator import catalog, commands, hooks, protocols, reconstructed, renamed, reproduction, specs

PAGES: Final[dict[str, Callable[[], str]]] = {
    "catalog.md": catalog.page,
    "protocols.md": protocols.page,
    "reconstructed.md": reconstructed.page,
    "reproduction.md": reproduction.page,
    "reference/cli.md": commands.page,
    "reference/hooks.md": hooks.page,
    "reference/renamed.md": renamed.page,
    "reference/specs.md": specs.page,
}


def pages() -> dict[str, str]:
    """Return path below ``docs/`` -> Markdown of every page that is generated."""
    return {path: page() for path, page in PAGES.items()}
