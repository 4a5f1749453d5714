"""The formats of a board, which plugins give: what they are called, and how they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsbench.containment import contained
from rsbench.errors import UserError, did_you_mean
from rsbench.extensions import FormatSpec
from rsbench.foreign import printable
from rsbench.registry import registry
from rsbench.specs import load_attribute

if TYPE_CHECKING:
    from rsbench.leaderboard.aggregate import Table
    from rsbench.leaderboard.board import Board

Samples = Mapping[str, Sequence[Any]]  # protocol fingerprint -> what `collect` returned


def formats() -> dict[str, FormatSpec]:
    """Return name -> format, the core's own first."""
    found: dict[str, FormatSpec] = registry().specs("format")
    return dict(sorted(found.items(), key=lambda item: not item[1].render.startswith(f"{__package__}.")))


def find(name: str) -> FormatSpec:
    """Return the format called *name*.

    Raises:
        UserError: there is none; the message names those that are installed.
    """
    known = formats()
    if name not in known:
        raise UserError(f"'{name}' is not a format; use {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]


def for_suffix(suffix: str) -> FormatSpec | None:
    """Return the first format whose files end in *suffix*."""
    return next((spec for spec in formats().values() if spec.suffix == suffix), None)


def render(spec: FormatSpec, board: Board, output: Path | None, samples: Samples | None) -> str:
    """Return a board as text; see :class:`rsbench.extensions.FormatSpec`.

    Args:
        spec: of the format.
        board: to be shown.
        output: file that will be written; ``None`` where the text is printed.
        samples: protocol fingerprint -> sample predictions, as :func:`collect` gives them.

    Raises:
        UserError: the format is for files alone.
        PluginError: the code of a plugin failed.
    """
    if spec.files is not None:
        raise UserError(f"{spec.name} is written to files: add --output board{spec.suffix}.")
    offered = {"output": output, "samples": samples}
    with _called(spec, "format"):
        text: str = load_attribute(spec.render)(board, **{name: offered[name] for name in spec.takes})
    return printable(text)


def files(spec: FormatSpec, board: Board, output: Path, samples: Samples | None) -> dict[Path, bytes]:
    """Return what is to be written: *output*, and what belongs beside it, or the files that the format makes of it.

    Args:
        spec: of the format.
        board: to be shown.
        output: file of the board itself.
        samples: as for :func:`render`.

    Raises:
        UserError: *output* is the name of what belongs beside it.
        PluginError: the code of a plugin failed.
    """
    if spec.files is not None:
        with _called(spec, "format"):
            made: dict[Path, bytes] = load_attribute(spec.files)(board, output)
        return made
    if output.suffix in spec.beside:
        better = output.with_suffix(spec.suffix).name
        raise UserError(f"{output} is the name of what {spec.name} writes beside the board; call that {better}.")
    texts = {output: render(spec, board, output, samples)}
    for suffix, function in spec.beside.items():
        with _called(spec, f"'{suffix}' of format"):
            texts[output.with_suffix(suffix)] = load_attribute(function)(board)
    # What cannot be said in UTF-8, such as half a surrogate pair in a foreign record, becomes a question mark.
    return {path: text.encode("utf-8", "replace") for path, text in texts.items()}


def collect(spec: FormatSpec, table: Table, root: Path, count: int) -> Sequence[Any]:
    """Return *count* samples of a table in the form that the format shows.

    Args:
        spec: of the format.
        table: whose rows' predictions are shown.
        root: data root with the images.
        count: how many images of the test split.

    Raises:
        UserError: the data are not available, or the format shows no samples; the message names those that do.
        PluginError: the code of a plugin failed.
    """
    if not spec.samples:
        raise UserError(no_samples())
    with _called(spec, "the samples of format"):
        found: Sequence[Any] = load_attribute(spec.samples)(table, root, count)
    return found


def no_samples() -> str:
    """Say which formats show samples."""
    showing = [name for name, spec in formats().items() if spec.samples]
    named = " or ".join(showing) or "html, which is not installed"
    return f"--samples is for --format {named}: the others hold no images."


def _called(spec: FormatSpec, what: str) -> AbstractContextManager[object]:
    """The door through which a plugin's code is called, for as long as it takes."""
    return contained(registry().origin("format", spec.name), f"{what} '{spec.name}'", limit=False)
