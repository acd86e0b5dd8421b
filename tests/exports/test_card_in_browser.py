"""The card in a real browser: both languages, phone and desk, two pages of A4, nothing from a network, axe content."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccare.exports.card import render_card
from ccare.exports.card_data import read_card
from ccare.exports.merchants import export_merchants
from ccare.growth.snapshot import connect
from ccare.metrics.definitions import SCORED_METRICS
from ccare.runtime import manifest
from ccare.runtime.settings import Settings
from tests.exports.full_card import fill

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the dev extra's playwright")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PAPER = {"width": 718, "height": 1047}
"""A4 less its margins of 10 mm."""
BROKEN = """
[...document.querySelectorAll('tbody th, td.name')].filter(cell => cell.offsetParent).filter(cell => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  const lines = new Set([...range.getClientRects()].map(box => Math.round(box.top))).size;
  return lines > 1 && lines > cell.innerText.trim().split(/\\s+/).length;
}).map(cell => cell.innerText)
"""
"""Names that stand on more lines than they have words."""
WORDS = {"en": ("Where you stand", "您的评分"), "zh": ("您的评分", "Where you stand")}


@pytest.fixture(scope="module")
def card(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    row = manifest.latest(built.lake)
    assert row
    exports = tmp_path_factory.mktemp("browser")
    return export_merchants(built.with_(exports=exports), row, named=["m1"]).folders[0] / "card.html"


@pytest.fixture(scope="module")
def full(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card with as many rows as a page shows, in long numbers."""
    row = manifest.latest(built.lake)
    assert row
    with connect(built.lake, row) as con:
        data = fill(read_card(con, "m1"))
    path = tmp_path_factory.mktemp("full") / "card.html"
    path.write_text(render_card(built, row, data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> "Iterator[sync_api.Browser]":
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("name", ["card", "full"])
def test_it_reads_well(
    browser: "sync_api.Browser",
    name: str,
    size: dict[str, int],
    language: str,
    request: pytest.FixtureRequest,
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    card: Path = request.getfixturevalue(name)
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport=size)  # type: ignore[arg-type]
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(card.as_uri())
    page.click(f'label[for="{language}"]')
    shown, hidden = WORDS[language]
    assert page.get_by_text(shown).first.is_visible() and not page.get_by_text(hidden).first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], "it scrolls sideways"
    small = page.evaluate(
        "[...document.querySelectorAll('td, th, p, small, span, dd, dt, li')].filter(e => e.offsetParent &&"
        " parseFloat(getComputedStyle(e).fontSize) < 11.5).length"
    )
    assert small == 0, "text that is too small to read"
    assert page.evaluate(BROKEN) == [], "names broken within a word"
    assert (said, asked) == ([], [card.as_uri()])
    found = Axe().run(page).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_prints_to_two_pages_of_a4(browser: "sync_api.Browser", full: Path, language: str) -> None:
    """The fullest card, in type of 6.8 points and more, with each target on one line."""
    page = browser.new_page(viewport=PAPER)  # type: ignore[arg-type]
    page.goto(full.as_uri())
    page.click(f'label[for="{language}"]')
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    page.emulate_media(media="print")
    rows = page.locator(".drivers tbody tr")
    assert rows.count() == len(SCORED_METRICS) >= 23
    lines = page.evaluate(
        "[...document.querySelectorAll('.drivers td.wide')].map(td => { const r = document.createRange();"
        " r.selectNodeContents(td); return new Set([...r.getClientRects()].map(b => Math.round(b.top))).size })"
    )
    assert set(lines) == {1}
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"], "wider than the paper"
    least = page.evaluate(
        "Math.min(...[...document.querySelectorAll('td, th, p, small, span, dd, dt, li, caption, footer')]"
        ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize)))"
    )
    assert least * 0.75 >= 6.8 - 0.01, "points"
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2
    (box,) = set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed))
    assert [round(float(n)) for n in box.split()] in ([0, 0, 595, 842], [0, 0, 596, 842], [0, 0, 594, 842])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_long_status_takes_no_room_from_the_metrics_name(
    browser: "sync_api.Browser", full: Path, language: str
) -> None:
    page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
    page.goto(full.as_uri())
    page.click(f'label[for="{language}"]')
    widths = page.evaluate(
        "[...document.querySelectorAll('.drivers tbody th')].map(th => th.getBoundingClientRect().width)"
    )
    page.close()
    assert min(widths) >= 190


def test_what_was_not_granted_is_told_in_its_own_unit(full: Path) -> None:
    text = full.read_text(encoding="utf-8")
    for told in ("40,983 points", "40,983 点", "40,984 impressions", "40,984 次曝光", "USD 409.85"):
        assert told in text


def test_the_switch_works_by_keyboard_and_without_scripts(browser: "sync_api.Browser", card: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(card.as_uri())
    page.focus("#en")
    page.keyboard.press("ArrowRight")
    assert page.get_by_text("您的评分").first.is_visible()
    context.close()
