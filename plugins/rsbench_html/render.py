"""Boards as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rsbench.leaderboard.board import Board
from rsbench_html.samples import Sample

HERE: Final = Path(__file__).parent


def render(board: Board, samples: Mapping[str, Sequence[Sample]] | None = None, output: Path | None = None) -> str:
    """Return the board as HTML.

    Args:
        samples: protocol fingerprint -> sample predictions; only with them is there an image in the page.
        output: the file that is to be written; records that lie near it are linked.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from rsbench.leaderboard.render.cells import closing
    from rsbench_html.view import sections

    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    style, script = (Markup((HERE / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js"))
    shown = sections(board, samples or {}, output)
    return environment.get_template("page.html").render(
        style=style,
        script=script,
        script_hash=_hash(script),
        closing=closing(board),
        sections=shown,
        filters=_filters(shown),
        records=len(board.records),
    )


def _hash(script: str) -> str:
    """What the page's policy lets run: this script and no other."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _filters(shown: Sequence[Any]) -> list[tuple[str, list[str]]]:
    """Return name -> values of the filters that have something to choose from."""
    systems = [(section, system) for section in shown for system in section.systems]
    values = {
        "task": {s.table.task for s, _ in systems},
        "dataset": {s.table.dataset for s, _ in systems},
        "division": {x.series.row.division for _, x in systems},
        "tag": {tag for _, x in systems for tag in x.tags},
    }
    least = {"tag": 1}
    return [(name, sorted(found)) for name, found in values.items() if len(found) >= least.get(name, 2)]
