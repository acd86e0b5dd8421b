"""The demo's campaign: who enrols and who takes a card, marked as simulated, the same bytes each time."""

import json
from collections import Counter
from datetime import date, timedelta

import pytest

from ccare.ledger.policy import load_ledger
from ccare.runtime.settings import default_conf
from ccare.simulate.campaign import write_campaign

GO_LIVE = date(2017, 12, 24)
ZONE = "America/New_York"


@pytest.fixture
def wufu():
    programmes = load_ledger(default_conf() / "demo").programmes_file.programmes
    return next(p for p in programmes if p.name == "wufu")


def landing_in(root, sellers=9, buyers=30):
    """Merchants of three trades, the first with most sellers, and their real buyers of the week's middle."""
    trades = {"GROCERY": sellers, "DELI": 3, "PASTRY": 2}
    shops = [(f"{trade[0]}{n}", trade) for trade, many in trades.items() for n in range(many)]
    records = [{"merchant_id": m, "industry": t, "valid_from": "2017-01-01"} for m, t in shops]
    write(root / "merchants" / str(GO_LIVE), records)
    for n in (4, 5, 6):
        sales = [
            {"merchant_id": m, "user_id": f"u{i}", "event_type": "paid", "origin": "real"}
            for m, _ in shops
            for i in range(buyers)
        ]
        write(root / "payments" / str(GO_LIVE + timedelta(days=n + 1)), sales)
    return root


def write(folder, rows):
    folder.mkdir(parents=True)
    (folder / "real.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def written(root, stream):
    paths = sorted((root / stream).rglob("simulated-campaign.jsonl"))
    return [(path.parent.name, json.loads(line)) for path in paths for line in path.read_text().splitlines()]


def test_places_run_out_by_number_and_by_industry(tmp_path, wufu):
    assert write_campaign(landing_in(tmp_path), GO_LIVE, ZONE, wufu, "daily_promotion") > 0
    rows = [row for _, row in written(tmp_path, "enrolments")]
    assert {row["origin"] for row in rows} == {"simulated"}
    mine = sorted((row["from"], row["party"]) for row in rows if row["programme"] == "wufu")
    assert len(mine) == 11 > wufu.most_merchants
    # One simulated shop of an industry of its own takes part besides (ccare.simulate.shops). The third trade comes
    # ninth then: within the number of merchants, beyond the number of industries.
    assert [party[0] for _, party in mine[:8]] == [*"GGGGG", *"DD", "P"]
    assert (wufu.most_merchants, wufu.most_industries) == (9, 3)
    promoted = [row["party"] for row in rows if row["programme"] == "daily_promotion"]
    assert sorted(promoted) == sorted(party for _, party in mine)


def test_cards_are_taken_the_day_before_and_by_one_merchant_that_never_enrolled(tmp_path, wufu):
    cards = write_campaign(landing_in(tmp_path), GO_LIVE, ZONE, wufu)
    rows = written(tmp_path, "vouchers")
    assert len(rows) == cards == 12 * 3 * 20
    assert {(row["event_type"], row["activity_id"], row["origin"]) for _, row in rows} == {
        ("received", "sim-wufu", "simulated")
    }
    for delivered, row in rows:
        assert row["occurred_at"][:10] == str(date.fromisoformat(delivered) - timedelta(days=1))
    enrolled = {row["party"] for _, row in written(tmp_path, "enrolments")}
    assert len({row["merchant_id"] for _, row in rows} - enrolled) == 1
    assert max(Counter(row["voucher_code"] for _, row in rows).values()) == 1


def test_the_same_landing_gives_the_same_bytes_and_too_few_sellers_none(tmp_path, wufu):
    one, other = landing_in(tmp_path / "one"), landing_in(tmp_path / "other")
    assert write_campaign(one, GO_LIVE, ZONE, wufu) == write_campaign(other, GO_LIVE, ZONE, wufu)
    assert written(one, "vouchers") == written(other, "vouchers")
    few = landing_in(tmp_path / "few", sellers=4)
    assert write_campaign(few, GO_LIVE, ZONE, wufu) == 0 and not (few / "enrolments").exists()
