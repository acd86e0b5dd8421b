"""Bill lines against payments, merchant by merchant and day by day, in DuckDB over one snapshot.

A bill line and a payment are one where merchant, kind, trade number and refund number are equal and their dates lie
at most a day apart: the two clocks may stand on both sides of midnight. The bill's date decides the day.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from ccare.reconcile.policy import ReconcilePolicy

EVERYTHING = date(9999, 12, 31)

_DUE = """
create or replace temp table due as
select distinct merchant_id, business_date from core_bill_lines
where list_contains($channels, channel) and taken_on <= $known_on
  and (business_date = $day
       or (taken_on = $new_on and business_date between $day - $days_back::int and $day))
"""
_BILLS = """
create or replace temp table bills as
select merchant_id, kind, trade_no, coalesce(refund_no, '') as refund_no,
       min(channel) as channel, min(business_date) as business_date,
       sum(amount_fen)::bigint as amount_fen, sum(fee_fen)::bigint as fee_fen,
       sum(merchant_discount_fen)::bigint as merchant_discount_fen,
       sum(platform_discount_fen)::bigint as platform_discount_fen
from core_bill_lines
where list_contains($channels, channel) and taken_on <= $known_on
  and merchant_id in (select merchant_id from due)
  and business_date between (select min(business_date) - 1 from due) and (select max(business_date) + 1 from due)
group by all
"""
_PAYMENTS = """
create or replace temp table payments as
select merchant_id, event_type as kind, trade_no, coalesce(refund_no, '') as refund_no,
       min(business_date) as business_date,
       sum(amount_fen)::bigint as amount_fen, sum(fee_fen)::bigint as fee_fen,
       sum(merchant_discount_fen)::bigint as merchant_discount_fen,
       sum(platform_discount_fen)::bigint as platform_discount_fen
from core_payments
where taken_on <= $known_on and merchant_id in (select merchant_id from due)
  and business_date between (select min(business_date) - 1 from due) and (select max(business_date) + 1 from due)
group by all
"""
# A payment that stands in no bill says something only where no bill of the merchant's channels is missing.
_CHANNELS = """
create or replace temp table channels as
with known as (
    select d.merchant_id, d.business_date, unnest([
        case when m.alipay_account is not null then 'alipay' end,
        case when m.wechat_mch_id is not null then 'wechat' end]) as channel
    from due d join core_merchants m on m.merchant_id = d.merchant_id
     and m.valid_from <= d.business_date and coalesce(m.valid_to, d.business_date) >= d.business_date
), there as (
    select distinct merchant_id, business_date, channel from core_bill_lines where taken_on <= $known_on
)
select merchant_id, business_date, list(distinct channel order by channel) as missing_channels
from known anti join there using (merchant_id, business_date, channel)
where list_contains($channels, channel) group by all
"""
_COMPARED = """
create or replace temp table compared as
with matched as (
    select merchant_id, kind, trade_no, refund_no, b.channel,
           coalesce(b.business_date, p.business_date) as business_date,
           b.amount_fen as bill_amount_fen, p.amount_fen as payment_amount_fen,
           b.fee_fen as bill_fee_fen, p.fee_fen as payment_fee_fen,
           b.merchant_discount_fen as bill_merchant_discount_fen,
           p.merchant_discount_fen as payment_merchant_discount_fen,
           b.platform_discount_fen as bill_platform_discount_fen,
           p.platform_discount_fen as payment_platform_discount_fen
    from bills b full join payments p using (merchant_id, kind, trade_no, refund_no)
)
select m.*, case when payment_amount_fen is null then 'missing_in_payments'
                 when bill_amount_fen is null then 'missing_in_bills' else 'both' end as side,
       bill_amount_fen is not null or c.missing_channels is null as counts,
       abs(coalesce(bill_amount_fen, 0) - coalesce(payment_amount_fen, 0)) as d_amount_fen,
       -- What a payments event may leave out is compared only where it says something.
       coalesce(abs(bill_fee_fen - payment_fee_fen), 0) as d_fee_fen,
       coalesce(abs(bill_merchant_discount_fen - payment_merchant_discount_fen), 0) as d_merchant_discount_fen,
       coalesce(abs(bill_platform_discount_fen - payment_platform_discount_fen), 0) as d_platform_discount_fen,
       d_amount_fen + d_fee_fen + d_merchant_discount_fen + d_platform_discount_fen as d_any
