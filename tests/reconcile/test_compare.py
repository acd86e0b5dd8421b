"""Bills against payments on rows few enough to check by hand; a merchant is judged by its own bills alone."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from ccare.growth.snapshot import view_sql
from ccare.reconcile.compare import MerchantDay, merchant_days, reconcile
from ccare.reconcile.policy import ReconcilePolicy, load_reconcile
from ccare.runtime.settings import default_conf
from ccare.tables import table

DAY = date(2026, 3, 1)
NEXT = DAY + timedelta(days=1)
POLICY = load_reconcile(default_conf(), DAY)
STRICT = ReconcilePolicy("strict", DAY, ("alipay", "wechat"), ("amount_fen",), 0, 0, 35)


class Lake:
    """The three tables in DuckDB; a row says only what matters."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.con = con
        for name in ("core_bill_lines", "core_payments", "core_merchants"):
            con.execute(f"create table {name} as {view_sql(None, table(name), None)}")  # type: ignore[arg-type]
        self.put("core_merchants", merchant_id="m1", valid_from=date(2025, 1, 1), alipay_account="2088")

    def put(self, name: str, **row: Any) -> None:
        names = ", ".join(f'"{n}"' for n in row)
        self.con.execute(
            f"insert into {name} ({names}) values ({', '.join('?' * len(row))})", list(row.values())
        )

    def bill(self, trade_no: str, amount_fen: int, **row: Any) -> None:
        given = {
            "channel": "alipay",
            "merchant_id": "m1",
            "kind": "paid",
            "business_date": DAY,
            "taken_on": DAY,
        }
        zero = dict.fromkeys(("fee_fen", "merchant_discount_fen", "platform_discount_fen"), 0)
        self.put(
            "core_bill_lines", **{**given, **zero, "trade_no": trade_no, "amount_fen": amount_fen, **row}
        )

    def paid(self, trade_no: str, amount_fen: int, **row: Any) -> None:
        given = {"merchant_id": "m1", "event_type": "paid", "business_date": DAY, "taken_on": DAY}
        self.put("core_payments", **{**given, "trade_no": trade_no, "amount_fen": amount_fen, **row})

    def days(self, policy: ReconcilePolicy = STRICT, **options: Any) -> list[MerchantDay]:
        return merchant_days(self.con, policy, DAY, **options)


@pytest.fixture
def lake() -> Iterator[Lake]:
    with duckdb.connect() as con:
        yield Lake(con)


def test_equal_sides_differ_by_nothing(lake: Lake) -> None:
    lake.bill("t1", 1000, fee_fen=6)
    lake.paid("t1", 1000)
    lake.bill("t1", 300, kind="refunded", refund_no="r1")
    lake.bill("t1", 200, kind="refunded", refund_no="r2")
    lake.paid("t1", 300, event_type="refunded", refund_no="r1")
    lake.paid("t1", 200, event_type="refunded", refund_no="r2")
    (m,) = lake.days()
    assert (m.difference_fen, m.allowed_fen, m.over) == (0, 0, False)
    assert (m.bill_fen, m.payment_fen, m.bill_lines, m.payments) == (500, 500, 3, 3)
    assert reconcile(lake.con, STRICT, DAY).differences == [], "an event without a fee says nothing about it"


def test_every_kind_of_difference_is_listed(lake: Lake) -> None:
    lake.bill("t1", 1000, fee_fen=6)
    lake.paid("t1", 1001, fee_fen=5)
    lake.bill("t2", 40)
    lake.paid("t3", 70)
    lake.bill("t1", 300, kind="refunded", refund_no="r1")
    lake.paid("t1", 300, event_type="refunded", refund_no="r-other")
    found = reconcile(lake.con, STRICT, DAY)
    (m,) = found.merchants
    assert (m.missing_in_payments, m.missing_in_bills, m.different) == (2, 2, 1)
    assert (m.amount_difference_fen, m.fee_difference_fen) == (1 + 40 + 70 + 300 + 300, 1)
    assert m.difference_fen == m.amount_difference_fen, "the policy counts amounts only"
    assert (
        lake.days(replace(STRICT, counted=("amount_fen", "fee_fen")))[0].difference_fen
        == m.difference_fen + 1
    )
    told = [(d["what"], d["kind"], d["trade_no"], d["refund_no"]) for d in found.differences]
    assert told == [
        ("different", "paid", "t1", None),
        ("missing_in_payments", "paid", "t2", None),
        ("missing_in_bills", "paid", "t3", None),
        ("missing_in_bills", "refunded", "t1", "r-other"),
        ("missing_in_payments", "refunded", "t1", "r1"),
    ]
    assert found.over == [m]


