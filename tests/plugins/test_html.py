from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import made
import pytest
from rsbench_html import pareto
from rsbench_html import render as html
from rsbench_html.samples import collect
from rsbench_html.view import sections
from rsbench_latex import latex

from rsbench.cli.leaderboard import PAGE, show
from rsbench.data import splits
from rsbench.data.prepare import prepare
from rsbench.data.store import find
from rsbench.errors import UserError
from rsbench.leaderboard.board import Board, build
from rsbench.leaderboard.render import data
from rsbench.plan import choose_protocol
from rsbench.records import external, store
from rsbench.registry import registry
from rsbench.specs import load_attribute
from rsbench.tasks.scoring import outcome_against, score_outcome
from rsbench.tasks.task import get_task

RECORDS = Path(__file__).parent.parent.parent / "benchmarks" / "records"


class Page(HTMLParser):
    """All tags with their attributes, and the text outside style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, attribute: str) -> list[str]:
        return [a[attribute] or "" for _, a in self.tags if attribute in a]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    return made.several(tmp_path_factory.mktemp("records"))


def test_hostile_texts_stay_text(board: Board) -> None:
    text = html.render(board)
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on")]
    assert "img" not in {tag for tag, _ in page.tags}
    assert "<script>alert" not in text
    assert made.SCRIPT.partition(" ")[0] in page.text
    assert made.FORMULA in page.text


def test_options_are_counted_where_that_tells_rows_apart() -> None:
    found = sections(build(store.load_all([RECORDS])), {}, None)
    for section in found:
        told = [(one.series.name, one.series.brief or one.series.options) for one in section.systems]
        assert len(set(told)) == len(told)
    briefs = {one.series.brief for section in found for one in section.systems}
    assert {"", "+2 options", "+9 options alone", "+9 options with scenes-vqa"} <= briefs


def test_what_differs_from_a_later_metric_in_its_number_is_minor() -> None:
    (captions,) = (s for s in sections(build(store.load_all([RECORDS / "ucm-captions"])), {}, None))
    assert [cell.heading for cell in captions.headings if cell.minor] == ["BLEU-1", "BLEU-2", "BLEU-3"]


def test_the_page_asks_for_nothing(board: Board) -> None:
    text = html.render(board)
    page = Page(text)
    assert not page.all("src")
    assert all(target.startswith("#") for target in page.all("href"))
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp", text)
    (policy,) = [a["content"] or "" for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    script = re.search(r"<script>(.*?)</script>", text, re.S)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy


def test_every_value_leads_to_its_record(board: Board) -> None:
    page = Page(html.render(board))
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in page.all("href")} <= set(ids)
    records = [a["id"] for tag, a in page.tags if tag == "details" and a.get("class") == "record"]
    assert len(records) == len(board.records) == 13
    assert sum(t.startswith("#run-") for t in page.all("href")) > 5


def test_plots_are_drawn(board: Board) -> None:
    labels = Page(html.render(board)).all("aria-label")
    for wanted in ("against parameters", "against seconds", "a second of", "validation accuracy", "training loss"):
        assert any(wanted in label for label in labels), wanted
    for wanted in ("by class of", "by confidence", "confusion matrix of good"):
        assert any(wanted in label for label in labels), wanted


def test_bytes_do_not_depend_on_order_or_hash_seed(board: Board, tmp_path: Path) -> None:
    folder = board.records[0].path.parent.parent
    loaded = store.load_all([folder])
    assert html.render(build(loaded)) == html.render(build(loaded[::-1]))
    for name in ("board.html", "board.tex"):
        command = ["leaderboard", str(folder), "--output", str(tmp_path / name)]
        command += ["--format", "latex" if name.endswith("tex") else "html"]
        for seed, extra in (("1", []), ("2", ["--check"])):
            assert run(seed, *command, *extra).returncode == 0
        assert not re.search(rb"\d\d:\d\d:\d\d(?!Z)", (tmp_path / name).read_bytes())
    (tmp_path / "board.bib").write_text("old")
    stale = run("3", *command, "--check")
    assert stale.returncode == 1
    assert "board.bib is out of date" in stale.stderr


def run(seed: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    command = [sys.executable, "-m", "rsbench", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(("classes", "epochs"), [(10, 30), (45, 100)])
def test_a_hundred_records_are_less_than_two_megabytes(tmp_path: Path, classes: int, epochs: int) -> None:
    systems = [made.record(f"system-{k:02d}", 0.5 + k / 250, classes=classes, epochs=epochs) for k in range(100)]
    text = html.render(made.board(tmp_path, *systems), output=tmp_path / "board.html")
    assert len(text.encode()) < 2_000_000
    assert text.count('class="record"') == 100


def test_links_to_records_are_near_and_relative(board: Board, tmp_path: Path) -> None:
    folder = board.records[0].path.parent.parent
    near = [t for t in Page(html.render(board, output=folder.parent / "boards" / "x.html")).all("href") if t[0] != "#"]
    assert len(near) == 13
    assert all(t.startswith(f"../{folder.name}/") and t.endswith("/record.json") for t in near)
    far = Page(html.render(board, output=Path("/somewhere/else/entirely/x.html"))).all("href")
    assert all(t.startswith("#") for t in far)


def test_what_is_not_known_is_left_out(tmp_path: Path) -> None:
    bare = made.record("bare") | {"train": None, "perf": None, "env": None, "by_group": {}, "timing": {}}
    bare["plan"]["recipe"] = {}
    bare["metrics"]["overall_accuracy"]["ci95"] = None
    text = html.render(made.board(tmp_path, bare)).partition("<script>")[0]
    assert not re.search(r"\b(None|null|nan|NaN|inf)\b", text.partition("</style>")[2])
    assert "No finished runs" in html.render(Board([]))


def test_filters_by_tag(tmp_path: Path) -> None:
    records = [made.record("a", 0.9, tags=("reconstruction",)), made.record("b", 0.8)]
    (table,) = made.board(tmp_path, *records, tag="reconstruction").tables
    assert [row.system for row in table.rows] == ["a"]
    assert build(store.load_all([tmp_path]), tag="other").tables == []


def test_costs_of_two_machines_are_never_compared(tmp_path: Path) -> None:
    records = [made.record(name, 0.9, device=name) for name in ("A100", "H100")]
    board = made.board(tmp_path, *records)
    parameters, seconds, _ = (pareto.points(board.tables[0], cost) for cost in pareto.COSTS)
    assert [len(p) for p in parameters.values()] == [2]
    assert sorted(machine.partition(",")[0] for machine in seconds) == ["A100", "H100"]
    assert "compare them by letter" in html.render(board)


def test_the_frontier_is_what_nothing_betters(tmp_path: Path) -> None:
    figures = (
        ("small", 0.70, 1),
        ("its equal", 0.70, 1),
        ("same score, larger", 0.70, 2),
        ("good", 0.95, 5),
        ("worse and larger", 0.90, 6),
        ("same size", 0.60, 1),
    )
    board = made.board(tmp_path, *(made.record(n, a, params=p, stream=0) | {} for n, a, p in figures))
    (found,) = pareto.points(board.tables[0], pareto.COSTS[0]).values()
    best = pareto.frontier(found, pareto.COSTS[0], higher_is_better=True)
    assert sorted(point.row.system for point in best) == ["good", "its equal", "small"]
    assert [point.cost for point in best] == [1, 1, 5]


def test_formulas_are_harmless_in_csv(board: Board) -> None:
    rows = list(csv.reader(io.StringIO(data.render_csv(board))))
    texts = [cell for row in rows for cell in row if not re.fullmatch(r"[-+.e\d]+", cell)]
    assert len(texts) > 50
    assert not [text for text in texts if text.startswith(data.FORMULA)]
    assert [row[5] for row in rows if "HYPERLINK" in row[5]] == ["'" + made.FORMULA]
    for text in ("=1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "\uff1d1"):
        assert data._guard(text) == f"'{text}"


TASKS = {
    "eurosat": ("label", {"per_class": 9}, ["AnnualCrop", "River"]),
    "ucm-captions": ("caption", {}, ["a river </script><script>alert(3)</script>", "two words"]),
    "rsvqa-lr": ("answer", {}, ["yes", "no"]),
}


@pytest.mark.parametrize("name", TASKS)
def test_samples_show_images_beside_what_was_said(name: str, tmp_path: Path) -> None:
    key, sizes, said = TASKS[name]
    spec = registry().get("dataset", name)
    load_attribute(spec.fake)(tmp_path / "files", spec, **sizes)
    prepare(spec, tmp_path / "files", tmp_path)
    stored, protocol = find(tmp_path, spec), choose_protocol(spec, None)
    test = splits.resolve(stored, protocol).test
    specs = [registry().get("metric", m) for m in protocol.metrics if m != "METEOR"]
    task = get_task(protocol.task)
    for number, text in enumerate(said):
        entries = [{"id": stored.ids[i], key: text} for i in test]
        outcome = outcome_against(task, entries, stored, test, specs)
        scored = score_outcome(task, outcome, specs, task.context(stored.manifest), protocol.primary)
        folder = tmp_path / "out"
        external.save(f"system {number}", outcome, scored, stored.path, stored.manifest, protocol, folder)
    board = build(store.load_all([tmp_path / "out"]))
    (table,) = board.tables
    samples = collect(table, tmp_path, 2)
    assert len(samples) == 2
    assert [s.name for s in samples] == [s.name for s in collect(table, tmp_path, 2)]
    text = html.render(board, {table.fingerprint: samples})
    page = Page(text)
    assert [source[:22] for source in page.all("src")] == ["data:image/jpeg;base64"] * 2
    assert [tag for tag, _ in page.tags].count("script") == 1
    for item in samples[0].items:
        assert {one.text.partition(" 1")[0] for one in item.predicted} == set(said)
        assert set(item.references) <= set(page.text)
    assert not Page(html.render(board)).all("src")
    for loaded in board.records:
        loaded.record["plan"]["dataset"]["fingerprint"] = "other"
    with pytest.raises(UserError, match="not those of the records"):
        collect(table, tmp_path, 2)


def test_a_finished_run_leaves_a_page(board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "out" / PAGE
    show([loaded.path for loaded in board.records], page)
    assert str(page) in capsys.readouterr().out
    assert not Page(page.read_text(encoding="utf-8")).all("src")


def test_samples_need_html(tmp_path: Path) -> None:
    done = run("0", "leaderboard", str(tmp_path), "--format", "latex", "--samples", "2")
    assert done.returncode == 2
    assert "--samples is for --format html" in done.stderr


def test_latex_and_html_agree_on_ranks(board: Board) -> None:
    ranks = re.findall(r"^(\d+)(?:\\rlap\{\$\^\{=\}\$\})? &", latex.render(board), re.M)
    shown = re.findall(r'class="place" data-v="\d+">.*?<span>(\d+)=?</span>', html.render(board))
    assert ranks == shown


def test_published_numbers_are_a_small_table() -> None:
    page = html.render(build(store.load_all([RECORDS / "ucm-captions"])))
    table = page[page.index('<table class="reported">') :].partition("</table>")[0]
    assert "<caption>Reported, not measured here, by spatialnet-vit</caption>" in table
    assert "<th>System</th><th>Value</th><th>Where</th>" in table
    assert "<tr><td>VGG19+LSTM (Qu 2016)</td><td>45.10</td>" in table
    assert "VGG19+LSTM (Qu 2016) 45.10" not in page


def test_pages_of_many_records_hold_what_is_behind_systems_once_and_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = made.board(tmp_path, *(made.record(f"net {k}", 0.5 + k / 50, seed=s) for k in range(20) for s in range(3)))
    plain = html.render(board)
    monkeypatch.setattr(html, "PLAIN", 59)
    page = html.render(board)
    assert page == html.render(board)
    (block,) = re.findall(r'<script type="application/gzip" id="details">([A-Za-z0-9+/=]+)</script>', page)
    found = json.loads(gzip.decompress(base64.b64decode(block)))
    assert [*found] == [f"s-t0r{k}" for k in range(20)]
    assert all(part.strip() in plain for part in found.values())
    assert 'details class="record"' not in page
    assert sum(map(len, found.values())) > 10 * len(block)  # each system costs little more than its row
    assert len(page) < len(plain) / 3
