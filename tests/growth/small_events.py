"""Deliveries of the small lake: files, refused rows, merchants, staff, events, and the days folded from them."""

from datetime import UTC, date, datetime

from ccare.tables import table
from tests.growth.small_base import LAST, RUN, Row, digest, provenance


def raw_files(simulated: bool) -> list[Row]:
    def file(stream: str, read: int, accepted: int, duplicate: int, rejected: int) -> Row:
        return {
            "file_sha256": digest(stream),
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


def rejected() -> list[Row]:
    def row(stream: str, position: int, reasons: list[str], amount: int | None, payload: str) -> Row:
        return {
            "stream": stream,
            "file_sha256": digest(stream),
            "row_digest": digest(stream, position),
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


def merchants() -> list[Row]:
    def row(
        merchant_id: str, name: str, industry: str, valid_from: date, valid_to: date | None = None
    ) -> Row:
        return {
            "merchant_id": merchant_id,
            "name": name,
            "industry": industry,
            "own_brand": False,
            "service_provider_id": {"m1": "sp1", "m2": "sp1", "m3": "sp2"}[merchant_id],
            "joined_on": date(2017, 1, 1),
            "valid_from": valid_from,
            "valid_to": valid_to,
            **provenance(),
        }

    return [
        row("m1", "Old <b>Corner</b> Bakery", "GROCERY", date(2017, 1, 1), date(2017, 11, 30)),
        row("m1", "Corner <b>Bakery</b> & Söhne 面包房", "GROCERY", date(2017, 12, 1)),
        row("m2", '=HYPERLINK("http://x")', "GROCERY", date(2017, 1, 1)),
        row("m3", "Quiet, shop", "DRUG GM", date(2017, 1, 1)),
    ]


def staff() -> Row:
    return {"merchant_id": "m1", "user_key": "u99", "valid_from": date(2017, 1, 1), **provenance()}


def event(stream: str, number: int, merchant: str, user: str | None, day: date, kind: str) -> Row:
    return {
        "event_id": f"{stream}{number}",
        "event_type": kind,
        "merchant_id": merchant,
        "user_key": user,
        "occurred_at": datetime(day.year, day.month, day.day, 17, tzinfo=UTC),
        "business_date": day,
        "slot": "unknown",
        **provenance(),
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


def user_days(simulated: bool) -> list[Row]:
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


def merchant_days(simulated: bool) -> list[Row]:
    days: dict[tuple[str, date], Row] = {}
    for source in user_days(simulated):
        key = (source["merchant_id"], source["business_date"])
        day = days.setdefault(key, {"merchant_id": key[0], "business_date": key[1], "dau": 0, "payers": 0})
        if source["user_key"] != "u99":
            day["dau"] += 1
            day["payers"] += source["orders"]
        for column in table("state_merchant_days").columns[4:]:
            day[column.name] = day.get(column.name, 0) + source[column.name]
    return list(days.values())


def payments(simulated: bool) -> list[Row]:
    rows = []
    paid = [a for a in ACTIVE if a[3]]
    for number, (merchant, user, day, amount, _) in enumerate(paid):
        rows.append(
            event("p", number, merchant, user, day, "paid") | {"trade_no": f"t{number}", "amount_fen": amount}
        )
    refund = event("p", 90, "m1", "u01", LAST, "refunded") | {"trade_no": "t0", "refund_no": "r0"}
    return [*rows, refund | {"amount_fen": 500, "origin": "simulated"}] if simulated else rows


def vouchers() -> list[Row]:
    extra = {"voucher_code": "v1", "activity_id": "a1"}
    return [
        event("v", n, "m1", "u01", date(2017, 12, 10), kind) | extra
        for n, kind in enumerate(("received", "used"))
    ]


def visits() -> list[Row]:
    rows = [a for a in ACTIVE if a[4]]
    return [
        event("g", n, m, u, d, "launch") | {"origin": "simulated"} for n, (m, u, d, _, _) in enumerate(rows)
    ]
