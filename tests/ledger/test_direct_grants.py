"""Impressions that fuyou grants, from the Sunday that chooses to their expiry: the books of every close are lawful."""

from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pytest
from ledger_world import NAMES, SparkBooks, World, arrow

from ccare.ledger.derive import derived
from ccare.ledger.laws import check_laws
from ccare.ledger.policy import LedgerPolicies, load_ledger
from ccare.ledger.programmes import FundingFile, ProgrammesFile
from ccare.runtime.settings import default_conf

pytestmark = pytest.mark.spark
SUNDAY = date(2026, 3, 1)


def d(n):
    return SUNDAY + timedelta(days=n)


@dataclass
class Peers(World):
    """Two merchants above their peers on every day."""

    def inputs(self, day):
        scores = {"as_of_date": day, "scale_score": 90.0, "activity_score": 90.0}
        scores |= {"peer_group": "g", "peers": 20}
        shares = {"as_of_date": day, "metric_id": "e_private_share", "shrunk_value": 0.9}
        rows = {"score_merchants": scores, "score_drivers": shares}
        told = {name: [{"merchant_id": m, **row} for m in ("a", "b")] for name, row in rows.items()}
        return super().inputs(day) | {name: arrow(name, each) for name, each in told.items()}


def fuyou():
    """The packaged programme alone, with impressions for one and a half merchants."""
    told = load_ledger(default_conf()).programmes_file.model_dump(by_alias=True)
    for name, by in (("programmes", "name"), ("pools", "programme")):
        told[name] = [each for each in told[name] if each[by] == "fuyou"]
    one = {"pool": "fuyou", "amount": 15_000, "date": SUNDAY, "approval": "F-1"}
    return LedgerPolicies(
        ProgrammesFile.model_validate(told), FundingFile.model_validate({"fundings": [one]})
    )


def test_granted_activated_delivered_and_expired(books_spark):
    world, books = Peers(), SparkBooks(books_spark, fuyou(), SUNDAY)
    earned = [t for t in books.close(world, SUNDAY) if t["code"] == "earn"]
    lots = {t["merchant_id"]: t["lot_id"] for t in earned}
    assert sorted((t["merchant_id"], t["amount"]) for t in earned) == [("a", 7_500), ("b", 7_500)]
    slot = "recommendation_card"
    world.deliver(lots["a"], "a", 500, d(1), slot=slot, source="free")
    world.deliver(lots["a"], "a", 400, d(1), slot=slot, source="free", arm="holdout")
    world.deliver(lots["b"], "b", 90_000, d(2), slot=slot, source="free")
    assert {t["code"] for t in books.close(world, d(1))} == {"activate"}
    told = [t for n in (2, 3) for t in books.close(world, d(n))]
    assert [(t["code"], t["merchant_id"], t["amount"]) for t in told] == [
        *(("settle", "a", 500), ("settle", "b", 7_500)),
    ]
    last = books.close(world, d(22))
    assert [(t["code"], t["merchant_id"], t["amount"]) for t in last if t["asset"] == "IMPRESSION"] == [
        ("expire", "a", 7_000),
    ]
    con = duckdb.connect()
    for name in NAMES:
        con.register(name, books.tables[name])
    broken = [r.detail for r in check_laws(con, {name: name for name in NAMES}) if not r.ok]
    assert broken == []
    kept = {row["lot_id"]: row for row in books.rows("ledger_lots")}
    for row in derived(con, "ledger_lots"):
        assert {name: kept[row["lot_id"]][name] for name in row} == row
