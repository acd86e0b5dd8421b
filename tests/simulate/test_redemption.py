"""The demo's road of redemption: covered by what was sold, told as simulated, the same each time."""

import json
from datetime import date, datetime

from ccare.ledger.arms import arm
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.simulate.redemption import LEAST_FEN, POINTS, write_redemptions

GO_LIVE = date(2017, 12, 24)
TERMS = RedemptionTerms()


def sold(landing, day, *rows):
    folder = landing / "payments" / day
    folder.mkdir(parents=True)
    keys = ("merchant_id", "amount_fen", "origin", "event_type")
    text = "".join(json.dumps(dict(zip(keys, row, strict=True))) + "\n" for row in rows)
    (folder / "payments.jsonl").write_text(text)


def read(landing):
    files = sorted(p for p in landing.rglob("simulated-redemption.jsonl"))
    return {
        p.relative_to(landing).parent.as_posix(): [json.loads(x) for x in p.read_text().splitlines()]
        for p in files
    }


def test_the_best_seller_asks_for_what_it_surely_has(tmp_path):
    half = LEAST_FEN // 2
    sold(tmp_path, "2017-12-25", ("m1", half, "real", "paid"), ("m2", half * 9, "simulated", "paid"))
    sold(tmp_path, "2017-12-26", ("m1", half, "real", "paid"), ("unknown", half * 9, "real", "paid"))
    assert write_redemptions(tmp_path, GO_LIVE, "America/New_York", TERMS) == "m1"
    found = read(tmp_path)
    assert list(found) == ["redemptions/2017-12-30", "traffic/2017-12-31"]
    asked, traffic = found.values()
    assert [(r["slot"], r["points"]) for r in asked] == [
        ("search_box", POINTS),
        ("app_centre", POINTS),
        ("search_box", 40),
    ]
    assert all(r["origin"] == "simulated" for r in (*asked, *traffic))
    assert LEAST_FEN // 1_000 * 500 // 1_000 == 2 * POINTS, "the least multiplier covers both"
    served = {}
    for row in traffic:
        hour = datetime.fromisoformat(row["hour_start"])
        assert row["arm"] == arm(TERMS, "m1", row["slot"], hour)
        served[row["grant_id"]] = served.get(row["grant_id"], 0) + row["impressions"] * (
            row["arm"] == "treated"
        )
    assert served["sim-redeem-1"] >= 1_000 > served["sim-redeem-2"] > 0
    assert {row["arm"] for row in traffic} == {"treated", "holdout"}
    write_redemptions(tmp_path, GO_LIVE, "America/New_York", TERMS)
    assert read(tmp_path) == found


def test_nobody_asks_who_sold_too_little(tmp_path):
    sold(tmp_path, "2017-12-25", ("m1", LEAST_FEN - 1, "real", "paid"))
    assert write_redemptions(tmp_path, GO_LIVE, "America/New_York", TERMS) is None
    assert read(tmp_path) == {}
