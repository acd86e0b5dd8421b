"""What growth questions need beside the small lake: content, messages, coupons, traffic, providers, user counts.

All of it in W28 of 31 December (from the 4th on) but where a line says so. m4 is a merchant that loses its users.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from tests.growth.small_base import FIRST, LAST, Row, digest, provenance
from tests.growth.small_events import ACTIVE, event
from tests.growth.small_scores import metric_row


def growth_rows() -> Mapping[str, Sequence[Row]]:
    """Further rows of the small lake, table by table."""
    return {
        "core_merchants": [_m4()],
        "core_service_providers": [_provider("sp1", "First Partner"), _provider("sp2", "Second Partner")],
        "core_solutions": [
            {"solution_id": "s1", "service_provider_id": "sp1", "name": "Ordering"} | provenance()
        ],
        "core_solution_adoptions": [
            {"solution_id": "s1", "merchant_id": "m1", "adopted_on": FIRST} | provenance()
        ],
        "core_life_account_events": _content(),
        "core_mini_program_events": [*_messages(), _launch()],
        "core_voucher_events": _coupons(),
        "core_traffic_hours": _traffic(),
        "ledger_lots": [_impressions()],
        "state_users": _users(),
        "state_merchant_days": [_m4_day(11, 20, 8, 4000), _m4_day(12, 10, 2, 1000)],
        "metric_merchants": [_m4_metrics()],
        "metric_activity_days": [
            _counted("m1", active_days=1, users=11),
            _counted("m1", active_days=2, users=1),
            _counted("m2", active_days=1, users=1),
        ],
        "metric_stages": _stages(),
        "metric_retention": _cohorts(),
        "metric_funnels": _funnels(),
    }


def _m4() -> Row:
    facts: Row = {"merchant_id": "m4", "name": "Fading tea house", "industry": "GROCERY", "own_brand": True}
    dates = {"joined_on": date(2017, 1, 1), "valid_from": date(2017, 1, 1)}
    return facts | dates | {"service_provider_id": "sp2"} | provenance()


def _provider(provider: str, name: str) -> Row:
    return {"service_provider_id": provider, "name": name, "joined_on": date(2017, 1, 1)} | provenance()


def _content() -> list[Row]:
    """u01..u04 view at m1 (two kinds), u20 at m2; u05 viewed before the window and u99 is staff."""
    told = [
        ("m1", "u01", 10, "view", "short_video"),
        ("m1", "u01", 10, "like", "short_video"),
        ("m1", "u01", 11, "mini_program_click", "short_video"),
        ("m1", "u02", 10, "view", "short_video"),
        ("m1", "u03", 12, "view", "image_text"),
        ("m1", "u04", 12, "view", "image_text"),
        ("m1", "u04", 12, "comment", "image_text"),
        ("m1", "u99", 12, "view", "image_text"),
        ("m2", "u20", 20, "view", "live"),
        ("m2", "u20", 21, "voucher_click", None),
    ]
    rows = [
        event("l", n, merchant, user, date(2017, 12, day), kind) | {"content_type": content}
        for n, (merchant, user, day, kind, content) in enumerate(told)
    ]
    early = event("l", 90, "m1", "u05", date(2017, 11, 1), "view") | {"content_type": "short_video"}
    return [*rows, early]


def _launch() -> Row:
    """u03 goes from the life channel into the mini-program."""
    return event("g", 80, "m1", "u03", date(2017, 12, 12), "launch") | {"slot": "life_channel"}


def _messages() -> list[Row]:
    """Messages to u01 (2, clicks one), u02 (5, then refuses), u03 (1, clicks it), u04 (1)."""
    told = [
        *(("u01", day, "message_delivered") for day in (5, 6)),
        ("u01", 6, "message_click"),
        *(("u02", day, "message_delivered") for day in range(5, 10)),
        ("u02", 9, "refuse"),
        ("u03", 5, "message_delivered"),
        ("u03", 5, "message_click"),
        ("u04", 5, "message_delivered"),
    ]
    return [event("n", n, "m1", user, date(2017, 12, day), kind) for n, (user, day, kind) in enumerate(told)]


def _coupons() -> list[Row]:
    """Of activity a1 at m1, beside v1: v2 used in trade t7 (u02, 5,000), v3 used and given back, v4 expired."""
    told: list[tuple[str, str, int, str, Row]] = [
        ("v2", "u02", 9, "received", {}),
        (
            "v2",
            "u02",
            10,
            "used",
            {"trade_no": "t7", "merchant_contribute_fen": 300, "platform_contribute_fen": 200},
        ),
        ("v3", "u03", 9, "received", {}),
        ("v3", "u03", 10, "used", {"merchant_contribute_fen": 50}),
        ("v3", "u03", 11, "unused", {}),
        ("v4", "u04", 9, "received", {}),
        ("v4", "u04", 30, "expired", {}),
    ]
    return [
        event("w", n, "m1", user, date(2017, 12, day), kind)
        | {"voucher_code": code, "activity_id": "a1"}
        | facts
        for n, (code, user, day, kind, facts) in enumerate(told)
    ]


def _traffic() -> list[Row]:
    """Hours in UTC; trades of the day are paid at 17. Orders in treated hours 6 + 1, in holdout hours 1."""

    def hour(n: int, merchant: str, day: int, at: int, slot: str, shown: int, clicks: int, arm: str) -> Row:
        row = event("t", n, merchant, None, date(2017, 12, day), "delivered")
        row.pop("user_key")
        row["occurred_at"] = datetime(2017, 12, day, at, tzinfo=UTC)
        source = "free" if slot == "app_centre" else "points"
        return row | {"slot": slot, "impressions": shown, "clicks": clicks, "source": source, "arm": arm}

    granted = hour(7, "m1", 13, 3, "recommendation_card", 200, 6, "treated")

    return [
        hour(1, "m1", 10, 17, "search_box", 1000, 50, "treated"),
        hour(2, "m1", 10, 18, "search_box", 1000, 30, "treated"),
        hour(3, "m2", 5, 17, "search_box", 1000, 20, "treated"),
        hour(4, "m1", 12, 17, "search_box", 1000, 0, "holdout"),
        hour(5, "m1", 20, 17, "search_box", 1000, 0, "holdout"),
        hour(6, "m1", 10, 17, "app_centre", 400, 8, "treated"),
        granted | {"source": "free", "grant_id": _impressions()["lot_id"]},
    ]


def _impressions() -> Row:
    """Impressions that fuyou granted m1 on Sunday the 10th, 200 of them shown."""
    day = date(2017, 12, 10)
    key = f"fuyou|top_of_peers|m1|{day}"
    parts = dict.fromkeys(("pending", "active", "reserved", "expired", "taken"), 0)
    return parts | {
        "lot_id": digest("lot", key),
        "business_key": key,
        "programme": "fuyou",
        "merchant_id": "m1",
        "asset": "IMPRESSION",
        "pool": "fuyou",
        "effective_date": day,
        "revision": 1,
        "booked_date": day,
        "matures_on": day,
        "expires_on": day + timedelta(14),
        "amount": 200,
        "redeemed": 200,
    }


def _users() -> list[Row]:
    """Lifetimes of the pairs in ACTIVE."""
    rows: dict[tuple[str, str], Row] = {}
    for merchant, user, day, amount, _ in sorted(ACTIVE, key=lambda a: a[2]):
        fresh: Row = {"merchant_id": merchant, "user_key": user, "first_seen_date": day}
        row = rows.setdefault((merchant, user), fresh | {"orders": 0, "gmv_fen": 0, "refund_fen": 0})
        row["last_seen_date"] = day
        row["stage"] = "visited"
        if amount:
            row.setdefault("first_paid_date", day)
            row |= {"last_paid_date": day, "orders": row["orders"] + 1, "gmv_fen": row["gmv_fen"] + amount}
    rows["m1", "u01"]["refund_fen"] = 500
    return list(rows.values())


def _m4_day(month: int, day: int, orders: int, gmv: int) -> Row:
    about = {"merchant_id": "m4", "business_date": date(2017, month, day)}
    return about | {"dau": orders, "payers": orders, "orders": orders, "gmv_fen": gmv, "events": orders}


def _m4_metrics() -> Row:
    row = metric_row("m4", LAST) | {"c_mau28": 10, "c_growth_retained": 8, "c_growth_new": 2}
    return row | {"c_growth_churned": 12, "r_gmv": 1000, "r_orders": 2}


def _counted(merchant: str, day: date = LAST, **facts: object) -> Row:
    return {"merchant_id": merchant, "as_of_date": day, **facts}


def _stages() -> list[Row]:
    """What ACTIVE gives on both days; m4 has lost most of its users."""
    told = {
        ("m1", FIRST): {"visited": 4, "repeat": 7, "at_risk": 2},
        ("m1", LAST): {"visited": 5, "repeat": 7, "at_risk": 2},
        ("m2", FIRST): {"paid": 1, "at_risk": 1},
        ("m2", LAST): {"paid": 1, "at_risk": 1},
        ("m4", LAST): {"repeat": 10, "at_risk": 12, "dormant": 3},
    }
    return [_counted(m, day, stage=s, users=n) for (m, day), users in told.items() for s, n in users.items()]


def _cohorts() -> list[Row]:
    monday = date(2017, 11, 6)

    def cohort(merchant: str, week: date, age: int, size: int, users: int) -> Row:
        told_on = week + timedelta(days=7 * age + 6)
        sizes = {"cohort_week": week, "age": age, "cohort_users": size, "users": users}
        return _counted(merchant, told_on, **sizes)

    later = monday + timedelta(days=7)
    return [
        cohort("m1", monday, 0, 6, 6),
        cohort("m1", monday, 1, 6, 3),
        cohort("m2", monday, 0, 2, 2),
        cohort("m2", monday, 1, 2, 1),
        cohort("m1", later, 0, 2, 2),
    ]


def _funnels() -> list[Row]:
    steps = ("impression", "click", "active", "order", "pay")
    told = {"m1": ((10, 6, 5, 3, 2), (2000, 80)), "m2": ((4, 2, 2, 1, 1), (1000, 20))}
    return [
        _counted(merchant, slot="search_box", step=step, step_number=n + 1, users=users[n])
        | {"traffic": traffic[n] if n < 2 else None}
        for merchant, (users, traffic) in told.items()
        for n, step in enumerate(steps)
    ]
