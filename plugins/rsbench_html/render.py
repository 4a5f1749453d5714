"""Boards as one HTML file that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rsbench.leaderboard.board import Board
from rsbench_html.samples import Sample

if TYPE_CHECKING:
    from rsbench_html.view import Section, System

HERE: Final = Path(__file__).parent
PLAIN: Final = 200  # records up to which a page holds all that is behind its systems as it is; it opens in no time


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
    parts = environment.get_template("parts.html").module
    packed = _packed(parts.details, shown) if len(board.records) > PLAIN else None  # type: ignore[attr-defined]
    return environment.get_template("page.html").render(
        style=style,
        script=script,
        script_hash=_hash(script),
        closing=closing(board),
        sections=shown,
        packed=packed,
        filters=_filters(shown),
        records=len(board.records),
    )


def _packed(details: Callable[[System], str], shown: Sequence[Section]) -> str:
    """What is behind each system, by its id, as JSON, compressed and in letters of base64."""
    found = {f"s-{system.series.id}": details(system) for section in shown for system in section.systems}
    data = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


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
