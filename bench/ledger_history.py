"""Books for ``bench.ledger``: merchants with live lots, and as much older history as is asked for, drawn by DuckDB.

Each live lot is 100 points of a key; ten of them a merchant, thirteen days apart, the newest pending. Older keys have
earned, matured and expired whole. Day DAY brings a sale of every merchant, returns for a tenth of them and a request
for as many others. Nothing is ingested; every row is simulated.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from bench.made import made_table
from ccare.ledger.derive import BALANCES, LOTS

DAY = date(2026, 6, 30)
FIRST_DAY = date(2020, 1, 1)
POINTS = 100
"""Of each lot, of each request, and of what each merchant sells on DAY."""
FELL = 50
MATURITY, EXPIRY = 15, 180
RUN_ID = "history"
_LOTS_EACH = 10
_APART = 13
_MILLI = 1_000


@dataclass(frozen=True)
class Books:
    """How much there is. ``transfers``: rows of ledger_transfers before DAY, at least two a live lot."""

    merchants: int
    transfers: int

    @property
    def live(self) -> int:
        """Lots with something left."""
        return self.merchants * _LOTS_EACH

    @property
    def some(self) -> int:
        """Falls of DAY, and requests of DAY."""
        return self.merchants // 10

    @property
    def older(self) -> int:
        """Lots that have expired: three transfers each."""
        own = 2 + self.live + self.live * (_LOTS_EACH - 1) // _LOTS_EACH
        return max(self.transfers - own, 0) // 3


_KEYS = """
create table keys as
select 'm' || n % $merchants as merchant_id, $day - 3 - $apart * (n // $merchants)::integer as effective_date,
    'live' as kind
from range($live) r(n)
union all
select 'm' || n % $merchants, $day - $maturity - $expiry - 2 - (n // $merchants)::integer, 'older'
from range($older) r(n)
"""
_BOOKED = """
create table booked as
with keyed as (
    select *, 'f|trade_net|' || merchant_id || '|' || effective_date as business_key,
        effective_date + $maturity as matures_on, effective_date + $maturity + $expiry as expires_on,
        'merchant:' || merchant_id as party
    from keys
)
select 'world:funding' as debit_account, 'pool:p:available' as credit_account, 1000000000000 as amount,
    'fund' as code, null as merchant_id, null::varchar as lot_key, $first as effective_date, null::date as matures_on,
    null::date as expires_on, $first as booked_date, 'funding|p|A-1' as business_key, 'POINT' as asset
union all
select 'world:funding', 'pool:traffic:available', 1000000000000, 'fund', null, null, $first, null, null, $first,
    'funding|traffic|T-1', 'IMPRESSION'
union all
select 'pool:p:available', party || ':pending', $points, 'earn', merchant_id, business_key, effective_date, matures_on,
    expires_on, effective_date, business_key, 'POINT' from keyed
union all
select party || ':pending', party || ':active', $points, 'activate', merchant_id, business_key, effective_date,
    matures_on, expires_on, matures_on, business_key, 'POINT' from keyed where matures_on < $day
union all
select party || ':active', 'sink:expired', $points, 'expire', merchant_id, business_key, effective_date, matures_on,
    expires_on, expires_on + 1, business_key, 'POINT' from keyed where expires_on + 1 < $day
"""
_TRANSFERS = """
select *, if(code = 'earn', transfer_id, sha256(concat_ws(chr(10), programme, 'earn', lot_key, 1, 1))) as lot_id_,
from (
    select *, 'f' as programme, 1 as leg, 1 as revision,
        sha256(concat_ws(chr(10), 'f', code, business_key, 1, 1)) as transfer_id
    from booked
)
"""
_HASHED = f"""
select * exclude (lot_id_), if(lot_key is null, null, lot_id_) as lot_id, '{RUN_ID}' as run_id,
    if(code = 'earn', $points, null) as asked, if(code = 'earn', {_MILLI}, null) as multiplier_milli,
    booked_date::timestamptz as posted_at,
    sha256(concat_ws(chr(10), debit_account, credit_account, amount, asset, code, programme,
        coalesce(merchant_id, ''), if(lot_key is null, '', lot_id_), effective_date,
        coalesce(expires_on::varchar, ''), booked_date, business_key, leg, revision)) as content_hash
from ({_TRANSFERS})
"""
_POSITIONS = """
select 'f|trade_net|' || merchant_id || '|' || effective_date as business_key, 'f' as programme,
    'trade_net' as rule, merchant_id, effective_date, 'POINT' as asset, 'p' as pool, 1 as revision,
    $points as asked, $points as granted, $points as net, 0 as repayments, 1000 as multiplier_milli,
    effective_date + $maturity as matures_on, effective_date + $maturity + $expiry as expires_on,
    effective_date as updated_on, $version as policy_version
from keys
union all
select business_key, 'f', 'funding', null, effective_date, asset, split_part(business_key, '|', 2), 1, amount, amount,
    amount, 0, 0, null, null, effective_date, $version
from booked where code = 'fund'
"""
_FEN = "$points * 1000"
_SALES = f"""
select merchant_id, 'u-' || merchant_id as user_key, business_date, 1 as orders, {_FEN} as gmv_fen, 1 as events
from (select merchant_id, effective_date as business_date from keys where kind = 'live'
      union all select 'm' || n, $day from range($merchants) r(n))
"""
_RETURNS = """
select 'm' || n as merchant_id, 'u-m' || n as user_key, $day - 3 - $apart * 5 as paid_date, $day as refund_date,
    $fell * 1000 as refund_fen, 1 as refunds from range($some) r(n)
"""
_MERCHANT_DAYS = """
select merchant_id, business_date, 1 as dau, 1 as payers, sum(gmv_fen)::bigint as gmv_fen, sum(orders) as orders
from state_user_days group by all
"""
_PAYMENTS = """
select 'p-' || merchant_id || business_date as event_id, 'paid' as event_type, merchant_id, user_key, business_date,
    business_date as taken_on, 't-' || business_date as trade_no, gmv_fen as amount_fen,
    'simulated' as origin, business_date + 1 as delivery_date, business_date::timestamptz as occurred_at,
    'f' as file_sha256, 'unknown' as slot
from state_user_days
union all
select 'r-' || merchant_id, 'refunded', merchant_id, null, refund_date, refund_date, 't-' || paid_date, refund_fen,
    'simulated', refund_date + 1, refund_date::timestamptz, 'f', 'unknown' from state_refund_days
"""
_FILES = """
select 'payments' as stream, 'f' as file_sha256, 'payments/made.jsonl' as path, 'taken' as file_status,
    $day as taken_on, $day as delivery_date,
    count(*) as rows_read, count(*) as rows_accepted from core_payments
"""
_SCORES = """
select 'm' || n as merchant_id, $day as as_of_date, 50.0 as total_score, 'full' as score_status
from range($merchants) r(n)
"""
_REQUESTS = """
select 'r' || n as request_id, 'm' || ($some + n) as merchant_id, $slots[1 + n % len($slots)] as slot,
    $points as points, $day::timestamp + interval 4 hour as requested_at, $day as taken_on, 'c' || n as content_hash,
    $day + 1 as delivery_date, 'simulated' as origin
from range($some) r(n)
"""
CHANGES = f"""
select 'm' || n as merchant_id, 'u-m' || n as user_key, $day as business_date, 1 as orders, {_FEN} as gmv_fen,
    if(n < $some, 1, 0) as refunds, if(n < $some, $fell * 1000, 0) as refund_fen
from range($merchants) r(n)
"""
"""state_changes of DAY."""


def draw(con: duckdb.DuckDBPyConnection, told: "Fill") -> None:
    """Every table that the ledger's close of DAY reads, in ``con`` under its own name."""
    for query in (_KEYS, _BOOKED):
        con.execute(told(query))
    con.execute(f"create table ledger_transfers as {told(_HASHED)}")
    con.execute("alter table ledger_transfers add column service_provider_id varchar")
    for name, query in _TABLES.items():
        con.execute(f"create table {name} as {told(query)}")


def write(con: duckdb.DuckDBPyConnection, lake: Path, transfers: int) -> dict[str, int]:
    """The drawn tables as a lake's; of the transfers the newest only. Gives table -> version."""
    newest = "select * from ledger_transfers order by booked_date desc, transfer_id limit "
    versions = {"ledger_transfers": made_table(con, lake, "ledger_transfers", [f"{newest}{transfers}"])}
    return versions | {name: made_table(con, lake, name, [f"select * from {name}"]) for name in _TABLES}


_TABLES = {
    "ledger_positions": _POSITIONS,
    "ledger_lots": LOTS.replace("<ledger_transfers>", "ledger_transfers"),
    "ledger_balances": BALANCES.replace("<ledger_transfers>", "ledger_transfers"),
    "state_user_days": _SALES,
    "state_refund_days": _RETURNS,
    "state_merchant_days": _MERCHANT_DAYS,
    "core_payments": _PAYMENTS,
    "raw_files": _FILES,
    "score_merchants": _SCORES,
    "core_redemption_requests": _REQUESTS,
}


def filling(books: Books, version: str, slots: tuple[str, ...]) -> "Fill":
    """Puts this bench's own constants into its queries."""
    return Fill(
        {
            "$merchants": str(books.merchants),
            "$live": str(books.live),
            "$older": str(books.older),
            "$some": str(books.some),
            "$points": str(POINTS),
            "$fell": str(FELL),
            "$maturity": str(MATURITY),
            "$expiry": str(EXPIRY),
            "$apart": str(_APART),
            "$first": f"DATE '{FIRST_DAY}'",
            "$day": f"DATE '{DAY}'",
            "$version": f"'{version}'",
            "$slots": str(list(slots)),
        }
    )


@dataclass(frozen=True)
class Fill:
    """Replaces names by values, longest name first."""

    values: dict[str, str]

    def __call__(self, query: str) -> str:
        for name in sorted(self.values, key=len, reverse=True):
            query = query.replace(name, self.values[name])
        return query
