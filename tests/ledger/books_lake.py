"""A tiny published lake with books on it, written without Spark: what the reference ledger booked in five closes.

The sixth day is taken, folded and scored already: its ledger and its publication are what is left to do.
"""

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ledger_reference import Ledger, Shop, Terms
from ledger_world import NAMES, TRAFFIC, World, as_tables, tenths

from ccare.ledger.approvals import asked_under
from ccare.ledger.policy import load_ledger
from ccare.runtime import deltalog, manifest
from ccare.runtime.controls import control_totals
from ccare.runtime.lease import RunRecord, save_record
from ccare.runtime.rowstore import arrow_rows, ensure_table, merge_rows, write_rows
from ccare.runtime.settings import Settings
from ccare.tables import REGISTRY, table

D0 = date(2026, 2, 25)
LAST = D0 + timedelta(days=5)
TERMS = Terms(maturity=2, expiry=3)
SHOP = Shop(slots=("search_box", "app_centre"), runs=2, settles=3)
FUNDING = [("A-1", D0, 100_000), TRAFFIC]
_EMPTY = {"string": "x", "bigint": 0, "int": 0, "double": 0.0, "boolean": False, "date": D0}
_EMPTY |= {"timestamp": datetime(2026, 1, 1, tzinfo=UTC)}
_PROGRAMMES = f"""
version = "tiny"
go_live = {D0}
[[pools]]
name = "p"
programme = "f"
[[pools]]
name = "traffic"
programme = "f"
asset = "IMPRESSION"
[[programmes]]
name = "f"
title = "F"
from = {D0}
pool = "p"
eligibility = "everyone"
maturity_days = {TERMS.maturity}
expiry_days = {TERMS.expiry}
[[programmes.rules]]
name = "trade_net"
"""
_SLOTS = """
[[version]]
version = "tiny"
from = 2000-01-01
public = ["search_box", "app_centre"]
[version.scenes]
[version.positions]
[version.promotion]
programme = "daily_promotion"
[version.redemption]
minimum_points = 1
run_days = 2
settle_days = 3
"""


def d(n):
    return D0 + timedelta(days=n)


def tiny_world():
    """Two merchants; day 5 brings a sale, a refund of spent points, a request, and the end of a reservation."""
    w = World(scores={"a": 50.0, "b": 50.0})
    spent = w.sell("a", 100_000, d(0))
    w.sell("a", 50_000, d(1))
    w.ask("r1", "a", 80, d(3), "search_box")
    w.deliver("r1", "a", 800, d(4), "search_box")
    w.refund(spent, 90_000, d(5))
    w.sell("a", 30_000, d(5))
    w.sell("b", 40_000, d(0))
    w.sell("b", 60_000, d(2))
    w.ask("r2", "b", 40, d(2), "app_centre")
    w.ask("r3", "b", 50, d(5), "search_box")
    w.ask("r4", "b", 9_999, d(5), "search_box")
    _ask_by_hand(w)
    return w


def _ask_by_hand(w):
    """On day 5 a funding of no pool and an adjustment of no transfer, both approved: refused, and kept so."""
    about = {"amount": 10, "asked_by": "Ann", "taken_on": LAST, "content_hash": "asked"}
    fund = about | {"approval": "F-1", "pool": "nowhere", "asset": "POINT", "effective_date": LAST}
    adjustment = about | {"approval": "J-1", "transfer_id": "0" * 64, "note": "counted twice"}
    w.asked["core_fundings"].append(fund)
    w.asked["core_adjustments"].append(adjustment)
    for reference, asked in asked_under([fund], [adjustment], []).items():
        yes = {"approval": reference, "digest": asked.digest, "approved_by": "Ben", "content_hash": "yes"}
        w.asked["core_approvals"].append(yes | {"taken_on": LAST})


def closed_books(days=6):
    """The reference after ``days`` closes."""
    world, ledger = tiny_world(), Ledger(TERMS, D0, shop=SHOP)
    scores = {m: tenths(s) for m, s in world.scores.items()}
    for n in range(days):
        asks, served = world.servable(d(n), D0), world.served(ledger, d(n))
        ledger.close(d(n), world.nets(d(n), 30), scores, FUNDING, asks, served)
    return ledger


def settings_of(root: Path, master="local[2]") -> Settings:
    """Settings of a tiny lake in ``root``."""
    return Settings(
        lake=root / "lake",
        landing=root / "landing",
        exports=root / "exports",
        conf=root / "conf",
        pseudonym_key=b"a fixed key of more than thirty-two bytes",
        spark_master=master,
    )


