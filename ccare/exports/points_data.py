"""A merchant's points, and the transfers that make them, checked to add up before anything is shown."""

from dataclasses import dataclass
from datetime import date

import duckdb

from ccare.errors import IntegrityBroken
from ccare.exports.query import one, rows_of

LAST_TRANSFERS = 8
_PARTS = (("pending", 1), ("active", 1), ("debt", -1))


@dataclass(frozen=True)
class Movement:
    """One transfer of the merchant, as what it does to each of its accounts."""

    booked_date: date
    code: str
    programme: str
    effective_date: date
    expires_on: date | None
    pending: int
    active: int
    debt: int


@dataclass(frozen=True)
class Points:
    """POINT accounts of a merchant; granted = pending + active + reserved + redeemed + expired + taken.

    ``before_*`` sum the ``earlier`` transfers that are not in ``movements``; together they make the balances.
    """

    granted: int
    pending: int
    active: int
    reserved: int
    redeemed: int
    expired: int
    taken: int
    debt: int
    earlier: int
    before_pending: int
    before_active: int
    before_debt: int
    movements: tuple[Movement, ...]


# A debt grows as its account is debited: the sign of the third column is the other way round.
_MOVES = """
create or replace temp table moves as
with mine as (
    select *,
        case $pending when credit_account then amount when debit_account then -amount else 0 end as pending,
        case $active when credit_account then amount when debit_account then -amount else 0 end as active,
        case $debt when debit_account then amount when credit_account then -amount else 0 end as debt,
        array_position(['fall', 'activate', 'repay', 'expire', 'earn', 'debt'], code) as step
    from ledger_transfers
    where asset = 'POINT'
        and (debit_account in ($pending, $active, $debt) or credit_account in ($pending, $active, $debt))
)
select booked_date, code, programme, effective_date, expires_on, pending, active, debt,
    row_number() over last_first as place
from mine
window last_first as (order by booked_date desc, step desc, business_key desc, leg desc, transfer_id)
"""
_BEFORE = """
select count(*) as earlier, coalesce(sum(pending), 0)::bigint as before_pending,
    coalesce(sum(active), 0)::bigint as before_active, coalesce(sum(debt), 0)::bigint as before_debt
from moves where place > $shown
"""
_LOTS = """
select coalesce(sum(amount), 0)::bigint as granted, coalesce(sum(pending), 0)::bigint as pending,
    coalesce(sum(active), 0)::bigint as active, coalesce(sum(reserved), 0)::bigint as reserved,
    coalesce(sum(redeemed), 0)::bigint as redeemed, coalesce(sum(expired), 0)::bigint as expired,
    coalesce(sum(taken), 0)::bigint as taken
from ledger_lots where merchant_id = $merchant and asset = 'POINT'
"""


def read_points(con: duckdb.DuckDBPyConnection, merchant_id: str) -> Points:
    """The merchant's points and last transfers, oldest first.

    Raises IntegrityBroken where balances, transfers and lots do not say the same.
    """
    accounts = {part: f"merchant:{merchant_id}:{part}" for part, _ in _PARTS}
    con.execute(_MOVES, accounts)
    names = list(Movement.__dataclass_fields__)
    recent = rows_of(con, "from moves where place <= $shown order by place desc", shown=LAST_TRANSFERS)
    before = rows_of(con, _BEFORE, shown=LAST_TRANSFERS)[0]
    con.execute("drop table moves")
    lots = rows_of(con, _LOTS, merchant=merchant_id)[0]
    balances = {part: sign * _balance(con, accounts[part]) for part, sign in _PARTS}
    points = Points(
        **lots,
        **before,
        debt=balances["debt"],
        movements=tuple(Movement(**{name: row[name] for name in names}) for row in recent),
    )
    _check(merchant_id, points, balances)
    return points


def _balance(con: duckdb.DuckDBPyConnection, account: str) -> int:
    return one(con, "select balance from ledger_balances where account = $a and asset = 'POINT'", a=account)


def _check(merchant_id: str, points: Points, balances: dict[str, int]) -> None:
    for part, balance in balances.items():
        moved = getattr(points, f"before_{part}") + sum(getattr(m, part) for m in points.movements)
        kept = getattr(points, part)
        if not balance == moved == kept:
            raise IntegrityBroken(
                f"{part.capitalize()} points of merchant {merchant_id} do not add up: ledger_balances holds "
                f"{balance}, ledger_transfers make {moved} and ledger_lots hold {kept}.",
                remedy="Run ccare verify; no card is written until the ledger agrees.",
            )
    left = points.pending + points.active + points.reserved
    spent = points.redeemed + points.expired + points.taken
    if points.granted != left + spent:
        raise IntegrityBroken(
            f"The lots of merchant {merchant_id} hold {points.granted} points, their parts {left + spent}.",
            remedy="Run ccare verify; no card is written until the ledger agrees.",
        )
