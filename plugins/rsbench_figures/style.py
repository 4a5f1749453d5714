"""How figures look: sizes in millimeters, colors and marks that paper and the color-blind tell apart."""

from __future__ import annotations

from typing import Any, Final

COLUMN_MM: Final = 85.0  # of a two-column page
PAGE_MM: Final = 178.0
AXES_MM: Final = 52.0  # height of a plot above its legend
LINE_MM: Final = 3.9  # of a line of the legend
INCH_MM: Final = 25.4
# Okabe and Ito (2008), the yellow one last, since it is faint on white.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKS: Final = ("o", "s", "D", "^", "v", "P", "h", "X")
OTHER: Final = "#8a8a8a"
SETTINGS: Final[Any] = {  # which keys there are depends on the version of matplotlib
    "font.size": 7.0,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.1,
    "lines.markersize": 4.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "savefig.dpi": 300,
    # Text stays text: embedded fonts in PDF, names of fonts in SVG.
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "rsbench",
    "text.parse_math": False,  # names hold what they like
}
# What would say when and with which version a file was made.
NO_DATES: Final[dict[str, dict[str, None]]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "ModDate": None},
    "svg": {"Date": None},
}


def color(number: int | None) -> str:
    """Color of a series; ``None`` is one that has none of its own."""
    return OTHER if number is None else COLORS[number]


def mark(number: int | None) -> str:
    """Mark of a series, as :func:`color`."""
    return "." if number is None else MARKS[number]
