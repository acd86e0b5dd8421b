"""What a lake holds, in the figures that a first reader asks for; each says what of it is simulated."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from ccare.exports.card import policy_notes
from ccare.exports.query import one, rows_of
from ccare.growth.catalogue import open_snapshot
from ccare.growth.questions import question
from ccare.ledger.reasons import REFUSALS
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables.streams import EVENT_STREAMS

MOVERS = 5


@dataclass(frozen=True)
class StreamFate:
    """Rows of one stream: read = accepted + duplicate + rejected; accepted ones by origin (event streams)."""

    stream: str
    read: int
    accepted: int
    duplicate: int
    rejected: int
    real: int
    simulated: int


@dataclass(frozen=True)
class Mover:
    """A merchant whose total score moved, and the driver that moved it most."""

    merchant_id: str
    name: str
    total_from: float
    total_to: float
    change: float
    driver: str
    driver_change: float


@dataclass(frozen=True)
class Outcome:
    """What one rule of a programme granted, or did not for one reason; ``words`` say the reason."""

    programme: str
    rule: str
    asset: str
    outcome: str
    parties: int
    amount: int
    words: str


@dataclass(frozen=True)
class Reconciliation:
    """Real paid amounts. ``delivered_fen`` is summed from the landing files; None where they are gone.

    ``state_fen`` is gmv_fen over state_merchant_days and ``core_fen`` every paid row, whatever its origin.
    """

    gmv_fen: int
    rejected_fen: int
    rejected_rows: int
    delivered_fen: int | None
    state_fen: int
    core_fen: int

    @property
    def simulated_fen(self) -> int:
        """Paid amounts of rows with origin simulated: no part of the real ones."""
        return self.core_fen - self.gmv_fen

    @property
    def holds(self) -> bool:
        """Whether every cent is accounted for."""
        made = self.gmv_fen + self.rejected_fen
        return self.state_fen == self.core_fen and self.delivered_fen in (None, made)


@dataclass(frozen=True)
class DemoSummary:
    """The figures of a lake's results page. Amounts in minor units; ``points`` adds up as a lot does."""

    lake: str
    exports: str
    currency: str
    seq: int
    first_as_of: date | None
    last_as_of: date | None
    days_closed: int
    streams: tuple[StreamFate, ...]
    reasons: tuple[tuple[str, str, int], ...]
    merchants: dict[str, int]
    up: tuple[Mover, ...]
    down: tuple[Mover, ...]
    points: dict[str, int]
    outcomes: tuple[Outcome, ...]
    gmv: Reconciliation
    users: int
    business_dates: int
    first_date: date | None
    last_date: date | None
    vouchers_used: int
    refunds_real_fen: int
    refunds_simulated_fen: int
    simulated_event_share: float
    example_merchant: str
    notes: tuple[str, ...]
    provenance: str

    @property
    def simulated_rows(self) -> int:
        """Accepted rows with origin simulated."""
        return sum(s.simulated for s in self.streams)

    @property
    def scores_simulated(self) -> bool:
        """Whether scores rest on simulated events in part."""
        return self.simulated_event_share > 0

    @property
    def points_simulated(self) -> bool:
        """Whether points rest on simulated rows: refunds lower them, scores multiply them."""
        return self.scores_simulated or self.refunds_simulated_fen > 0


def demo_summary(settings: Settings, row: Published) -> DemoSummary:
    """Every figure from the version that ``row`` published; the landing tells only what was delivered."""
    with open_snapshot(settings, row) as con:
        days = rows_of(con, "select min(as_of_date) as first, max(as_of_date) as last from score_merchants")[
            0
        ]
        return DemoSummary(
            lake=str(settings.lake),
            exports=str(settings.exports),
            currency=settings.currency,
            seq=row.seq,
            first_as_of=days["first"],
            last_as_of=days["last"],
            days_closed=one(con, "select count(*) from run_manifest where kind = 'close'"),
            streams=_streams(con),
            reasons=_reasons(con),
            merchants=_merchants(con),
            up=_movers(con, "up", days["first"], days["last"]),
            down=_movers(con, "down", days["first"], days["last"]),
            points=_points(con),
            outcomes=_outcomes(con),
            gmv=_reconciliation(con, settings.landing),
            **rows_of(con, _REAL)[0],
            **rows_of(con, _REFUNDS)[0],
            simulated_event_share=rows_of(con, _SHARE)[0]["share"] or 0.0,
            example_merchant=_example(con),
            notes=tuple(note.en for note in policy_notes(settings, row)),
            provenance=_provenance(),
        )


