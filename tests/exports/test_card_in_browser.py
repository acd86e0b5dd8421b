"""The card in a real browser: both languages, phone and desk, two pages of A4, nothing from a network, axe content."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ccare.exports.merchants import export_merchants
from ccare.runtime import manifest
from ccare.runtime.settings import Settings

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium (apt-get install chromium)")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs the dev extra's playwright")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
WORDS = {"en": ("Where you stand", "您的评分"), "zh": ("您的评分", "Where you stand")}


@pytest.fixture(scope="module")
def card(built: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    row = manifest.latest(built.lake)
    assert row
    exports = tmp_path_factory.mktemp("browser")
    return export_merchants(built.with_(exports=exports), row, named=["m1"]).folders[0] / "card.html"


@pytest.fixture(scope="module")
def browser() -> "Iterator[sync_api.Browser]":
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_reads_well(browser: "sync_api.Browser", card: Path, size: dict[str, int], language: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

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
    assert (said, asked) == ([], [card.as_uri()])
    found = Axe().run(page).response["violations"]
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    page.close()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_prints_to_two_pages_of_a4(browser: "sync_api.Browser", card: Path, language: str) -> None:
    page = browser.new_page(viewport=DESK)  # type: ignore[arg-type]
    page.goto(card.as_uri())
    page.click(f'label[for="{language}"]')
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2
    (box,) = set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed))
    assert [round(float(n)) for n in box.split()] in ([0, 0, 595, 842], [0, 0, 596, 842], [0, 0, 594, 842])


def test_the_switch_works_by_keyboard_and_without_scripts(browser: "sync_api.Browser", card: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(card.as_uri())
    page.focus("#en")
    page.keyboard.press("ArrowRight")
    assert page.get_by_text("您的评分").first.is_visible()
    context.close()
