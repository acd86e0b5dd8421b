"""ccare evidence and the merchant's statement, on a lake written without a JVM."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.exports.statement import Span, statement_rows
from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.settings import Settings
from tests.growth.small_base import LAST, RUN, Row
from tests.growth.small_lake import build

DAY = date(2017, 12, 30)


def found(rule: str, family: str, **changes: Any) -> Row:
    row = {"merchant_id": "m2", "effective_date": DAY, "rule": rule, "family": family, "effect": "withhold"}
    row |= {"programmes": [], "value": 1.5, "test": "at_most", "threshold": 7.0, "counted": 40, "least": 30}
    row |= {
        "amount_fen": 81000,
        "window_days": 28,
        "found_on": DAY,
        "policy_version": "abuse-1",
        "run_id": RUN,
    }
    return {**row, **changes}


def refused(merchant: str, day: date, decided: date, reason: str = "withheld", amount: int = 9) -> Row:
    key = {"business_key": f"fanxing|trade_net|{merchant}|{day}", "programme": "fanxing", "rule": "trade_net"}
    about = {"merchant_id": merchant, "effective_date": day, "asset": "POINT", "decided_on": decided}
    against = "crowded_orders, few_payers" if reason == "withheld" else None
    return {**key, **about, "reason": reason, "amount": amount, "against": against}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """m2's 30 December is withheld, its 29th was and is not any more; m1's 24th was withheld and has since earned."""
    evidence = [
        found("few_payers", "payer_mix"),
        found("crowded_orders", "timing", test="at_least", value=0.8, threshold=0.2),
        found("split_orders", "timing", test="at_least", effect="flag", value=0.4, threshold=0.3),
        found("few_payers", "payer_mix", effective_date=date(2017, 12, 29)),
        found("crowded_orders", "timing", effective_date=date(2017, 12, 29), cleared_on=DAY),
    ]
    refusals = [
        refused("m2", DAY, DAY, amount=8),
        refused("m2", DAY, LAST),
        refused("m2", date(2017, 12, 29), date(2017, 12, 29)),
        refused("m2", date(2017, 12, 29), DAY, reason="cut_by_pool"),
        refused("m1", date(2017, 12, 24), date(2017, 12, 24)),
    ]
    more = {"score_evidence": evidence, "ledger_refusals": refusals}
    return build(tmp_path_factory.mktemp("evidence"), more=more)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    for name in ("lake", "landing", "exports", "currency", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(settings, name)))

    def told(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout

    return told


def test_a_date_that_is_withheld_says_by_what_how_much_and_how_to_object(run) -> None:
    _, text = run("evidence", "m2", "--day", str(DAY))
    assert "2 families of evidence" in text and "如有异议" in text and "You can object" in text
    assert "few_payers (payer mix, 28 days)" in text and "1.5 <= 7; n = 40, 81000 fen" in text
    assert "split_orders (timing, 28 days)" in text and "a mark only" in text
    assert "withheld: fanxing trade_net: 9 POINT (crowded_orders, few_payers)" in text
    _, english = run("evidence", "m2", "--day", str(DAY), "--language", "en")
    assert "如有异议" not in english and "You can object" in english


def test_what_was_cleared_is_a_mark_and_withholds_nothing(run) -> None:
    _, text = run("evidence", "m2", "--day", "2017-12-29", "--language", "en")
    assert "a mark only, nothing is withheld" in text and "cleared on 2017-12-30" in text
    assert "  withheld:" not in text


def test_json_and_a_merchant_that_nothing_speaks_against(run) -> None:
    told = json.loads(run("evidence", "m2", "--json")[1])
    assert [row["rule"] for row in told["evidence"]].count("few_payers") == 2
    assert [row["amount"] for row in told["withheld"]] == [9]
    assert "nothing speaks against" in run("evidence", "m1")[1]


def test_the_statement_shows_what_is_withheld_now(settings: Settings, tmp_path: Path) -> None:
    row = manifest.latest(settings.lake)
    assert row
    con = connect(settings.lake, row)
    rows = statement_rows(con, Span("m1", "m2", LAST)).to_pylist()
    shown = [r for r in rows if r["section"] == "withheld"]
    names = ("merchant_id", "day", "programme", "what", "reason", "effective_date", "amount")
    assert [tuple(r[n] for n in names) for r in shown] == [
        ("m2", LAST, "fanxing", "trade_net", "withheld: crowded_orders, few_payers", DAY, 9)
    ]