_STREAMS = """
select stream, sum(rows_read)::bigint as read, sum(rows_accepted)::bigint as accepted,
    sum(rows_duplicate)::bigint as duplicate, sum(rows_rejected)::bigint as rejected
from raw_files group by stream order by read desc, stream
"""
_REASONS = """
select stream, reason, count(*) as rows
from (select stream, unnest(reasons) as reason from core_rejected_events)
group by all order by rows desc, stream, reason
"""
_REAL = """
select count(distinct user_key) as users, count(distinct business_date) as business_dates,
    min(business_date) as first_date, max(business_date) as last_date,
    (select count(*) from core_voucher_events where event_type = 'used' and origin = 'real') as vouchers_used
from core_payments where event_type = 'paid' and origin = 'real'
"""
_REFUNDS = """
select coalesce(sum(amount_fen) filter (origin = 'real'), 0)::bigint as refunds_real_fen,
    coalesce(sum(amount_fen) filter (origin = 'simulated'), 0)::bigint as refunds_simulated_fen
from core_payments where event_type = 'refunded'
"""
_SHARE = """
select sum(simulated_events) / nullif(sum(events), 0) as share
from state_merchant_days, snapshot where state_merchant_days.business_date > snapshot.business_date - 56
"""
_POINTS = """
select coalesce(sum(amount), 0)::bigint as issued, coalesce(sum(pending), 0)::bigint as pending,
    coalesce(sum(active), 0)::bigint as active, coalesce(sum(reserved), 0)::bigint as reserved,
    coalesce(sum(redeemed), 0)::bigint as redeemed, coalesce(sum(expired), 0)::bigint as expired,
    coalesce(sum(taken), 0)::bigint as taken,
    (select coalesce(-sum(balance), 0)::bigint from ledger_balances
     where asset = 'POINT' and (account like 'merchant:%:debt' or account like 'provider:%:debt')) as debt,
    count(distinct merchant_id) as merchants
from ledger_lots where asset = 'POINT'
"""
_EXAMPLE = """
select s.merchant_id as id
from latest_scores s
left join (select merchant_id, sum(amount) as issued from ledger_lots where asset = 'POINT' group by all) l
    using (merchant_id)
order by s.total_score is not null desc, issued desc nulls last, s.merchant_id limit 1
"""
_REJECTED = """
with payments as (
    select amount_fen, case when json_valid(payload) then payload end as line
    from core_rejected_events where stream = 'payments'
)
select coalesce(sum(amount_fen), 0)::bigint as amount, count(*) as rows from payments
where json_extract_string(line, '$.event_type') = 'paid'
    and coalesce(json_extract_string(line, '$.origin'), 'real') = 'real'
"""
_DELIVERED = """
select coalesce(sum(amount_fen), 0)::bigint from (
    select distinct event_id, merchant_id, trade_no, try_cast(amount_fen as bigint) as amount_fen
    from read_json($files, format = 'newline_delimited', ignore_errors = true, columns = {
        event_id: 'varchar', event_type: 'varchar', origin: 'varchar', merchant_id: 'varchar',
        trade_no: 'varchar', amount_fen: 'varchar'})
    where event_type = 'paid' and coalesce(origin, 'real') = 'real')
"""


def _streams(con: duckdb.DuckDBPyConnection) -> tuple[StreamFate, ...]:
    origins: dict[str, dict[str, int]] = {}
    for stream in EVENT_STREAMS:
        counted = con.execute(
            f"from (from {stream.table}) select origin, count(*) group by origin"
        ).fetchall()
        origins[stream.name] = dict(counted)
    return tuple(
        StreamFate(
            **row,
            real=origins.get(row["stream"], {}).get("real", 0),
            simulated=origins.get(row["stream"], {}).get("simulated", 0),
        )
        for row in rows_of(con, _STREAMS)
    )


def _reasons(con: duckdb.DuckDBPyConnection) -> tuple[tuple[str, str, int], ...]:
    return tuple((row["stream"], row["reason"], row["rows"]) for row in rows_of(con, _REASONS))


def _merchants(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    rows = rows_of(con, "select score_status as status, count(*) as n from latest_scores group by 1")
    found = {row["status"]: row["n"] for row in rows}
    order = ("full", "partial", "insufficient", "inactive")
    return {status: found.get(status, 0) for status in order} | {
        s: n for s, n in found.items() if s not in order
    }


def _movers(
    con: duckdb.DuckDBPyConnection, direction: str, first: date | None, last: date | None
) -> tuple[Mover, ...]:
    values: dict[str, Any] = {"from_day": first, "to_day": last, "direction": direction, "top": MOVERS}
    names = ("merchant_id", "name", "total_from", "total_to", "change", "driver", "driver_change")
    rows = rows_of(con, question("score_movers").sql, **values)
    return tuple(Mover(**{name: row[name] for name in names}) for row in rows)


def _points(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return dict(rows_of(con, _POINTS)[0])


def _outcomes(con: duckdb.DuckDBPyConnection) -> tuple[Outcome, ...]:
    names = ("programme", "rule", "asset", "outcome", "parties", "amount")
    return tuple(
        Outcome(
            **{name: row[name] for name in names},
            words=REFUSALS.get(row["outcome"], {"en": "granted"})["en"],
        )
        for row in rows_of(con, question("programme_outcomes").sql, programme=None)
    )


def _reconciliation(con: duckdb.DuckDBPyConnection, landing: Path) -> Reconciliation:
    rejected = rows_of(con, _REJECTED)[0]
    paid = "select sum(amount_fen) from core_payments where event_type = 'paid'"
    return Reconciliation(
        gmv_fen=one(con, paid + " and origin = 'real'"),
        rejected_fen=rejected["amount"],
        rejected_rows=rejected["rows"],
        delivered_fen=_delivered(con, landing),
        state_fen=one(con, "select sum(gmv_fen) from state_merchant_days"),
        core_fen=one(con, paid),
    )


def _delivered(con: duckdb.DuckDBPyConnection, landing: Path) -> int | None:
    """Real paid amounts in the delivered files, a repeated row once; None where a file is not there."""
    taken = rows_of(
        con, "select distinct path from raw_files where stream = 'payments' and file_status = 'taken'"
    )
    files = [landing / row["path"] for row in taken]
    if not files or not all(f.is_file() and f.name.endswith((".jsonl", ".jsonl.gz")) for f in files):
        return None
    return one(con, _DELIVERED, files=sorted(map(str, files)))


def _example(con: duckdb.DuckDBPyConnection) -> str:
    """The merchant whose card shows most: scored, with the most points; empty without merchants."""
    return next((row["id"] for row in rows_of(con, _EXAMPLE)), "")


def _provenance() -> str:
    try:
        from ccare.sources.complete_journey import PROVENANCE
    except ImportError:
        return ""
    return PROVENANCE
