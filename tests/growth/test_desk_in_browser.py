"""The desk in Chromium, opened from disk: charts are drawn, filters narrow them, and nothing is said on the console.

In English and in Chinese: no text of the other language stands on the page but data and commands.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ccare.growth.desk import write_desk
from ccare.growth.desk_figures import FIGURES
from ccare.growth.desk_words import COLUMN
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)
PAPER = {"width": 718, "height": 1047}
"""A4 less its margins of 10 mm."""
_TEXTS = """() => {
  const found = [document.title, ...[...document.querySelectorAll("option")].map((option) => option.textContent)];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const holder = walker.currentNode.parentElement;
    if (!holder.closest("code, script, style, noscript, option") && holder.getClientRects().length)
      found.push(walker.currentNode.textContent.trim());
  }
  return found.filter((text) => text);
}"""
_LABELS = """() => [...document.querySelectorAll("[aria-label]")]
  .filter((holder) => !holder.closest('[aria-hidden="true"]')).map((holder) => holder.getAttribute("aria-label"))"""
_SQUEEZED = """() => [...document.querySelectorAll("h1, h2, h3, p, dt, dd, th, td, summary, label, button, small")]
  .filter((box) => box.offsetParent && !box.closest(".heard")).filter((box) => {
    const range = document.createRange();
    range.selectNodeContents(box);
    const lines = new Set([...range.getClientRects()].map((line) => Math.round(line.top))).size;
    return lines > 1 && box.innerText.trim().length / lines < 3;
  }).map((box) => box.innerText)"""
"""What stands on lines of a character or two."""
_CUT = """() => [...document.querySelectorAll(".chart svg")].filter((svg) => {
    const { left, right, top } = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text:not([opacity='0'])")].map((text) => text.getBoundingClientRect())
      .some((box) => box.width && (box.left < left - 1 || box.right > right + 1 || box.top < top - 1));
  }).map((svg) => svg.parentElement.closest("figure").querySelector("h3").innerText)"""
"""Charts of which a text reaches beyond their edge."""
_FILTERED = """
<script>
addEventListener("load", async () => {
  const soon = () => new Promise((go) => setTimeout(go, 50));
  const ready = async (what) => { while (document.body.dataset.ready !== what) await soon(); };
  await ready("en|*|*");
  document.getElementById("provider").value = "sp2";
  document.getElementById("filters").dispatchEvent(new Event("change"));
  await ready("en|*|sp2");
  document.body.dataset.wide = document.documentElement.scrollWidth > innerWidth;
});
</script>
"""


def without_bounds(text: str) -> str:
    """The page where no lift has bounds, as in a lake of a few days."""
    start = text.index('id="content">') + len('id="content">')
    end = text.index("</script>", start)
    content = json.loads(text[start:end])
    lift = content["frames"]["lift"]
    for row in lift["rows"]:
        for name in ("low", "high"):
            row[lift["columns"].index(name)] = None
    return text[:start] + json.dumps(content).replace("<", "\\u003c") + text[end:]


def dom(page: Path, width: int, folder: Path) -> tuple[str, list[str]]:
    """The page's elements once its scripts are done, and what was said on the console."""
    assert CHROMIUM
    flags = (*FLAGS, f"--user-data-dir={folder}", f"--window-size={width},900", "--virtual-time-budget=60000")
    done = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_chromium
@pytest.mark.parametrize("width", [500, 1280])
def test_it_is_drawn_and_narrowed(width: int, settings: Settings, row: Published, tmp_path: Path) -> None:
    page = write_desk(settings, row)
    shown, said = dom(page, width, tmp_path / "all")
    assert said == [], "neither an error nor a refused request"
    assert 'data-ready="en|*|*"' in shown
    drawn = set(re.findall(r'<div class="chart[^"]*" id="(\w+)"[^>]*>\s*<svg', shown))
    assert drawn == {figure.id for figure in FIGURES}
    assert "<dd>US$380<small>" in shown, "net sales of 38,000 cents"
    assert "Corner &lt;b&gt;Bakery&lt;/b&gt; &amp; Söhne 面包房 (m1)" in shown, "names are text"
    text = page.read_text(encoding="utf-8")
    end = text.rindex("</body>")
    page.write_text(text[:end] + _FILTERED + text[end:], encoding="utf-8")
    shown, said = dom(page, width, tmp_path / "one")
    assert said == [] and 'data-ready="en|*|sp2"' in shown and 'data-wide="false"' in shown
    assert "Shown: sp2." in shown and "Fading tea house" in shown
    assert "Bakery" not in shown.split('id="content"')[0], "m1 is served by sp1"
    drawn = set(re.findall(r'<div class="chart[^"]*" id="(\w+)"[^>]*>\s*<svg', shown))
    assert drawn == {"stages", "lift", "pools", "rejected"}


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("bounds", [True, False], ids=["bounds", "no bounds"])
def test_it_can_be_heard(width: int, bounds: bool, settings: Settings, row: Published) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the dev extra's playwright")
    from axe_playwright_python.sync_playwright import Axe

    written = write_desk(settings, row)
    if not bounds:
        written.write_text(without_bounds(written.read_text(encoding="utf-8")), encoding="utf-8")
    said: list[str] = []
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": width, "height": 900})
        page.on("console", lambda message: said.append(message.text))
        page.goto(written.as_uri())
        page.wait_for_selector('body[data-ready="en|*|*"]')
        found = Axe().run(page).response["violations"]
        movers, streams = page.inner_text("#movers"), page.inner_text("#freshness")
        late = page.locator("#freshness .late").count()
        opened.close()
    assert said == []
    assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
    assert "Return rate" in movers and "a_return_rate" not in movers
    assert late == 0 or "payments" in streams


