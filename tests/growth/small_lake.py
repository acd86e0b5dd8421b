"""A lake of three merchants that a person can check by hand, written without a JVM.

As-of days 2017-12-24 and 2017-12-31 (more on request). At m1: u01..u06 active 10 November and 10 December,
u07 and u08 only 15 November, u09 on 1 September and 12 December, u10..u13 first on 20 December and u14 first
on 28 December (simulated visits), u99 is staff. At m2: u01 on 5 December, u20 on 20 November. m3 did nothing.
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from ccare.metrics.definitions import DIMENSIONS, METRICS
from ccare.runtime import manifest
from ccare.runtime.manifest import Published
from ccare.runtime.rowstore import write_rows
from ccare.runtime.settings import Settings, default_conf
from ccare.tables import Table, table

FIRST, LAST = date(2017, 12, 24), date(2017, 12, 31)
RUN = "2017-12-31-0-test"
POSTED = datetime(2018, 1, 1, 2, 0, tzinfo=UTC)
Row = dict[str, Any]

WEIGHTS = {
    "c_mau28": 1 / 3,
    "c_new_users": 1 / 3,
    "c_new_payers": 1 / 3,
    "a_stickiness": 0.5,
    "a_return_rate": 0.5,
    "r_arpu": 1 / 3,
    "r_pay_conversion": 1 / 3,
    "r_repurchase_90": 1 / 3,
    "e_refund_rate": 0.5,
    "e_discount_rate": 0.5,
}
# metric: (value, numerator, denominator, n, target, condition)
M1_VALUES: dict[str, tuple[float, int, int | None, int, float | None, str]] = {
    "c_mau28": (12.0, 12, None, 12, 40.0, "at_least"),
    "c_new_users": (5.0, 5, None, 5, 15.0, "at_least"),
    "c_new_payers": (0.0, 0, None, 0, 12.0, "at_least"),
    "a_stickiness": (13 / 336, 13, 336, 12, 0.08, "at_least"),
    "a_return_rate": (0.75, 6, 8, 8, 0.8, "at_least"),
    "r_arpu": (2500.0, 30000, 12, 12, 4200.0, "at_least"),
    "r_pay_conversion": (7 / 12, 7, 12, 12, 0.9, "at_least"),
    "r_repurchase_90": (6 / 11, 6, 11, 11, 0.5, "at_least"),
    "e_refund_rate": (0.05, 500, 10000, 10, 0.01, "at_most"),
    "e_discount_rate": (0.1, 3500, 35000, 14, None, "at_most"),
}


def build(root: Path, *, days: tuple[date, ...] = (FIRST, LAST), simulated: bool = True) -> Settings:
    """Write the lake under ``root`` and publish it once; the settings of its owner."""
    settings = Settings(
        lake=root / "lake",
        landing=root / "landing",
        exports=root / "exports",
        timezone="America/New_York",
        currency="USD",
        conf=default_conf() / "demo",
    )
    settings.lake.mkdir(parents=True)
    content: dict[str, list[Row]] = {
        "raw_files": _raw_files(simulated),
        "core_rejected_events": _rejected(),
        "core_merchants": _merchants(),
        "core_staff": [_staff()],
        "core_payments": _payments(simulated),
        "core_voucher_events": _vouchers(),
        "core_mini_program_events": _visits() if simulated else [],
        "state_user_days": _user_days(simulated),
        "state_merchant_days": _merchant_days(simulated),
        "metric_merchants": _metrics(days),
        "score_drivers": _drivers(days),
        "score_merchants": _scores(days),
        **_ledger(),
    }
    versions = {
        name: write_rows(settings.lake, _writable(name), rows, RUN) for name, rows in content.items() if rows
    }
    publish(settings, versions)
    _land(settings, content)
    return settings


def _land(settings: Settings, content: dict[str, list[Row]]) -> None:
    """The delivered payments file: accepted rows, the first once more, and the rejected ones."""
    names = ("event_id", "event_type", "merchant_id", "origin", "trade_no", "amount_fen")
    kept = [json.dumps({n: row.get(n) for n in names}) for row in content["core_payments"]]
    refused = [row["payload"] for row in content["core_rejected_events"] if row["stream"] == "payments"]
    path = settings.landing / "payments" / "2018-01-01" / "a.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join([*kept, kept[0], *refused]) + "\n")


def _writable(name: str) -> Table:
    """delta-rs makes no table with CHECK constraints; in production Spark does."""
    return replace(table(name), checks={})


def publish(settings: Settings, versions: dict[str, int]) -> Published:
    """One more manifest row over ``versions``."""
    return manifest.append(
        settings.lake,
        manifest.latest(settings.lake),
        run_id=RUN,
        business_date=LAST,
        revision=0,
        kind="close",
        table_versions=versions,
        control_totals={},
        inputs_digest="0" * 64,
        code_version="test",
        policy_version=f"scoring-1/{_ledger_version()}",
        published_at=POSTED,
    )


def _ledger_version() -> str:
    from ccare.ledger.policy import load_ledger

    return load_ledger(default_conf() / "demo").version


def _hash(*parts: object) -> str:
    return sha256("|".join(map(str, parts)).encode()).hexdigest()


def _raw_files(simulated: bool) -> list[Row]:
    def file(stream: str, read: int, accepted: int, duplicate: int, rejected: int) -> Row:
        return {
            "file_sha256": _hash(stream),
            "stream": stream,
            "path": f"{stream}/2018-01-01/a.jsonl",
            "bytes": 100 * read,
            "rows_read": read,
            "rows_accepted": accepted,
            "rows_duplicate": duplicate,
            "rows_rejected": rejected,
            "delivery_date": date(2018, 1, 1),
            "taken_on": LAST,
            "file_status": "taken",
            "run_id": RUN,
        }

    paid = 19 if simulated else 18
    real = [file("payments", paid + 3, paid, 1, 2), file("vouchers", 2, 2, 0, 0)]
    real.append(file("merchants", 4, 4, 0, 0))
    return [*real, file("mini_program", 8, 5, 1, 2)] if simulated else real


def _rejected() -> list[Row]:
    def row(stream: str, position: int, reasons: list[str], amount: int | None, payload: str) -> Row:
        return {
            "stream": stream,
            "file_sha256": _hash(stream),
            "row_digest": _hash(stream, position),
            "position": position,
            "reasons": reasons,
            "payload": payload,
            "merchant_id": "unknown",
            "amount_fen": amount,
            "delivery_date": date(2018, 1, 1),
            "taken_on": LAST,
        }

    paid = '{"event_id":"p%d","event_type":"paid","merchant_id":"unknown","origin":"real","amount_fen":%d}'
    visit = '{"event_id":"v%d","event_type":"launch","origin":"simulated"}'
    return [
        row("payments", 1, ["unknown_merchant"], 157, paid % (1, 157)),
        row("payments", 2, ["unknown_merchant"], 100, paid % (2, 100)),
        row("mini_program", 3, ["missing_merchant_id", "bad_occurred_at"], None, visit % 3),
        row("mini_program", 4, ["malformed_json"], None, '{"event_id":'),
    ]


def _merchants() -> list[Row]:
    def row(
        merchant_id: str, name: str, industry: str, valid_from: date, valid_to: date | None = None
    ) -> Row:
        return {
            "merchant_id": merchant_id,
            "name": name,
            "industry": industry,
            "own_brand": False,
            "joined_on": date(2017, 1, 1),
            "valid_from": valid_from,
            "valid_to": valid_to,
            **_provenance(),
        }

    return [
        row("m1", "Old <b>Corner</b> Bakery", "GROCERY", date(2017, 1, 1), date(2017, 11, 30)),
        row("m1", "Corner <b>Bakery</b> & Söhne 面包房", "GROCERY", date(2017, 12, 1)),
        row("m2", '=HYPERLINK("http://x")', "GROCERY", date(2017, 1, 1)),
        row("m3", "Quiet, shop", "DRUG GM", date(2017, 1, 1)),
    ]


def _provenance() -> Row:
    return {
        "delivery_date": date(2018, 1, 1),
        "taken_on": LAST,
        "origin": "real",
        "content_hash": _hash("c"),
        "file_sha256": _hash("f"),
    }


def _staff() -> Row:
    return {"merchant_id": "m1", "user_key": "u99", "valid_from": date(2017, 1, 1), **_provenance()}


def _event(stream: str, number: int, merchant: str, user: str | None, day: date, kind: str) -> Row:
    return {
        "event_id": f"{stream}{number}",
        "event_type": kind,
        "merchant_id": merchant,
        "user_key": user,
        "occurred_at": datetime(day.year, day.month, day.day, 17, tzinfo=UTC),
        "business_date": day,
        "slot": "unknown",
        **_provenance(),
    }


ACTIVE: list[tuple[str, str, date, int, bool]] = [
    *(("m1", f"u{n:02d}", date(2017, 11, 10), 1000, False) for n in range(1, 7)),
    *(("m1", f"u{n:02d}", date(2017, 12, 10), 5000, False) for n in range(1, 7)),
    ("m1", "u07", date(2017, 11, 15), 500, False),
    ("m1", "u08", date(2017, 11, 15), 500, False),
    ("m1", "u09", date(2017, 9, 1), 700, False),
    ("m1", "u09", date(2017, 12, 12), 5000, False),
    *(("m1", f"u{n}", date(2017, 12, 20), 0, True) for n in range(10, 14)),
    ("m1", "u14", date(2017, 12, 28), 0, True),
    ("m1", "u99", date(2017, 12, 15), 0, False),
    ("m2", "u01", date(2017, 12, 5), 2000, False),
    ("m2", "u20", date(2017, 11, 20), 900, False),
]
"""merchant, user, active day, paid amount (0: a visit only), simulated."""


def _user_days(simulated: bool) -> list[Row]:
    rows = []
    for merchant, user, day, amount, made_up in ACTIVE:
        if made_up and not simulated:
            continue
        row: Row = {c.name: 0 for c in table("state_user_days").columns if c.type == "bigint"}
        row |= {
            "merchant_id": merchant,
            "user_key": user,
            "business_date": day,
            "events": 1,
            "active_events": 1,
        }
        row |= {"orders": int(amount > 0), "gmv_fen": amount, "simulated_events": int(made_up)}
        rows.append(row)
    return rows


def _merchant_days(simulated: bool) -> list[Row]:
    days: dict[tuple[str, date], Row] = {}
    for source in _user_days(simulated):
        key = (source["merchant_id"], source["business_date"])
        day = days.setdefault(key, {"merchant_id": key[0], "business_date": key[1], "dau": 0, "payers": 0})
        if source["user_key"] != "u99":
            day["dau"] += 1
            day["payers"] += source["orders"]
        for column in table("state_merchant_days").columns[4:]:
            day[column.name] = day.get(column.name, 0) + source[column.name]
    return list(days.values())


def _payments(simulated: bool) -> list[Row]:
    rows = []
    paid = [a for a in ACTIVE if a[3]]
    for number, (merchant, user, day, amount, _) in enumerate(paid):
        rows.append(
            _event("p", number, merchant, user, day, "paid")
            | {"trade_no": f"t{number}", "amount_fen": amount}
        )
    refund = _event("p", 90, "m1", "u01", LAST, "refunded") | {"trade_no": "t0", "refund_no": "r0"}
    return [*rows, refund | {"amount_fen": 500, "origin": "simulated"}] if simulated else rows


def _vouchers() -> list[Row]:
    extra = {"voucher_code": "v1", "activity_id": "a1"}
    return [
        _event("v", n, "m1", "u01", date(2017, 12, 10), kind) | extra
        for n, kind in enumerate(("received", "used"))
    ]


def _visits() -> list[Row]:
    rows = [a for a in ACTIVE if a[4]]
    return [
        _event("g", n, m, u, d, "launch") | {"origin": "simulated"} for n, (m, u, d, _, _) in enumerate(rows)
    ]


def _metrics(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        for merchant in ("m1", "m2", "m3"):
            row: Row = {m.id: 0 for m in METRICS if not m.is_ratio}
            row |= {"merchant_id": merchant, "as_of_date": day, "industry": "GROCERY"}
            row |= {"e_refund_rate_orders": 0, "events_56d": 0, "simulated_events_56d": 0}
            if merchant == "m1":
                row |= {"c_mau28": 12, "r_payers": 7, "r_orders": 14, "r_gmv": 35000, "c_growth_retained": 6}
                row |= {"c_growth_new": 4 + (day >= date(2017, 12, 28)), "c_growth_resurrected": 1}
                row |= {"c_growth_churned": 2, "events_56d": 27, "simulated_events_56d": 5, "c_new_users": 5}
                for name, (value, numerator, denominator, *_) in M1_VALUES.items():
                    if denominator is not None:
                        row |= {name: value, f"{name}_num": numerator, f"{name}_den": denominator}
            rows.append(row)
    return rows


def percentile(metric_id: str, day: date) -> float:
    """A made-up place among peers that moves by the day: return rate rises most, discount rate falls."""
    base = {name: 20.0 + 6.1234 * i for i, name in enumerate(WEIGHTS)}[metric_id]
    drift = {"a_return_rate": 2.5, "e_discount_rate": -0.5}.get(metric_id, 0.25)
    return round(base + drift * (day - FIRST).days, 4)


def _drivers(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        for metric in METRICS:
            if metric.id not in WEIGHTS:
                continue
            value, num, den, n, target, condition = M1_VALUES[metric.id]
            place = percentile(metric.id, day)
            row: Row = {
                "merchant_id": "m1",
                "as_of_date": day,
                "metric_id": metric.id,
                "dimension": metric.dimension,
                "value": value,
                "numerator": num,
                "denominator": den,
                "n": n,
                "shrunk_value": value,
                "percentile": place,
                "percentile_low": place - 5,
                "percentile_high": place + 5,
                "weight": WEIGHTS[metric.id],
                "contribution": WEIGHTS[metric.id] * place,
                "target": target,
                "target_condition": condition,
                "target_status": "reachable" if target is not None else "ceiling",
                "driver_status": "good" if place >= 80 else "bad" if place < 20 else "watch",
                "window_days": metric.window_days,
                "peer_group": "GROCERY/small",
                "policy_version": "scoring-1",
                "run_id": RUN,
            }
            empty: Row = {"value": None, "numerator": 0, "denominator": 0, "n": 0, "percentile": 50.0}
            empty |= {"contribution": 50.0 * WEIGHTS[metric.id], "driver_status": "none", "merchant_id": "m2"}
            rows += [row, row | empty]
    return rows


def _scores(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        row: Row = {
            "as_of_date": day,
            "peer_group": "GROCERY/small",
            "peers": 64,
            "benchmark_status": "monthly",
        }
        row |= {"policy_version": "scoring-1", "run_id": RUN}
        m1, product = {"merchant_id": "m1", "score_status": "full"}, 1.0
        for dimension in DIMENSIONS:
            mine = [m.id for m in METRICS if m.id in WEIGHTS and m.dimension == dimension]
            exact = sum(WEIGHTS[m] * percentile(m, day) for m in mine)
            product *= exact**0.25
            m1 |= _with_interval(dimension, exact, 3.0) | {f"{dimension}_coverage": 1.0}
        rows.append(row | m1 | _with_interval("total", product, 2.0))
        m2 = {f"{d}_coverage": 0.0 for d in DIMENSIONS} | {"scale_coverage": 1.0}
        m2 |= _with_interval("scale", 50.0, 0.0)
        rows.append(row | m2 | {"merchant_id": "m2", "score_status": "insufficient"})
        rows.append(
            row | {"merchant_id": "m3", "score_status": "inactive", "peer_group": None, "peers": None}
        )
    return rows


def _with_interval(name: str, exact: float, width: float) -> Row:
    score = round(exact, 1)
    low, high = round(exact - width, 1), round(exact + width, 1)
    return {f"{name}_score": score, f"{name}_score_low": low, f"{name}_score_high": high}


def _ledger() -> dict[str, list[Row]]:
    transfers = _transfers()
    balances: dict[str, Row] = {}
    for t in transfers:
        for account, side in ((t["debit_account"], "debits"), (t["credit_account"], "credits")):
            b = balances.setdefault(
                account,
                {
                    "account": account,
                    "asset": "POINT",
                    "credits": 0,
                    "debits": 0,
                    "transfers": 0,
                    "folded_to": LAST,
                },
            )
            b[side] += t["amount"]
            b["transfers"] += 1
    for b in balances.values():
        b["balance"] = b["credits"] - b["debits"]
    return {
        "ledger_transfers": transfers,
        "ledger_balances": list(balances.values()),
        "ledger_lots": _lots(),
        "ledger_positions": _positions(),
    }


def _key(merchant: str, day: date) -> str:
    return f"fanxing|trade_net|{merchant}|{day}"


def _transfers() -> list[Row]:
    """m1: A 100, of it 30 taken and 70 expired; B 60 active; C 45 pending. m2: D 20 expired, 8 owed."""
    avail = "pool:fanxing:available"

    def move(
        booked: int, code: str, debit: str, credit: str, amount: int, merchant: str | None, about: int
    ) -> Row:
        day = date(2017, 12, about)
        key = _key(merchant, day) if merchant else "funding|fanxing|DEMO-1"
        return {
            "transfer_id": _hash("fanxing", code, key, booked),
            "content_hash": _hash("content", code, key, booked),
            "debit_account": debit,
            "credit_account": credit,
            "amount": amount,
            "asset": "POINT",
            "programme": "fanxing",
            "code": code,
            "reason": code,
            "merchant_id": merchant,
            "lot_id": _hash("lot", key) if merchant else None,
            "effective_date": day,
            "matures_on": day + timedelta(3),
            "expires_on": day + timedelta(6),
            "booked_date": date(2017, 12, booked),
            "posted_at": POSTED,
            "run_id": RUN,
            "policy_version": "demo",
            "business_key": key,
            "leg": 1,
            "revision": 1,
        }

    def mine(merchant: str, part: str) -> str:
        return f"merchant:{merchant}:{part}"

    def earn(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(booked, "earn", avail, mine(merchant, "pending"), amount, merchant, about)

    def activate(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(
            booked, "activate", mine(merchant, "pending"), mine(merchant, "active"), amount, merchant, about
        )

    def expire(booked: int, merchant: str, amount: int, about: int) -> Row:
        return move(booked, "expire", mine(merchant, "active"), "sink:expired", amount, merchant, about)

    return [
        move(24, "fund", "world:funding", avail, 100_000, None, 24),
        earn(24, "m1", 100, 24),
        earn(24, "m2", 20, 24),
        earn(25, "m1", 60, 25),
        activate(27, "m1", 100, 24),
        activate(27, "m2", 20, 24),
        move(28, "fall", mine("m1", "active"), avail, 30, "m1", 24),
        activate(28, "m1", 60, 25),
        expire(31, "m1", 70, 24),
        expire(31, "m2", 20, 24),
        move(31, "debt", mine("m2", "debt"), "pool:fanxing:receivable", 8, "m2", 24),
        earn(31, "m1", 45, 31),
    ]


def _lots() -> list[Row]:
    def lot(merchant: str, about: int, amount: int, **parts: int) -> Row:
        day = date(2017, 12, about)
        names = ("pending", "active", "reserved", "redeemed", "expired", "taken")
        return {
            "lot_id": _hash("lot", _key(merchant, day)),
            "business_key": _key(merchant, day),
            "programme": "fanxing",
            "merchant_id": merchant,
            "asset": "POINT",
            "pool": "fanxing",
            "effective_date": day,
            "revision": 1,
            "booked_date": day,
            "matures_on": day + timedelta(3),
            "expires_on": day + timedelta(6),
            "amount": amount,
            **{name: parts.get(name, 0) for name in names},
        }

    return [
        lot("m1", 24, 100, expired=70, taken=30),
        lot("m1", 25, 60, active=60),
        lot("m1", 31, 45, pending=45),
        lot("m2", 24, 20, expired=20),
    ]


def _positions() -> list[Row]:
    rows = []
    for lot in _lots():
        debt = 8 if lot["merchant_id"] == "m2" else 0
        zeros = dict.fromkeys(("lapsed", "forgiven", "cut_by_pool", "repayments"), 0)
        rows.append(
            {
                n: lot[n]
                for n in ("business_key", "programme", "merchant_id", "effective_date", "asset", "pool")
            }
            | {"rule": "trade_net", "revision": 1, "asked": lot["amount"], "granted": lot["amount"], **zeros}
            | {"net": lot["amount"] - lot["taken"] - debt, "debt": debt, "multiplier_milli": 1000}
            | {"matures_on": lot["matures_on"], "expires_on": lot["expires_on"], "updated_on": LAST}
        )
    return rows
