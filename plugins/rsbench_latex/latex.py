"""Boards as LaTeX tables (booktabs), one for each protocol."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from rsbench.leaderboard.aggregate import Row, Table
from rsbench.leaderboard.board import Board
from rsbench.leaderboard.recipe_labels import system_labels
from rsbench.leaderboard.render.cells import NOTE, beside, letters, ranks, reasons, remarks, score
from rsbench.metrics.display import factor, shown
from rsbench_latex.citations import bibliography, cited, escape, keys, models

HEAD: Final = r"""
% Tables of rsbench: \usepackage{{booktabs,graphicx}} in the preamble, \bibliography{{{bib}}} for what they cite.
% A table that is wider than its place is made smaller to fit.
"""
NARROW: Final = 7  # columns that fit into one column of a two-column page
LONG: Final = 32  # characters of a name from which it is set in several lines, across the page
FIT: Final = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def render(board: Board, output: Path | None = None) -> str:
    """Return the tables; those in *output* cite what :func:`render_bib` returns from the file of its name beside it."""
    bib = output.stem if output else "board"
    found = keys(board)
    parts = [HEAD.format(bib=bib).lstrip(), *(_Sheet(table, found).text() for table in board.tables)]
    none = [] if board.tables else ["% No finished runs to rank."]
    return "\n".join([*parts, *none, f"% {' '.join(board.census.sentence().split())}\n"])


def render_bib(board: Board) -> str:
    """Return what the tables cite, as a .bib file."""
    return bibliography(keys(board))


@dataclass
class _Sheet:
    """One table of a board; ``found`` is source -> key, ``notes`` flag -> letter of those met so far."""

    table: Table
    found: Mapping[str, str]
    notes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def systems(self) -> list[Row]:
        """The rows that are not baselines."""
        return [row for row in self.table.rows if not row.baseline]

    @cached_property
    def shared(self) -> Mapping[int, int]:
        """Rank -> rows that have it."""
        return Counter(row.rank for row in self.table.rows if row.rank is not None)

    @cached_property
    def varying(self) -> list[str]:
        """What differs between systems has a column; what they share is in the caption."""
        return [name for name in ("recipe", "division") if len({getattr(row, name) for row in self.systems}) > 1]

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Row, by its ``id``, -> the name of its system; no two rows read the same."""
        labels = system_labels(self.table.rows, self.varying)
        return {id(row): label for row, label in zip(self.table.rows, labels, strict=True)}

    def text(self) -> str:
        """The whole table."""
        columns = self.columns()
        long = any(len(label) > LONG for label in self.names.values())
        kind = "table*" if long or len(columns) > NARROW else "table"
        name = r"p{0.3\linewidth}" if long else "l"
        parts = [
            rf"\begin{{{kind}}}[t]",
            r"\centering\small\setlength{\belowcaptionskip}{4pt}",
            rf"\caption{{{self.caption()}}}",
            rf"\label{{tab:{self.label()}}}",
            FIT,
            rf"\begin{{tabular}}{{@{{}}r{name}{'r' * (len(columns) - 2)}@{{}}}}",
            *self.lines(columns),
            r"\end{tabular}}",
            self.below(),
            rf"\end{{{kind}}}",
        ]
        return "\n".join(parts) + "\n"

    def columns(self) -> list[str]:
        """Headings."""
        sign = factor(self.table.unit)[1].replace("%", r"\%").replace("x100", r"$\times$100")
        primary = escape(self.table.primary) + (f" ({sign})" if sign else "")
        others = [escape(name.removeprefix("accuracy_")) for name in beside(self.table)]
        extra = [name.capitalize() for name in self.varying]
        return ["", "System", *extra, "Seeds", primary, r"95\,\% CI", "Ranks", *others, "Params (M)"]

    def lines(self, columns: Sequence[str]) -> list[str]:
        """Headings, systems, and baselines below a rule."""
        body = [_line(self.cells(row)) for row in self.systems]
        baselines = [_line(self.cells(row)) for row in self.table.rows if row.baseline]
        rule = [r"\midrule"] if body and baselines else []
        return [r"\toprule", _line(columns), r"\midrule", *body, *rule, *baselines, r"\bottomrule"]

    def cells(self, row: Row) -> list[str]:
        """Texts of a row; a rank that several rows share has an equals sign."""
        table = self.table
        place = "--" if row.rank is None else str(row.rank) + (r"\rlap{$^{=}$}" if self.shared[row.rank] > 1 else "")
        deviation = rf" $\pm$ {score(row.deviation, table)}" if row.deviation is not None else ""
        interval = f"[{', '.join(_number(score(v, table)) for v in row.interval)}]" if row.interval else "--"
        return [
            place,
            self.name(row),
            *("" if row.baseline else escape(getattr(row, name)) for name in self.varying),
            seeds(row, table),
            _number(score(row.mean, table)) + deviation,
            interval,
            self.standing(row),
            *(_number(shown(row.metrics.get(metric), table.units[metric])) for metric in beside(table)),
            f"{row.params / 1e6:.2f}" if row.params else "--",
        ]

    def standing(self, row: Row) -> str:
        """The ranks that are not excluded, and letters."""
        found = letters(row)
        mark = "" if found == "-" else rf"\,{found}"
        return "--" if row.rank_interval is None else ranks(row.rank_interval).replace(" - ", "--") + mark

    def name(self, row: Row) -> str:
        """The system with its citation and the letters of its notes."""
        label = self.names[id(row)]
        text = escape(label)
        if len(label) > LONG:
            text = r"\raggedright " + text.replace(r"\_", r"\_\allowbreak{}")
        marks = [self.notes.setdefault(flag, _letter(len(self.notes))) for flag in reasons(row)]
        mark = rf"\textsuperscript{{{','.join(marks)}}}" if marks else ""
        used = [text for name in models(row) for text in cited("model", name)]
        return text + self.cite(used) + mark

    def cite(self, sources: Sequence[str]) -> str:
        """A citation of some sources."""
        used = dict.fromkeys(self.found[text] for text in sources)
        return rf"~\cite{{{','.join(used)}}}" if used else ""

    def caption(self) -> str:
        """What is compared, and what the systems have in common."""
        table = self.table
        alike = {name: getattr(self.systems[0], name) for name in ("recipe", "division") if self.systems}
        common = "".join(f" {k.capitalize()}: {escape(v)}." for k, v in alike.items() if v and k not in self.varying)
        return (
            f"{escape(table.dataset)}{self.cite(cited('dataset', table.dataset))}, protocol {escape(table.protocol)}: "
            f"{escape(table.primary)} on {table.test_samples} test samples.{common} "
            rf"Protocol fingerprint \texttt{{{table.fingerprint[:16]}}}."
        )

    def label(self) -> str:
        """Name by which a text refers to the table."""
        name = f"{self.table.dataset} {self.table.protocol} {self.table.fingerprint[:8]}"
        return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")

    def below(self) -> str:
        """Why rows are not ranked, and how to read the table."""
        texts = [rf"\textsuperscript{{{letter}}}\,{escape(flag)}." for flag, letter in self.notes.items()]
        texts += [escape(line) for line in remarks(self.table)] + [escape(NOTE)]
        return rf"\par\smallskip\parbox{{0.97\linewidth}}{{\footnotesize {' '.join(texts)}}}"


def seeds(row: Row, table: Table) -> str:
    """How many, and the score of each."""
    each = [_number(score(value, table)) for value in row.scores]
    return f"{len(each)}: {', '.join(each)}" if len(each) > 1 else "1"


def _line(texts: Sequence[str]) -> str:
    return " & ".join(texts) + r" \\"


def _number(text: str) -> str:
    """A printed number with a true minus sign; a dash for what is not known."""
    return "--" if text == "-" else f"$-${text[1:]}" if text.startswith("-") else text


def _letter(number: int) -> str:
    """a .. z, then aa, ab, .."""
    return (chr(96 + number // 26) if number >= 26 else "") + chr(97 + number % 26)