def copied(closed: Settings, folder: Path) -> Settings:
    """A copy of the lake that a test may break, with landing and exports of its own."""
    shutil.copytree(closed.lake, folder / "lake")
    return closed.with_(lake=folder / "lake", landing=folder / "landing", exports=folder / "exports")


def write_lake(root: Path, closed=5) -> Settings:
    """Five days published and the sixth open before its post step, or all six published."""
    settings = settings_of(root)
    settings.conf.mkdir(parents=True)
    (settings.conf / "programmes.toml").write_text(_PROGRAMMES)
    fundings = "".join(
        f'[[fundings]]\npool = "{pool[0] if pool else "p"}"\namount = {amount}\ndate = {on}\napproval = "{ref}"\n'
        for ref, on, amount, *pool in FUNDING
    )
    (settings.conf / "funding.toml").write_text(fundings)
    (settings.conf / "slots.toml").write_text(_SLOTS)
    _write_inputs(settings.lake)
    version = load_ledger(settings.conf).version
    for name, rows in as_tables(closed_books(closed)).items():
        if name == "ledger_transfers":
            rows = [row | {"run_id": run_id(row["booked_date"])} for row in rows]
        if name == "ledger_positions":
            rows = [row | {"policy_version": version} for row in rows]
        # delta-rs does not write CHECKs, which are Spark's.
        plain = replace(table(name), checks={})
        told = [filled(name, row) for row in rows]
        if plain.append_only:
            # As closes insert them: the log of transfers knows no other way.
            ensure_table(settings.lake, plain, "tiny")
            merge_rows(settings.lake, plain, arrow_rows(plain, told), "tiny")
        else:
            write_rows(settings.lake, plain, told, "tiny")
    versions = {n: v for n in REGISTRY if (v := deltalog.latest_version(settings.lake, n)) is not None}
    for n in range(closed):
        _publish(settings, d(n), versions)
    if closed > 5:
        return settings
    record = RunRecord(run_id(LAST), LAST, 0, "close", D0, 6, datetime(2026, 3, 3, tzinfo=UTC))
    record.steps_done = ["ingest", "state", "metrics", "score"]
    save_record(settings.lake, record)
    return settings


def run_id(day):
    return f"{day}-0-tiny"


def filled(name, row):
    """``row`` with something in every required column."""
    needed = {c.name: _EMPTY[c.type] for c in table(name).columns if not c.nullable and c.type in _EMPTY}
    return needed | {k: v for k, v in row.items() if v is not None or k not in needed}


def _write_inputs(lake: Path) -> None:
    tables = {n: t.to_pylist() for n, t in tiny_world().inputs(LAST).items()}
    tables |= {n: [] for n in NAMES} | {"state_changes": []}
    tables["score_merchants"] = [row | {"activity_score": 40.0} for row in tables["score_merchants"]]
    tables["core_enrolments"] = [
        {"programme": "daily_promotion", "party": "a", "from": D0, "taken_on": D0, "content_hash": "on"}
    ]
    days: dict[tuple, int] = {}
    for row in tables["state_user_days"]:
        days[row["merchant_id"], row["business_date"]] = row["gmv_fen"]
    tables["state_merchant_days"] = [
        {"merchant_id": merchant, "business_date": on, "gmv_fen": fen} for (merchant, on), fen in days.items()
    ]
    events = len(tables["core_payments"]) + len(tables["core_traffic_hours"])
    took = {"rows_read": events, "rows_accepted": events, "rows_duplicate": 0, "rows_rejected": 0}
    tables["raw_files"] = [took | {"stream": "payments", "file_status": "taken", "file_sha256": "f"}]
    for name, rows in tables.items():
        if rows and REGISTRY[name].name not in NAMES:
            write_rows(lake, table(name), [filled(name, {"origin": "real"} | row) for row in rows], "tiny")


def _publish(settings: Settings, day: date, versions: dict[str, int]) -> None:
    manifest.append(
        settings.lake,
        manifest.latest(settings.lake),
        run_id=run_id(day),
        business_date=day,
        revision=0,
        kind="close",
        table_versions=versions,
        control_totals=control_totals(settings.lake, versions),
        inputs_digest="",
        code_version="tiny",
        policy_version="tiny",
        published_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
