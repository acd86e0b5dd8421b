"""The Data Docs site is built from kept outcomes, opens without a network, and its pages lead to each other."""

import re
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ccare.errors import GateRefused, InputMissing
from ccare.exports.data_docs import write_data_docs
from ccare.runtime.dataset_rules import Measured, judged
from ccare.runtime.gate import Failure, rules
from ccare.runtime.quality import Quality
from ccare.runtime.releases import Release
from ccare.tables import table

DAY = date(2026, 3, 4)
PERSONAL = "k1_0123456789abcdef"


class Links(HTMLParser):
    """Every address that a page names."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "iframe", "link"), tag
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    exports = tmp_path_factory.mktemp("exports")
    blocked = Quality(DAY, 0, "run-1")
    looked, failures = judged("core_payments", {"refused_share_bp": Measured(4000, 100, "40 of 100 rows")})
    with pytest.raises(GateRefused):
        blocked.judge("core_payments", looked, failures)
    blocked.write(exports)
    later = date(2026, 3, 5)
    release = Release(
        str(later),
        "core_payments",
        "refused_share",
        "Wang",
        "known export fault",
        "2026-03-06T08:00:00+00:00",
    )
    going = Quality(later, 0, "run-2", [release])
    going.judge("core_payments", looked, failures)
    suite = rules(table("metric_merchants"))
    going.judge("metric_merchants", suite, [Failure("metric_merchants", suite[-1], 0, "")])
    going.write(exports)
    return write_data_docs(exports)


def test_every_page_leads_somewhere_and_nothing_leads_out(site: Path) -> None:
    pages = list(site.parent.rglob("*.html"))
    assert len(pages) == 1 + 2 + 3, (
        "an index, a page of rules for each table, a page of results for each gate"
    )
    reached, todo = {site}, [site]
    while todo:
        page = todo.pop()
        for link in Links(page).found:
            assert not re.match(r"^[a-z]+:", link), f"{page.name} leads to {link}"
            target = (page.parent / link.split("#")[0]).resolve() if link.split("#")[0] else page
            assert target.is_file(), f"{page.name} leads to {link}, which is not there"
            if target not in reached:
                reached.add(target)
                todo.append(target)
    assert reached == {p.resolve() for p in pages}, "every page is reached from the index"


def test_rules_and_whys_stand_on_the_pages(site: Path) -> None:
    index = site.read_text(encoding="utf-8")
    assert "blocked" in index and "core_payments.refused_share: 40 of 100 rows" in index
    assert "let go by Wang" in index and "known export fault" in index
    suite = (site.parent / "expectations" / "metric_merchants.html").read_text(encoding="utf-8")
    for rule in rules(table("metric_merchants")):
        assert rule.id in suite and rule.why in suite
    (results,) = (site.parent / "validations" / "core_payments" / "2026-03-04-0").rglob("*.html")
    text = results.read_text(encoding="utf-8")
    assert "refused_share (block)" in text and "4000" in text.replace(",", "")
    for page in site.parent.rglob("*.html"):
        assert PERSONAL not in page.read_text(encoding="utf-8")


def test_one_day_alone_and_no_day_at_all(site: Path, tmp_path: Path) -> None:
    exports = site.parent.parent
    with pytest.raises(InputMissing, match="2026-01-01"):
        write_data_docs(exports, date(2026, 1, 1))
    with pytest.raises(InputMissing):
        write_data_docs(tmp_path)
