"""Draws README's pictures: of a leaderboard by ``python -m docs.pictures`` (Chromium is needed), of a terminal by
``python -m docs.pictures terminal``."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image

from rsbench.leaderboard.board import build
from rsbench.records.store import load_all

ROOT: Final = Path(__file__).resolve().parent.parent.parent
BENCHMARKS: Final = ROOT / "benchmarks"
WIDTH: Final = 1280  # pixels of the window
HEIGHT: Final = 1180
SHOWN: Final = 960  # pixels of the picture's width
QUIET: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--hide-scrollbars")


def main() -> None:
    """Write the picture."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("There is no Chromium here: install it, or leave the picture as it is.")
    from rsbench_html import render as html

    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "page.html", Path(folder) / "shot.png"
        page.write_text(
            html.render(build(load_all([BENCHMARKS / "records" / "eurosat"])), None, page), encoding="utf-8"
        )
        size = f"--window-size={WIDTH},{HEIGHT}"
        command = [browser, *QUIET, size, f"--screenshot={shot}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
        image = Image.open(io.BytesIO(shot.read_bytes())).convert("RGB")
    image = image.resize((SHOWN, SHOWN * image.height // image.width), Image.Resampling.LANCZOS)
    image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
        BENCHMARKS / "leaderboards" / "leaderboard.png", optimize=True
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["terminal"]:
        from docs.pictures import terminal

        terminal.main()
    else:
        main()
