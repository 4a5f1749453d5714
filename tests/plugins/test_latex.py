from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import made
import pytest
from rsbench_latex import latex
from rsbench_latex.citations import bibliography, escape, sources

from rsbench.leaderboard.board import Board

EVERY = "\\ { } $ & # ^ _ ~ % < > \" ' ` | -- --- ,, a\nb\x00c"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    folder = tmp_path_factory.mktemp("records")
    records = [made.record("plain", 0.6), made.record("cited", 0.9), made.record(EVERY.replace("\x00", ""), 0.7)]
    for record, name in zip(records, ("bmta", "bazi2022", "unknown"), strict=True):
        record["plan"]["model"]["name"] = name
    low = {"name": "gate:above-chance", "ok": False, "detail": "50 % & less"}
    odd = made.record("odd", 0.3, checks=(low,))
    return made.board(folder, *records, odd, made.record("line", 0.5, tags=("control",)))


def stripped(text: str) -> str:
    return re.sub(r"\\[{}\\%&#_$]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))


def test_special_characters_are_escaped() -> None:
    assert escape("a_b%c&d#e$f") == r"a\_b\%c\&d\#e\$f"
    assert escape("\\{}") == r"\textbackslash{}\textbraceleft{}\textbraceright{}"
    assert escape("~^<>|`") == "".join(
        rf"\text{name}{{}}" for name in ("asciitilde", "asciicircum", "less", "greater", "bar", "asciigrave")
    )
    assert escape("a--b---c,,d") == "a-{}-b-{}-{}-c,{},d"
    assert escape("a\nb\x00c\x1b") == "a b c "


def test_tables_are_balanced_and_rows_have_every_cell(board: Board) -> None:
    text = latex.render(board)
    plain = stripped(text)
    assert plain.count("{") == plain.count("}")
    opened = re.findall(r"\\begin\{([a-z*]+)\}", text)
    assert sorted(opened) == sorted(re.findall(r"\\end\{([a-z*]+)\}", text))
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 6
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1


def test_controls_are_below_a_rule_and_flagged_rows_have_a_note(board: Board) -> None:
    lines = latex.render(board).splitlines()
    place = next(k for k, line in enumerate(lines) if "& line" in line)
    assert lines[place - 1] == r"\midrule"
    assert lines[place + 1] == r"\bottomrule"
    (odd,) = [line for line in lines if "& odd" in line]
    letter = re.search(r"textsuperscript\{(\w)", odd)
    assert letter is not None
    assert rf"\textsuperscript{{{letter[1]}}}\,fails above-chance: 50 \% \& less." in "\n".join(lines)


def test_citations_have_an_entry_each(board: Board) -> None:
    text, entries = latex.render(board), latex.render_bib(board)
    used = {key for keys in re.findall(r"\\cite\{([^}]+)\}", text) for key in keys.split(",")}
    assert used == set(re.findall(r"@misc\{([^,]+),", entries)) != set()
    assert "arXiv 2510.15527" in entries
    assert set(re.findall(r"^  (\w+) =", entries, re.M)) == {"key", "note"}


def test_sources_are_what_has_a_year() -> None:
    assert sources("Lu 2017, arXiv 1; settings are not known") == ["Lu 2017, arXiv 1"]
    assert sources("Vir 2025; DropBlock: Ghiasi et al. 2018") == ["Vir 2025", "DropBlock: Ghiasi et al. 2018"]
    assert sources("") == []
    assert "note = {100 \\% \\textbraceleft{} of it}" in bibliography({"100 % { of it": "of"})


def test_the_tables_compile(board: Board, tmp_path: Path) -> None:
    if not shutil.which("pdflatex") or not shutil.which("bibtex"):
        pytest.skip("no LaTeX here")
    (tmp_path / "board.tex").write_text(latex.render(board))
    (tmp_path / "board.bib").write_text(latex.render_bib(board))
    (tmp_path / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage{booktabs,graphicx}\n\\begin{document}\nText.\n\\input{board}\n"
        "\\bibliographystyle{plain}\n\\bibliography{board}\n\\end{document}\n"
    )
    tex = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    for command in (tex, ["bibtex", "paper"], tex, tex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout
    assert "undefined" not in (tmp_path / "paper.log").read_text(errors="replace")