def test_only_streams_that_are_due_daily_are_late(settings: Settings, row: Published) -> None:
    text = write_desk(settings, row).read_text(encoding="utf-8")
    assert '"daily":["payments","mini_program","life_account"]' in text


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the dev extra's playwright")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def names(page: Path) -> list[str]:
    """What the page shows as it was delivered: names of merchants, industries, providers and streams."""
    held = re.search(r'id="content">(.*?)</script>', page.read_text(encoding="utf-8"), re.S)
    assert held
    found = set()
    for frame in json.loads(held[1])["frames"].values():
        for row in frame["rows"]:
            told = dict(zip(frame["columns"], row, strict=True))
            found |= {told.get(column) for column in ("name", "stream", "industry", "provider")}
    return sorted(found - {None, "*"}, key=len, reverse=True)


def strangers(texts: list[str], language: str, known: list[str]) -> list[str]:
    """Texts that are in the other language, delivered names left out."""
    found = []
    for text in texts:
        own = text
        for name in known:
            own = own.replace(name, "")
        has_han, has_latin = re.search(r"[\u4e00-\u9fff]", own), re.search(r"[A-Za-z]{3,}", own)
        if (has_latin and not has_han) if language == "zh" else has_han:
            found.append(text)
    return found


@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_it_speaks_both_languages(browser: Any, width: int, settings: Settings, row: Published) -> None:
    from axe_playwright_python.sync_playwright import Axe

    written = write_desk(settings, row)
    known = names(written)
    said: list[str] = []
    asked: list[str] = []
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written.as_uri())
    page.wait_for_selector('body[data-ready="en|*|*"]')
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    for language, lang, other in (
        ("zh", "zh-Hans", "English"),
        ("en", "en", "中文"),
        ("zh", "zh-Hans", "English"),
    ):
        page.click(f'label[for="{language}"]')
        page.wait_for_selector(f'body[data-ready="{language}|*|*"]')
        assert page.evaluate("document.documentElement.lang") == lang
        assert strangers([t for t in page.evaluate(_TEXTS) if t != other], language, known) == []
        heard = [part.split(": ")[0] for label in page.evaluate(_LABELS) for part in label.split("; ")]
        assert strangers([t for t in heard if t not in ("English", "中文")], language, known) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        assert page.evaluate(_SQUEEZED) == []
        assert page.evaluate(_CUT) == []
        assert (
            page.evaluate("[...document.querySelectorAll('th')].filter((th) => !th.textContent).length") == 0
        )
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        drawn = page.text_content("#distribution svg")
        assert getattr(COLUMN["merchants"], language) in drawn, "the axis is titled anew"
        assert page.locator(".chart svg").count() == len(FIGURES)
    page.close()
    assert (said, asked) == ([], [written.as_uri()])


@needs_chromium
def test_the_switch_keeps_what_was_chosen(browser: Any, settings: Settings, row: Published) -> None:
    page = browser.new_page()
    page.goto(write_desk(settings.with_(currency="CNY"), row).as_uri())
    page.wait_for_selector('body[data-ready="zh|*|*"]')
    assert "¥380" in page.inner_text("#tiles") and page.title() == "增长工作台 2017-12-31"
    page.select_option("#provider", "sp2")
    page.wait_for_selector('body[data-ready="zh|*|sp2"]')
    assert page.inner_text("#shown").startswith("当前范围：sp2。")
    page.click('label[for="en"]')
    page.wait_for_selector('body[data-ready="en|*|sp2"]')
    assert page.input_value("#provider") == "sp2" and page.title() == "Growth desk 2017-12-31"
    assert page.inner_text("#shown").startswith("Shown: sp2.")
    assert "Fading tea house (m4)" in page.inner_text("#at_risk")
    page.click("button[type=reset]")
    page.wait_for_selector('body[data-ready="en|*|*"]')
    page.evaluate("for (const id of ['zh', 'en', 'zh']) document.getElementById(id).click()")
    page.wait_for_selector('body[data-ready="zh|*|*"]')
    assert page.locator("#growth svg").count() == 1, "however fast it is switched"
    page.close()


@needs_chromium
@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_prints(browser: Any, language: str, settings: Settings, row: Published) -> None:
    page = browser.new_page(viewport=PAPER)
    page.goto(write_desk(settings, row).as_uri())
    page.click(f'label[for="{language}"]')
    page.wait_for_selector(f'body[data-ready="{language}|*|*"]')
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= PAPER["width"], "wider than the paper"
    assert not page.is_visible(".languages") and not page.is_visible("#filters")
    page.close()
    (box,) = set(re.findall(rb"/MediaBox\s*\[([^\]]*)\]", printed))
    assert [round(float(n)) for n in box.split()] in ([0, 0, 595, 842], [0, 0, 596, 842], [0, 0, 594, 842])
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 6


@needs_chromium
def test_texts_switch_by_keyboard_and_without_scripts(
    browser: Any, settings: Settings, row: Published
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(write_desk(settings, row).as_uri())
    growth = FIGURES[0].title
    assert (
        page.get_by_text(growth.en).first.is_visible() and not page.get_by_text(growth.zh).first.is_visible()
    )
    page.focus("#en")
    page.keyboard.press("ArrowRight")
    assert (
        page.get_by_text(growth.zh).first.is_visible() and not page.get_by_text(growth.en).first.is_visible()
    )
    assert page.is_visible("main noscript [lang=zh-Hans]") and not page.is_visible("#filters")
    context.close()
