"""Draws README's picture of a terminal: three commands, from a folder of images to a leaderboard.

The commands run in a pseudo-terminal, and the picture is what they print there: ``python -m docs.pictures terminal``
(pyte is needed; it takes some minutes).  The images are generated scenes, written as PNG.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from rich.console import Console
from rich.text import Text

from rsbench.api import prepare_generated
from rsbench.data.store import find
from rsbench.registry import registry

WIDTH: Final = 96
LINES: Final = 400  # more than is printed, so that nothing scrolls away
IMAGES: Final = 60  # of each class
MODELS: Final = "timm:resnet18,timm:mobilenetv3_small_100,timm:regnetx_002"
COMMANDS: Final = (
    f"rsbench run {MODELS} folder:fields --epochs 8",
    "rsbench leaderboard",
    "rsbench leaderboard --format html --samples 6 --output board.html",
)
TITLE: Final = "From a folder of images to a leaderboard"
OUTPUT: Final = Path(__file__).resolve().parent.parent / "terminal.svg"


def write_images(folder: Path, data_root: Path) -> None:
    """Write scenes as ``<class>/<number>.png``."""
    prepare_generated("scenes", data_root)
    store = find(data_root, registry().get("dataset", "scenes"))
    labels = store.labels
    for label, name in enumerate(store.manifest["classes"]):
        place = folder / name
        place.mkdir(parents=True)
        for number, sample in enumerate(np.flatnonzero(labels == label)[:IMAGES]):
            bands = np.asarray(store.images[store.image_index[sample]])  # uint8 [3, H, W]
            Image.fromarray(bands.transpose(1, 2, 0)).save(place / f"{number:03d}.png")


def typed(command: str, folder: Path, environment: dict[str, str]) -> list[Text]:
    """Run a command in a pseudo-terminal and return the lines that stand there at its end, it first."""
    import pyte

    screen = pyte.Screen(WIDTH, LINES)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, WIDTH, 0, 0))
    child = subprocess.Popen(
        command.split(), stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=os.environ | environment
    )
    os.close(theirs)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the terminal has no other end any more
            break
        stream.feed(data)
    if child.wait() != 0:
        sys.exit(f"{command} ended with {child.returncode}:\n" + "\n".join(screen.display).rstrip())
    last = max((n for n, line in enumerate(screen.display) if line.strip()), default=-1)
    lines = [_line(screen.buffer[n]) for n in range(last + 1)]
    return [Text.assemble(("$ ", "bold green"), (command, "bold")), *lines, Text()]


def _line(cells: Any) -> Text:
    line = Text()
    for column in range(WIDTH):
        cell = cells[column]
        color = "" if cell.fg == "default" else cell.fg if cell.fg.isalpha() else f"#{cell.fg}"
        color = {"brown": "yellow"}.get(color, color)
        line.append(cell.data, " ".join(filter(None, ("bold" if cell.bold else "", color))))
    line.rstrip()
    return line


def main() -> None:
    """Write the picture."""
    with tempfile.TemporaryDirectory() as place:
        folder, data = Path(place), Path(place) / "data"
        write_images(folder / "fields", data)
        console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115
        environment = {"RSBENCH_DATA": str(data), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        for command in COMMANDS:
            for line in typed(command, folder, environment):
                console.print(line, no_wrap=True, crop=False)
        picture = console.export_svg(title=TITLE, unique_id="rsbench")
    OUTPUT.write_text(finished(picture))


def finished(picture: str) -> str:
    """Return a drawing of Rich with a description, and without fonts from elsewhere, which it may not load."""
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    described = f"<title>{TITLE}</title>\n    <desc>What a terminal shows of: {'; '.join(COMMANDS)}</desc>"
    picture = re.sub(r"<!-- Generated with Rich.*?-->", described, picture)
    return picture.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
