"""The page in a real browser, opened from a file with the network off."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import made
import pytest
from browser import Browser, browser
from PIL import Image
from rsbench_html import render as html

SYSTEMS = "return [...document.querySelectorAll('.ranking tbody tr:not([hidden])')].map(r => r.children[1].dataset.v)"
SEEN = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length"
CHOOSE = "const e = document.querySelector(arguments[0]); e.value = arguments[1]; e.dispatchEvent(new Event('input', {bubbles: true}))"


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    if browser() is None:
        pytest.skip("no Chromium with its driver here")
    with Browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    path = folder / "board.html"
    path.write_text(html.render(made.several(folder / "records"), output=path), encoding="utf-8")
    return path


@pytest.fixture
def opened(window: Browser, page: Path) -> Iterator[Browser]:
    """The page, which must neither complain nor ask for anything."""
    window.open(page.as_uri())
    yield window
    assert [entry["message"] for entry in window.log("browser")] == []
    assert window.requests() <= {page.as_uri()}


def test_plots_are_seen(opened: Browser) -> None:
    assert opened.run(SEEN, ".board > .figures svg.plot") >= 5
    assert opened.run(SEEN, "details[open] svg.plot") >= 3
    assert opened.run("return document.querySelector('.figures .m').getBBox().width") > 4
    assert opened.run("return typeof window.alert") == "function"


def test_headings_sort(opened: Browser) -> None:
    ranked = opened.run(SYSTEMS)
    params = "return [...document.querySelectorAll('.ranking th button')].find(b => b.textContent === 'Params').focus()"
    opened.run(params)
    opened.type("\ue007")  # enter
    assert opened.run(SYSTEMS)[:2] == ["good", "fair (width=2)"]
    assert opened.run("return document.activeElement.parentNode.getAttribute('aria-sort')") == "descending"
    opened.type("\ue007")
    assert opened.run(SYSTEMS)[0] == made.FORMULA
    opened.run("document.querySelector('.ranking th.place button').click()")
    assert opened.run(SYSTEMS) == ranked
    opened.run("document.querySelector('.ranking th.system button').click()")
    assert opened.run(SYSTEMS) != ranked


def test_filters_hide_rows_and_what_is_drawn_of_them(opened: Browser) -> None:
    marks = opened.run(SEEN, ".board > .figures .m")
    opened.run("document.querySelector('[name=text]').focus()")
    opened.type("Good open")
    assert opened.run(SYSTEMS) == ["good"]
    assert opened.run("return document.getElementById('count').textContent") == "1 of 6 systems"
    assert 0 < opened.run(SEEN, ".board > .figures .m") < marks
    assert opened.run(SEEN, ".frontier") == 0
    assert opened.run(SEEN, "details.system") == 1
    opened.run("document.querySelector('[type=reset]').click()")
    opened.run(CHOOSE, "[name=tag]", "reconstruction")
    assert opened.run(SYSTEMS) == ["fair (width=2)"]
    opened.run(CHOOSE, "[name=tag]", "")
    opened.run(CHOOSE, "[name=division]", "closed")
    assert opened.run(SYSTEMS) == [made.SCRIPT]
    opened.run(CHOOSE, "[name=text]", "nothing like it")
    assert opened.run(SEEN, ".board") == 0


def test_a_value_opens_its_record(opened: Browser) -> None:
    assert opened.run(SEEN, "details.record .metrics") == 0
    opened.run("document.querySelector('.ranking tbody td a[href^=\"#run-\"]').click()")  # a row of one seed
    assert opened.run(SEEN, "details.record:target .metrics") == 1
    links = "return [...document.querySelectorAll('details.record:target a')].map(a => a.getAttribute('href'))"
    assert opened.run(links) == ["records/012/record.json"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(opened: Browser, page: Path, width: int, scheme: str) -> None:
    opened.open(page.as_uri(), width, scheme)
    assert opened.run("return document.documentElement.scrollWidth") <= width
    image = Image.open(io.BytesIO(opened.screenshot())).convert("L")
    assert image.width == width
    corner, darkest, lightest = image.getpixel((2, 2)), *image.getextrema()
    assert (corner > 250 and darkest < 60) if scheme == "light" else (corner < 40 and lightest > 200)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same page, written as if it were one of very many records."""
    folder = tmp_path_factory.mktemp("packed")
    path = folder / "board.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "PLAIN", 0)
        path.write_text(html.render(made.several(folder / "records"), output=path), encoding="utf-8")
    return path


def test_what_is_behind_systems_is_drawn_when_they_are_opened(window: Browser, packed: Path, page: Path) -> None:
    inside = "return document.querySelectorAll('details.system')[arguments[0]].innerHTML"
    window.open(page.as_uri())
    plain = [window.run(inside, number) for number in range(6)]
    window.open(packed.as_uri())
    assert window.run("return document.querySelectorAll('details.system > *').length") == 6  # summaries
    for number in range(6):
        window.run("document.querySelectorAll('details.system')[arguments[0]].open = true", number)
        drawn = window.until(f"{inside}.trim()", lambda text: "Metrics on" in text, number)
        assert "".join(drawn.split()) == "".join(plain[number].split())
    assert window.log("browser") == []
    assert window.requests() <= {page.as_uri(), packed.as_uri()}


def test_a_value_opens_its_record_where_that_was_not_drawn(window: Browser, packed: Path, page: Path) -> None:
    window.open(packed.as_uri())
    window.run("document.querySelector('.ranking tbody td a[href^=\"#run-\"]').click()")
    assert window.until(f"{SEEN}", lambda seen: seen == 1, "details.record:target .metrics") == 1
    address = window.run("return location.href")
    window.open(page.as_uri())
    window.open(address)  # as a link from elsewhere
    assert window.until(f"{SEEN}", lambda seen: seen == 1, "details.record:target .metrics") == 1
