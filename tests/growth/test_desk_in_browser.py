"""The desk in Chromium, opened from disk: charts are drawn, filters narrow them, and nothing is said on the console."""

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