from matched m join due using (merchant_id, business_date)
left join channels c using (merchant_id, business_date)
"""
_MERCHANTS = """
with sums as (
    select merchant_id, business_date,
           count(*) filter (side <> 'missing_in_bills') as bill_lines,
           count(*) filter (side <> 'missing_in_payments') as payments,
           count(*) filter (side = 'missing_in_payments') as missing_in_payments,
           count(*) filter (side = 'missing_in_bills') as missing_in_bills,
           count(*) filter (side = 'both' and d_any > 0) as different,
           sum(case kind when 'paid' then bill_amount_fen else -bill_amount_fen end)::bigint as bill_fen,
           sum(case kind when 'paid' then payment_amount_fen else -payment_amount_fen end)::bigint as payment_fen,
           sum(bill_amount_fen)::bigint as bill_gross_fen,
           (sum(d_amount_fen) filter (counts))::bigint as amount_difference_fen,
           (sum(d_fee_fen) filter (counts))::bigint as fee_difference_fen,
           (sum(d_merchant_discount_fen) filter (counts))::bigint as merchant_discount_difference_fen,
           (sum(d_platform_discount_fen) filter (counts))::bigint as platform_discount_difference_fen,
           (sum(d_amount_fen * list_contains($counted, 'amount_fen')::int
                + d_fee_fen * list_contains($counted, 'fee_fen')::int
                + d_merchant_discount_fen * list_contains($counted, 'merchant_discount_fen')::int
                + d_platform_discount_fen * list_contains($counted, 'platform_discount_fen')::int)
            filter (counts))::bigint as difference_fen
    from compared group by all
)
select s.merchant_id, s.business_date, bill_lines, payments, missing_in_payments, missing_in_bills, different,
       coalesce(bill_fen, 0) as bill_fen, coalesce(payment_fen, 0) as payment_fen,
       amount_difference_fen, fee_difference_fen, merchant_discount_difference_fen, platform_discount_difference_fen,
       difference_fen,
       greatest($allowed_fen, (bill_gross_fen::hugeint * $allowed_share_bp // 10000)::bigint) as allowed_fen,
       coalesce(c.missing_channels, []) as missing_channels
from sums s left join channels c on c.merchant_id = s.merchant_id and c.business_date = s.business_date
order by s.merchant_id, s.business_date
"""
# A number that may be a person's stands in the tables as a token, and is told to nobody.
_DIFFERENCES = """
select merchant_id, business_date, kind, regexp_replace(trade_no, $token, '***') as trade_no,
       nullif(regexp_replace(refund_no, $token, '***'), '') as refund_no, channel,
       case when side = 'both' then 'different' else side end as what, counts as counted,
       bill_amount_fen, payment_amount_fen, bill_fee_fen, payment_fee_fen,
       bill_merchant_discount_fen, payment_merchant_discount_fen,
       bill_platform_discount_fen, payment_platform_discount_fen
from compared where side <> 'both' or d_any > 0
order by merchant_id, business_date, kind, compared.trade_no, compared.refund_no
"""
_TOKEN = "^k[0-9]+_[0-9a-f]{64}$"
_NO_BILL = """
select merchant_id, count(*) as payments,
       sum(case event_type when 'paid' then amount_fen else -amount_fen end)::bigint as payment_fen
from core_payments anti join due using (merchant_id)
where business_date = $day and taken_on <= $known_on group by merchant_id order by merchant_id
"""


@dataclass(frozen=True)
class MerchantDay:
    """One merchant's bills of one business day against its payments. Amounts in fen, paid less refunded.

    ``difference_fen`` adds up what the policy counts, line by line and without sign; payments that stand in no bill
    count only where no channel's bill is missing (``missing_channels``).
    """

    merchant_id: str
    business_date: date
    bill_lines: int
    payments: int
    missing_in_payments: int
    missing_in_bills: int
    different: int
    bill_fen: int
    payment_fen: int
    amount_difference_fen: int
    fee_difference_fen: int
    merchant_discount_difference_fen: int
    platform_discount_difference_fen: int
    difference_fen: int
    allowed_fen: int
    missing_channels: list[str]

    @property
    def over(self) -> bool:
        """Whether the policy's limit is passed."""
        return self.difference_fen > self.allowed_fen


@dataclass(frozen=True)
class Reconciled:
    """A day's comparison: merchants with bills, what differs line by line, and merchants with payments but no bill."""

    day: date
    policy_version: str
    merchants: list[MerchantDay]
    differences: list[dict[str, Any]]
    no_bill: list[dict[str, Any]]

    @property
    def over(self) -> list[MerchantDay]:
        """Merchants beyond their limit, the largest difference first."""
        beyond = (m for m in self.merchants if m.over)
        return sorted(beyond, key=lambda m: (-m.difference_fen, m.merchant_id, m.business_date))


def merchant_days(
    con: duckdb.DuckDBPyConnection,
    policy: ReconcilePolicy,
    day: date,
    *,
    known_on: date = EVERYTHING,
    new_on: date | None = None,
) -> list[MerchantDay]:
    """Every merchant with bill lines of ``day``; with ``new_on``, of earlier days whose lines were taken on it too.

    ``con`` has views of the stored tables; rows taken after ``known_on`` are not looked at.
    """
    values = {
        "channels": list(policy.channels),
        "counted": list(policy.counted),
        "known_on": known_on,
        "new_on": new_on,
        "day": day,
        "days_back": policy.days_back,
        "allowed_fen": policy.allowed_fen,
        "allowed_share_bp": policy.allowed_share_bp,
    }
    for sql in (_DUE, _BILLS, _PAYMENTS, _CHANNELS, _COMPARED):
        con.execute(sql, _named(sql, values))
    return [MerchantDay(**row) for row in _rows(con, _MERCHANTS, values)]


def reconcile(con: duckdb.DuckDBPyConnection, policy: ReconcilePolicy, day: date) -> Reconciled:
    """Bills of ``day`` against payments, as the snapshot behind ``con`` knows them."""
    merchants = merchant_days(con, policy, day)
    differences = _rows(con, _DIFFERENCES, {"token": _TOKEN})
    no_bill = _rows(con, _NO_BILL, {"day": day, "known_on": EVERYTHING})
    return Reconciled(day, policy.version, merchants, differences, no_bill)


def _rows(con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    result = con.execute(sql, _named(sql, values))
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _named(sql: str, values: dict[str, Any]) -> dict[str, Any]:
    """DuckDB refuses values that a statement does not name."""
    return {name: value for name, value in values.items() if f"${name}" in sql}
