"""The demo's simulated shops: marked as such, the same bytes each time, and what they earn to the fen."""

import json
from collections import Counter
from datetime import date, timedelta
from math import floor

import pytest

from ccare.ledger.policy import load_ledger
from ccare.runtime.settings import default_conf
from ccare.simulate import newcomer
from ccare.simulate.newcomer import NEWCOMER
from ccare.simulate.shops import BRUSHED, GUIDED, INDUSTRY, SERVED, write_shops

GO_LIVE, LAST_DAY = date(2017, 12, 24), date(2017, 12, 31)
ZONE = "America/New_York"


@pytest.fixture(scope="module")
def programmes():
    return load_ledger(default_conf() / "demo").programmes_file.programmes


@pytest.fixture
def written(tmp_path, programmes):
    wufu = next(p for p in programmes if p.name == "wufu")
    told = [write_shops(root, GO_LIVE, LAST_DAY, ZONE, wufu) for root in (tmp_path, tmp_path, tmp_path / "b")]
    assert len(set(told)) == 1
    found = [_files(tmp_path, "simulated-shops.jsonl"), _files(tmp_path / "b", "simulated-shops.jsonl")]
    assert found[1] == {k: v for k, v in found[0].items() if not k.startswith("b/")}
    rows = {k: [json.loads(line) for line in v.splitlines()] for k, v in found[1].items()}
    assert sum(map(len, rows.values())) == told[0]
    return rows


def _files(root, name):
    return {p.relative_to(root).parent.as_posix(): p.read_text() for p in root.rglob(name)}


def test_every_row_is_simulated_and_of_shops_that_no_panel_merchant_is_ranked_beside(written):
    rows = [row for each in written.values() for row in each]
    assert {row["origin"] for row in rows} == {"simulated"}
    shops = {row["merchant_id"]: row for row in written["merchants/2017-12-24"]}
    assert shops.pop(NEWCOMER)["industry"] == newcomer.INDUSTRY
    assert {row["industry"] for row in shops.values()} == {INDUSTRY}
    assert set(shops) == {*SERVED, GUIDED, BRUSHED}
    assert {row.get("merchant_id", BRUSHED) for row in rows} == {*shops, NEWCOMER}
    assert {m: s.get("service_provider_id") for m, s in shops.items()} == {
        **dict(zip(SERVED, ("sim-isv-0", "sim-isv-1"), strict=True)),
        **{GUIDED: None, BRUSHED: None},
    }
    # Who is visited has a mini-program, and nobody else.
    visited = {r["merchant_id"] for day, each in written.items() if "mini_program" in day for r in each}
    assert visited == {m for m, s in shops.items() if "mini_program_id" in s} | {NEWCOMER}
    ids = Counter(row["event_id"] for row in rows if "event_id" in row)
    assert max(ids.values()) == 1


def test_fees_are_those_of_settled_trades(written):
    """(last day of November - 15, 16 December]: what a month's end on 31 December tells."""
    rows = written["payments/2017-12-24"]
    for shop in SERVED:
        paid = [r for r in rows if r["merchant_id"] == shop and r["event_type"] == "paid"]
        assert all("2017-11-15" < r["occurred_at"][:10] <= "2017-12-16" for r in paid)
        back = {r["trade_no"]: r["amount_fen"] for r in rows if r["event_type"] == "refunded"}
        fees = [
            floor(r["fee_fen"] * (r["amount_fen"] - back.get(r["trade_no"], 0)) / r["amount_fen"])
            for r in paid
        ]
        assert 0 < sum(fees) < sum(r["fee_fen"] for r in paid)


def test_rows_that_come_late_and_the_brushing(written):
    late = written["payments/2018-01-01"] + written["mini_program/2018-01-01"]
    late = [row for row in late if row["merchant_id"] == GUIDED]
    assert {row["occurred_at"][:10] for row in late} == {str(GO_LIVE)}
    brushed = written["payments/2017-12-29"]
    assert {row["merchant_id"] for row in brushed} == {BRUSHED, NEWCOMER}
    for shop in (BRUSHED, NEWCOMER):
        trades = [row for row in brushed if row["merchant_id"] == shop]
        assert len(trades) == 40 and len({row["user_id"] for row in trades}) == 2
        assert len({row["occurred_at"][:13] for row in trades}) == 1
    scans = [row for row in written["mini_program/2017-12-27"] if row["merchant_id"] == GUIDED]
    assert len(scans) == 4 and len({row["terminal_id"] for row in scans}) == 1


def test_a_card_of_before_the_campaigns_first_date_is_followed_up_when_its_points_are_past(
    written, programmes
):
    wufu = next(p for p in programmes if p.name == "wufu")
    (card,) = (r for r in written["vouchers/2017-12-26"] if r["user_id"] == f"{BRUSHED}-user-card")
    (visit,) = (r for r in written["mini_program/2018-01-01"] if r["user_id"] == card["user_id"])
    came = date.fromisoformat(visit["occurred_at"][:10])
    assert came == wufu.from_day and card["occurred_at"][:10] == str(came - timedelta(days=1))
    assert came + timedelta(days=wufu.maturity_days + wufu.expiry_days) < LAST_DAY


def test_the_newcomer_opens_with_the_week_and_its_visitors_are_back_a_week_later(written):
    """So that no benchmark of before knows its trade, and seven days' retention is known on the last day."""
    rows = [r for each in written.values() for r in each if r.get("merchant_id") == NEWCOMER]
    at = [row["occurred_at"][:10] for row in rows if "occurred_at" in row]
    assert min(at) == str(GO_LIVE) and max(at) == str(LAST_DAY) == str(GO_LIVE + timedelta(days=7))
    launches = Counter(row["user_id"] for row in rows if row.get("event_type") == "launch")
    assert len(launches) == newcomer.VISITORS and set(launches.values()) == {5}
    paid = Counter()
    for row in rows:
        if row.get("event_type") == "paid":
            paid[row["user_id"]] += row["amount_fen"]
    assert len(paid) == newcomer.BUYERS + 2
    amount = sum(paid.values())
    assert amount**2 / sum(fen**2 for fen in paid.values()) < 2.1, "nearly all comes from two payers"
