"""The demo's week on a small panel, closed by the real road to a month's end: all six programmes by outcome.

The landing files beside the panel's are the demo's own (``ccare.demo.write_simulated``); a few numbers of its policy
are scaled to sixty merchants.
"""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ccare.cli import app
from ccare.demo import GO_LIVE, LAST_DAY, write_simulated
from ccare.demo_outcomes import not_seen
from ccare.exports.summary_data import demo_summary
from ccare.growth.snapshot import connect
from ccare.ledger.policy import load_ledger
from ccare.runtime import manifest
from ccare.runtime.close_days import close_days
from ccare.runtime.settings import Settings
from ccare.runtime.verify import verify_lake
from ccare.simulate.shops import SERVED
from tests.runtime.test_closing import ROOT, settings_in
from tests.small_landing import write_day

pytestmark = [pytest.mark.spark, pytest.mark.slow]

POOLS = {"fanxing": 21_500, "luoma": 1, "fuyou": 5_000, "wufu": 5, "chengfeng:traffic": 1}
"""Amounts that a panel of sixty merchants runs short of."""
UNVISITED = "m50"
"""Sells, and has no mini-program."""
TRADES = ("GROCERY",) * 6 + ("DELI",) * 2 + ("PASTRY", "FLORAL")


@pytest.fixture(scope="module")
def lake(spark: Any, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = _settings(tmp_path_factory.mktemp("months-end"))
    before = GO_LIVE - timedelta(days=1)
    write_day(settings.landing, before, history=74)
    for n in range((LAST_DAY - GO_LIVE).days + 1):
        write_day(settings.landing, GO_LIVE + timedelta(days=n))
    _make_a_panel(settings.landing)
    write_simulated(settings)
    _grow_the_adopters(settings.landing)
    close_days(settings, before, before, said=lambda line: None, to_step="publish")
    close_days(settings, GO_LIVE, LAST_DAY, said=lambda line: None, to_step="publish")
    return settings


def _settings(root: Path) -> Settings:
    conf = root / "conf"
    shutil.copytree(ROOT / "conf" / "demo", conf)
    fundings = (conf / "funding.toml").read_text()
    for pool, amount in POOLS.items():
        fundings, n = re.subn(rf'(pool = "{pool}"\namount = )[\d_]+', rf"\g<1>{amount}", fundings)
        assert n == 1, pool
    (conf / "funding.toml").write_text(fundings)
    programmes = (conf / "programmes.toml").read_text()
    programmes = programmes.replace("share_percent = 1\n", "share_percent = 10\n")
    programmes = re.sub(r"least_score = \d+", "least_score = 40", programmes)
    (conf / "programmes.toml").write_text(programmes)
    return settings_in(root).with_(conf=conf)


def _make_a_panel(landing: Path) -> None:
    """Real rows, merchants of the trades that the demo's policy names, and visits that every kind of rule counts."""
    for path in sorted(landing.rglob("*.jsonl")):
        rows = _as_real(path)
        if path.parent.parent.name == "mini_program":
            rows = (row for row in rows if row["merchant_id"] != UNVISITED)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _react(landing)
    day = GO_LIVE + timedelta(days=2)
    _visits(landing, "m0", day - timedelta(days=5), range(5), event_type="member_join", delivered=GO_LIVE)
    _visits(landing, "m0", day, range(40), event_type="launch", scene="1002")
    grocer, florist = "m1", "m9"
    for shop, came in ((grocer, day + timedelta(days=2)), (florist, day)):
        _visits(landing, shop, came, range(100, 101), event_type="launch", scene="1011", terminal_id="t")
        _visits(landing, shop, came + timedelta(days=2), range(100, 101), event_type="launch", scene="1005")


def _react(landing: Path) -> None:
    """Somebody views, likes and clicks before the benchmarks are frozen: without peers a newcomer's are not known."""
    rows = [
        {"event_id": f"react-{kind}-{n}", "event_type": kind, "occurred_at": f"2017-12-20T10:00:{n:02d}Z"}
        | {"merchant_id": "m1", "user_id": f"user-{n}", "origin": "real"}
        for kind, many in (("view", 10), ("like", 2), ("mini_program_click", 2))
        for n in range(many)
    ]
    path = landing / "life_account" / str(GO_LIVE) / "reactions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _visits(
    landing: Path, shop: str, day: date, users: range, *, delivered: date | None = None, **about: str
) -> None:
    common = {"merchant_id": shop, "origin": "real", **about}
    rows = [
        {"event_id": f"{shop}-{day}-{n}", "occurred_at": f"{day}T10:00:{n % 60:02d}Z", "user_id": f"user-{n}"}
        | common
        for n in users
    ]
    folder = landing / "mini_program" / str(max(delivered or day, GO_LIVE) + timedelta(days=1))
    (folder / f"{shop}-{day}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _grow_the_adopters(landing: Path) -> None:
    """A great sale of one adopter of each provider's solution, where the month's end looks for growth."""
    (adoptions,) = (landing / "solution_adoptions").rglob("*.jsonl")
    adopted = [json.loads(line) for line in adoptions.read_text().splitlines()]
    rows = [
        {"event_id": f"great-{shop}", "event_type": "paid", "occurred_at": "2017-12-10T12:00:00Z"}
        | {"merchant_id": shop, "user_id": "user-1", "trade_no": f"great-{shop}", "amount_fen": 90_000_000}
        for shop in {row["solution_id"]: row["merchant_id"] for row in adopted}.values()
    ]
    path = landing / "payments" / str(GO_LIVE + timedelta(days=1)) / "great.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _as_real(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        row = json.loads(line) | {"origin": "real"}
        if "valid_from" in row:
            row.pop("mini_program_id", None)  # visits decide who has one
            trade = TRADES[int(row["merchant_id"][1:]) % len(TRADES)]
            row |= {"industry": trade, "joined_on": "2017-01-01", "valid_from": "2017-01-01"}
        yield row


def test_every_programme_grants_refuses_and_is_cut_as_declared(lake: Settings) -> None:
    row = manifest.latest(lake.lake)
    assert row is not None and row.business_date == LAST_DAY == date(2017, 12, 31)
    summary = demo_summary(lake, row)
    assert not_seen(summary.outcomes, load_ledger(lake.conf).programmes_file.programmes) == []
    assert summary.gmv.holds and summary.gmv.simulated_fen > 0


def test_the_books_of_the_month_verify(lake: Settings) -> None:
    verified = verify_lake(lake, lambda line: None)
    assert verified.ok, [check for check in verified.checks if not check.ok]


def test_fees_are_given_back_to_the_fen(lake: Settings) -> None:
    """30 % of the fee of each settled trade, for the part that was not returned, and 10 % to who serves the shop."""
    row = manifest.latest(lake.lake)
    assert row is not None
    con = connect(lake.lake, row)
    fees = """
        select merchant_id, sum(fee_fen * (amount_fen - coalesce(back, 0)) // amount_fen)::bigint
        from core_payments left join (
            select trade_no, sum(amount_fen)::bigint as back from core_payments
            where event_type = 'refunded' group by 1) using (trade_no)
        where event_type = 'paid' and business_date between '2017-11-16' and '2017-12-16' group by 1
    """
    kept = dict(con.sql(fees).fetchall())
    rebates = """
        select coalesce(merchant_id, service_provider_id), net from ledger_positions
        where rule = '{}' and merchant_id is {} null
    """
    told = dict(con.sql(rebates.format("fee_rebate", "not")).fetchall())
    assert {shop: told[shop] for shop in SERVED} == {shop: kept[shop] * 30 // 100 for shop in SERVED}
    served = dict(con.sql(rebates.format("served_rebate", "")).fetchall())
    assert served == {f"sim-isv-{n}": kept[shop] * 10 // 100 for n, shop in enumerate(SERVED)}
    assert min(served.values()) > 0


def test_a_provider_gets_its_statement(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(lake, name)))
    ask = ["ledger", "statement", "sim-isv-1", "--provider"]
    done = CliRunner().invoke(app, [*ask, "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["merchant_id"], told["service_provider_id"]) == (None, "sim-isv-1")
    lines = [line for line in told["lines"] if line["programme"] == "resource_pack"]
    assert lines and {line["asset"] for line in lines} == {"FEN"}
    for account, units in told["closing"].items():
        assert units == sum(
            line["amount"] for line in told["lines"] if f"{line['part']} {line['asset']}" == account
        )
    plain = CliRunner().invoke(app, ask)
    assert plain.exit_code == 0 and "closing" in plain.stdout
