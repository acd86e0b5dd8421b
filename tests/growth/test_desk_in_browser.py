"""The desk in Chromium, opened from disk: charts are drawn, filters narrow them, and nothing is said on the console."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ccare.growth.desk import write_desk
from ccare.growth.desk_figures import FIGURES
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr")
_FILTERED = """
<script>
addEventListener("load", async () => {
  const soon = () => new Promise((go) => setTimeout(go, 50));
  const ready = async (what) => { while (document.body.dataset.ready !== what) await soon(); };
  await ready("*|*");
  document.getElementById("provider").value = "sp2";
  document.getElementById("filters").dispatchEvent(new Event("change"));
  await ready("*|sp2");
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


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
@pytest.mark.parametrize("width", [500, 1280])
def test_it_is_drawn_and_narrowed(width: int, settings: Settings, row: Published, tmp_path: Path) -> None:
    page = write_desk(settings, row)
    shown, said = dom(page, width, tmp_path / "all")
    assert said == [], "neither an error nor a refused request"
    assert 'data-ready="*|*"' in shown
    drawn = set(re.findall(r'<div class="chart[^"]*" id="(\w+)"[^>]*>\s*<svg', shown))
    assert drawn == {figure.id for figure in FIGURES}
    assert "<dd>US$380<small>" in shown, "net sales of 38,000 cents"
    assert "Corner &lt;b&gt;Bakery&lt;/b&gt; &amp; Söhne 面包房 (m1)" in shown, "names are text"
    text = page.read_text(encoding="utf-8")
    end = text.rindex("</body>")
    page.write_text(text[:end] + _FILTERED + text[end:], encoding="utf-8")
    shown, said = dom(page, width, tmp_path / "one")
    assert said == [] and 'data-ready="*|sp2"' in shown and 'data-wide="false"' in shown
    assert "Shown: sp2." in shown and "Fading tea house" in shown
    assert "Bakery" not in shown.split('id="content"')[0], "m1 is served by sp1"
    drawn = set(re.findall(r'<div class="chart[^"]*" id="(\w+)"[^>]*>\s*<svg', shown))
    assert drawn == {"stages", "lift", "pools", "rejected"}


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian: apt-get install chromium)")
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
        page.wait_for_selector('body[data-ready="*|*"]')
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