def test_the_limit_is_the_larger_of_fen_and_share(lake: Lake) -> None:
    lake.bill("t1", 100_000)
    lake.paid("t1", 99_900)
    for allowed_fen, share_bp, over in ((0, 9, True), (0, 10, False), (99, 0, True), (100, 0, False)):
        policy = replace(STRICT, allowed_fen=allowed_fen, allowed_share_bp=share_bp)
        assert lake.days(policy)[0].over is over
    assert not lake.days(POLICY)[0].over, "0.1 % is what the product's own policy allows"


def test_a_trade_around_midnight_is_one_trade(lake: Lake) -> None:
    lake.bill("t1", 1000)
    lake.paid("t1", 1000, business_date=NEXT)
    lake.paid("t2", 500)
    lake.bill("t2", 500, business_date=NEXT)
    assert [m.difference_fen for m in lake.days()] == [0]
    assert [m.difference_fen for m in merchant_days(lake.con, STRICT, NEXT)] == [0]
    lake.paid("t9", 1000, business_date=NEXT + timedelta(days=1))
    lake.bill("t9", 1000)
    assert lake.days()[0].difference_fen == 1000, "two days apart is no clock"


def test_a_merchant_without_bills_is_neither_good_nor_bad(lake: Lake) -> None:
    lake.bill("t1", 1000)
    lake.paid("t1", 1000)
    lake.paid("t2", 777, merchant_id="m2")
    found = reconcile(lake.con, STRICT, DAY)
    assert [m.merchant_id for m in found.merchants] == ["m1"]
    assert found.no_bill == [{"merchant_id": "m2", "payments": 1, "payment_fen": 777}]


def test_payments_outside_bills_say_nothing_while_a_channel_is_missing(lake: Lake) -> None:
    lake.put(
        "core_merchants", merchant_id="m2", valid_from=date(2025, 1, 1), alipay_account="1", wechat_mch_id="2"
    )
    lake.bill("t1", 1000, merchant_id="m2")
    lake.paid("t1", 1000, merchant_id="m2")
    lake.paid("w1", 500, merchant_id="m2")
    (m,) = lake.days()
    assert (m.difference_fen, m.missing_in_bills, m.missing_channels) == (0, 1, ["wechat"])
    lake.bill("w2", 20, merchant_id="m2", channel="wechat")
    (m,) = lake.days()
    assert (m.difference_fen, m.missing_channels) == (520, [])
    (alone,) = lake.days(replace(STRICT, channels=("alipay",)))
    assert (alone.difference_fen, alone.missing_channels) == (500, []), (
        "only the policy's channels are looked at"
    )


def test_a_close_sees_what_was_taken_by_then_and_late_bills_at_their_own(lake: Lake) -> None:
    early = DAY - timedelta(days=2)
    lake.bill("old", 900, business_date=early, taken_on=DAY)
    lake.bill("t1", 1000)
    lake.paid("t1", 1000, taken_on=NEXT)
    seen = lake.days(known_on=DAY, new_on=DAY)
    assert [(m.business_date, m.difference_fen) for m in seen] == [(early, 900), (DAY, 1000)]
    assert lake.days(replace(STRICT, days_back=1), known_on=DAY, new_on=DAY)[0].business_date == DAY
    assert [m.difference_fen for m in lake.days()] == [0], "the command looks at everything published"
    later = merchant_days(lake.con, STRICT, NEXT, known_on=NEXT, new_on=NEXT)
    assert later == [], "a day's difference blocks the close that took the bill, not the ones after it"


def test_amounts_near_the_largest_do_not_overflow(lake: Lake) -> None:
    lake.bill("t1", 10**17)
    lake.bill("t2", 10**17)
    (m,) = lake.days(replace(STRICT, allowed_share_bp=10_000))
    assert m.difference_fen == m.allowed_fen == 2 * 10**17


def test_a_number_that_is_a_token_matches_and_is_told_to_nobody(lake: Lake) -> None:
    one, other = (f"k1_{digit * 64}" for digit in "ab")
    lake.bill(one, 1000)
    lake.paid(one, 1000)
    lake.bill(one, 300, kind="refunded", refund_no=other)
    lake.paid(one, 299, event_type="refunded", refund_no=other)
    lake.bill("k1_short", 5)
    (m,) = lake.days()
    assert (m.difference_fen, m.different, m.missing_in_payments) == (6, 1, 1)
    told = [(d["trade_no"], d["refund_no"], d["what"]) for d in reconcile(lake.con, STRICT, DAY).differences]
    assert told == [("k1_short", None, "missing_in_payments"), ("***", "***", "different")]
