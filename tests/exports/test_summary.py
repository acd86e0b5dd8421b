"""The page of results: figures by hand, the cents, and a mark on whatever simulated rows touch."""

import re
from pathlib import Path
from types import ModuleType

import pytest

from ccare.exports.summary import demo_summary, render_html, render_text, write_html
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings


def test_figures(settings: Settings, row: Published) -> None:
    s = demo_summary(settings, row)
    assert {
        f.stream: (f.read, f.accepted, f.duplicate, f.rejected, f.real, f.simulated) for f in s.streams
    } == {
        "payments": (22, 19, 1, 2, 18, 1),
        "mini_program": (8, 5, 1, 2, 0, 5),
        "merchants": (4, 4, 0, 0, 0, 0),
        "vouchers": (2, 2, 0, 0, 2, 0),
    }
    assert s.reasons[0] == ("payments", "unknown_merchant", 2) and len(s.reasons) == 4
    assert s.merchants == {"full": 1, "partial": 0, "insufficient": 1, "inactive": 1}
    assert [(m.merchant_id, m.change, m.driver) for m in s.up] == [("m1", 3.4, "a_return_rate")]
    assert s.down == ()
    assert s.points == {
        "issued": 225,
        "pending": 45,
        "active": 60,
        "reserved": 0,
        "redeemed": 0,
        "expired": 90,
        "taken": 30,
        "debt": 8,
        "merchants": 2,
    }
    assert (s.users, s.business_dates, s.vouchers_used) == (10, 7, 1)
    assert (s.refunds_real_fen, s.refunds_simulated_fen, s.simulated_rows) == (0, 500, 6)
    assert (s.example_merchant, s.days_closed) == ("m1", 1)


def test_the_cents(settings: Settings, row: Published, tmp_path: Path) -> None:
    gmv = demo_summary(settings, row).gmv
    assert (gmv.gmv_fen, gmv.rejected_fen, gmv.rejected_rows, gmv.delivered_fen) == (45600, 257, 2, 45857)
    assert gmv.holds and gmv.state_fen == gmv.core_fen == 45600
    elsewhere = tmp_path / "landing" / "payments" / "2018-01-01" / "a.jsonl"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(
        '{"event_id":"x","event_type":"paid","merchant_id":"m1","trade_no":"t","amount_fen":1}\n'
    )
    other = demo_summary(settings.with_(landing=tmp_path / "landing"), row)
    assert not other.gmv.holds
    assert any("DIFFERENCE USD -458.56" in line for line in render_text(other))
    assert "The sums differ" in render_html(other)
    gone = demo_summary(settings.with_(landing=tmp_path / "nowhere"), row)
    assert gone.gmv.delivered_fen is None and gone.gmv.holds
    assert any("landing files are gone" in line for line in render_text(gone))


def test_marks(settings: Settings, row: Published) -> None:
    s = demo_summary(settings, row)
    text = render_text(s)
    assert max(map(len, text)) <= 110
    for start in ("Merchants on", "Points"):
        assert any(line.startswith(start) and "[part simulated" in line for line in text), start
    assert any(line.strip().startswith("mini_program") and line.endswith("[simulated]") for line in text)
    page = write_html(settings, s).read_text()
    assert page == render_html(s)
    assert page.count("part simulated") >= 6
    assert not re.search(r"https?:|<script|url\(|href=|src=", page)
    assert "Complete Journey" in page and "mini-programs are simulated" in page
    assert "Corner &lt;b&gt;Bakery" in page


@pytest.fixture(scope="module")
def real_only(small_lake: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_lake.build(tmp_path_factory.mktemp("real"), simulated=False)


def test_a_lake_of_real_rows_has_no_mark(real_only: Settings) -> None:
    row = manifest.latest(real_only.lake)
    assert row
    s = demo_summary(real_only, row)
    assert (s.simulated_rows, s.scores_simulated, s.points_simulated) == (0, False, False)
    text = "\n".join(render_text(s)).replace(s.provenance, "")
    assert "[part simulated" not in text and "Simulated: nothing." in text
    assert 'class="tag sim"' not in render_html(s)


def test_it_works_without_the_demo_source(
    settings: Settings, row: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "ccare.sources.complete_journey", None)
    assert demo_summary(settings, row).provenance == ""
