"""A close with a brushing merchant among its deliveries: evidence is published, points are withheld, both are told."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ccare.abuse.told import evidence_told
from ccare.errors import InputMissing
from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.settings import Settings
from tests.runtime.test_closing import close, settings_in
from tests.small_landing import FIRST, write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]


@pytest.fixture(scope="module")
def lake(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One day closed: m7's forty trades of two hired payers within an hour stand beside everybody's own."""
    settings = settings_in(tmp_path_factory.mktemp("brushed"))
    write_day(settings.landing, FIRST, history=1)
    folder = settings.landing / "payments" / f"{FIRST + timedelta(days=1)}"
    _write(folder / "brushed.jsonl")
    close(settings, FIRST)
    return settings


def _write(path: Path) -> None:
    lines = [
        {
            "event_id": f"hired-{n}",
            "event_type": "paid",
            "merchant_id": "m7",
            "user_id": f"hired-{n % 2}",
            "occurred_at": f"{FIRST}T10:{n:02d}:00Z",
            "trade_no": f"hired-{n}",
            "amount_fen": 20_000,
        }
        for n in range(40)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_points_of_a_brushed_date_are_withheld_and_nobody_elses(lake: Settings) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None
    con = connect(lake.lake, row)
    found = con.sql(
        "select merchant_id, rule, effect, effective_date from score_evidence order by rule"
    ).fetchall()
    assert found == [
        ("m7", "crowded_orders", "withhold", FIRST),
        ("m7", "few_payers", "withhold", FIRST),
        ("m7", "split_orders", "flag", FIRST),
    ]
    withheld = con.sql(
        "select distinct merchant_id, reason, against from ledger_refusals where reason = 'withheld'"
    ).fetchall()
    assert withheld == [("m7", "withheld", "crowded_orders, few_payers")]
    granted = {m for (m,) in con.sql("select distinct merchant_id from ledger_lots").fetchall()}
    assert "m7" not in granted and len(granted) > 5


def test_it_is_told_in_both_languages_and_names_no_user(lake: Settings) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None
    told = evidence_told(lake, row, "m7", FIRST)
    lines = told.lines()
    english, chinese = ("\n".join(line[at] for line in lines) for at in (0, 1))
    assert "2 families of evidence; points still pending are withheld" in english
    assert "few_payers (payer mix, 28 days)" in english and "付款人构成" in chinese
    (net,) = [row for row in told.withheld if row["rule"] == "trade_net"]
    assert net["amount"] >= 400, "of 800,000 fen at half a point for 1,000 or more"
    assert f"withheld: fanxing trade_net: {net['amount']} POINT (crowded_orders, few_payers)" in english
    assert "You can object" in english and "申诉" in chinese
    keys = connect(lake.lake, row).sql("select distinct user_key from core_payments").fetchall()
    text = json.dumps([told.evidence, told.withheld], default=str) + english + chinese
    assert not any(key in text for (key,) in keys if key)
    quiet = evidence_told(lake, row, "m8", None)
    assert "nothing speaks against" in quiet.lines()[0][0] and quiet.evidence == []
    with pytest.raises(InputMissing, match="no merchant nobody"):
        evidence_told(lake, row, "nobody", None)
    with pytest.raises(InputMissing, match="is not closed"):
        evidence_told(lake, row, "m7", FIRST + timedelta(days=1))
