"""``make bench-programmes``: what 200,000 merchants earn for a day that ends no month, beside DuckDB doing the same.

Four of the six programmes: fanxing, luoma, fuyou (it is a Sunday) and wufu (within its campaign). chengfeng and
resource_pack pay on a month's last day: they are in force, cost nothing on this one, and that day is not timed here.

State of four weeks is made up: every merchant has about two user days a day, of 20 users; a tenth of the days opens
with a guided visit, a follow or a joining, a third is paid, a few trades are returned. Measured is
``ccare.ledger.decisions``: from published state to what each key asks, refusals included, twice in one session (cold,
warm). DuckDB asks the same of the same files, rule by rule; the sums of both must agree. Nothing is booked.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from bench.ingest import process_tree
from ccare.events.slots import load_slots
from ccare.growth.snapshot import connect_to, name_of
from ccare.ledger.decisions import decide
from ccare.ledger.frames import by_party
from ccare.ledger.parties import with_party
from ccare.ledger.policy import LedgerPolicy, load_ledger
from ccare.runtime.close import Close
from ccare.runtime.settings import Settings, default_conf
from ccare.runtime.spark import conform, frame, held, session
from ccare.scoring.policy import load_scoring
from ccare.tables import table

DAY, FIRST = date(2026, 2, 8), date(2026, 1, 12)
"""A Sunday within the campaign of the packaged policy, and the first day of the history."""

_HISTORY = """
copy (
    select 'm' || m as merchant_id, md5('a' || m || '-' || u) || md5('b' || m || '-' || u) as user_key,
        d::date as business_date, 3 as events, 2 as active_events,
        case when h % 3 = 0 then 1 else 0 end as orders, case when h % 3 = 0 then 500 + h % 9000 else 0 end as gmv_fen,
        (case when h % 10 = 1 then 1 else 0 end) | (case when h % 10 = 2 then 2 else 0 end)
            | (case when h % 4 = 1 then 4 else 0 end) | (case when h % 10 = 3 then 8 else 0 end) as tasks,
        case when h % 10 = 3 then 't' || (u % 2) end as guided_terminal,
        case when h % 10 = 1 then true when h % 50 = 7 then false end as follow_on,
        case when h % 10 = 2 then true when h % 50 = 8 then false end as member_on
    from (select m, d, (hash(m, d, k) % 20)::int as u, (hash(m, d, k, 'x') % 1000000)::bigint as h
          from range($merchants) t(m), range(date '2026-01-12', date '2026-02-09', interval 1 day) s(d), range(2) r(k))
    qualify row_number() over (partition by m, d, u) = 1
) to '{root}/days.parquet' (row_group_size 500000)
"""
_TODAY = (
    "copy (from '{root}/days.parquet' where business_date = date '2026-02-08') to '{root}/changes.parquet'"
)
_REFUNDS = """
copy (
    select merchant_id, user_key, business_date as paid_date, business_date as refund_date,
        (gmv_fen // 2)::bigint as refund_fen, 1::bigint as refunds
    from '{root}/changes.parquet' where gmv_fen > 0 and gmv_fen % 20 = 0
) to '{root}/refunds.parquet'
"""
_MERCHANTS = """
copy (
    select 'm' || m as merchant_id, date '2025-01-01' as valid_from, date '2025-01-01' as taken_on,
        case when m % 5 > 0 then 'mp' || m end as mini_program_id, m % 11 = 0 as own_brand,
        ['catering', 'retail', 'beauty', 'transport'][1 + m % 4] as industry from range($merchants) t(m)
) to '{root}/merchants.parquet'
"""
_SCORES = """
copy (
    select 'm' || m as merchant_id, date '2026-02-08' as as_of_date, (hash(m, 's') % 1001) / 10 as scale_score,
        (hash(m, 'a') % 1001) / 10 as activity_score, (hash(m, 't') % 1001) / 10 as total_score,
        'g' || m % 40 as peer_group, ($merchants // 40)::bigint as peers, (hash(m, 'p') % 100) / 100 as shrunk_value,
        'e_private_share' as metric_id
    from range($merchants) t(m)
) to '{root}/scores.parquet'
"""
_CARDS = """
copy (
    select 'received' as event_type, merchant_id, user_key, 'wufu-2026' as activity_id, business_date,
        business_date as taken_on from '{root}/days.parquet' where gmv_fen % 7 = 1 and business_date > date '2026-01-25'
) to '{root}/cards.parquet'
"""
_ENROLMENTS = """
copy (
    select 'wufu' as programme, 'm' || m as party, date '2026-01-26' as "from", date '2026-01-26' as taken_on
    from range(least(1500, $merchants)) t(m)
) to '{root}/enrolments.parquet'
"""
_FILES = {
    "state_user_days": "days",
    "state_changes": "changes",
    "state_refund_days": "refunds",
    "core_merchants": "merchants",
    "core_voucher_events": "cards",
    "core_enrolments": "enrolments",
    "score_merchants": "scores",
    "score_drivers": "scores",
}

# What each rule counts for the day, rule by rule: programme, rule, merchant_id, units.
_UNITS = """
create temp table units as
with d as (from '{root}/days.parquet'), today as (from '{root}/changes.parquet'),
net as (
    select merchant_id, sum(fen)::bigint as units from (
        select merchant_id, gmv_fen as fen from today
        union all select merchant_id, -refund_fen from '{root}/refunds.parquet') group by all
), firsts as (
    select merchant_id, user_key, min(business_date) filter (tasks & 1 > 0) as followed,
        min(business_date) filter (tasks & 2 > 0) as joined,
        arg_max(follow_on, business_date) filter (follow_on is not null) as follows,
        arg_max(member_on, business_date) filter (member_on is not null) as member,
        count(*) filter (orders > 0) as paid_days, bool_or(orders > 0 and business_date = date '2026-02-08') as pays
    from d group by all
), visits as (
    select merchant_id, user_key, business_date, tasks, guided_terminal,
        row_number() over (partition by merchant_id, user_key order by business_date) as n from d
), guided as (
    select a.merchant_id, least(count(*), 200) as units
    from visits a join visits b using (merchant_id, user_key)
    where a.n = 1 and b.n = 2 and a.tasks & 8 > 0 and b.business_date = date '2026-02-08'
        and b.business_date - a.business_date <= 7
    group by a.merchant_id, coalesce(a.guided_terminal, '')
), cards as (
    select c.merchant_id, c.user_key, min(d.business_date) as came
    from '{root}/cards.parquet' c join d on d.merchant_id = c.merchant_id and d.user_key = c.user_key
        and d.business_date - c.business_date between 1 and 7
    group by all
), best as (
    select merchant_id, 1 as units, row_number() over (
            partition by peer_group order by scale_score + activity_score desc, merchant_id) as place, peers
    from '{root}/scores.parquet' where scale_score >= 80 and activity_score >= 80 and shrunk_value >= 0.5
)
select 'fanxing' as programme, 'trade_net' as rule, merchant_id, units from net
union all select 'fanxing', 'first_follow', merchant_id, count(*) from firsts
    where followed = date '2026-02-01' and follows group by merchant_id
union all select 'fanxing', 'first_member', merchant_id, count(*) from firsts
    where joined = date '2026-02-01' and member group by merchant_id
union all select 'fanxing', 'private_day', merchant_id, count(*) from today where tasks & 4 > 0 group by merchant_id
-- Four weeks of history: whoever pays a second time counts, and cannot count again within it.
union all select 'fanxing', 'returning_payer', merchant_id, count(*) from firsts where pays and paid_days = 2
    group by merchant_id
union all select 'luoma', 'guided_return', merchant_id, sum(units)::bigint from guided group by merchant_id
union all select 'fuyou', 'top_of_peers', merchant_id, units from best where place <= peers // 10
union all select 'wufu', 'card_receivers', merchant_id, count(*) from cards where came = date '2026-02-08'
    group by merchant_id
"""
_ASKED = """
select u.programme, u.rule, sum(floor(greatest(u.units, 0) * r.points * case u.programme when 'fuyou' then 1000
    else 500 + coalesce(round(s.total_score * 10)::bigint, 0) end / r.unit))::bigint as asked
from units u
join (values ('trade_net', 1, 1000000), ('first_follow', 2, 1000), ('first_member', 5, 1000), ('private_day', 1, 1000),
    ('returning_payer', 3, 1000), ('guided_return', 5, 1000), ('top_of_peers', 10000, 1000), ('card_receivers', 2, 1000)
) r(rule, points, unit) using (rule)
left join '{root}/scores.parquet' s using (merchant_id)
left join '{root}/merchants.parquet' m using (merchant_id)
left join (select party, row_number() over (order by party) as place from '{root}/enrolments.parquet') e
    on e.party = u.merchant_id
where case u.programme when 'fanxing' then m.mini_program_id is not null
    when 'luoma' then m.industry in ('catering', 'retail') or m.own_brand
    when 'wufu' then coalesce(e.place <= 1000, false) else true end
group by all order by all
"""


def main() -> None:
    """Print seconds of both, and what each rule asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--merchants", type=int, default=200_000, help="merchants that earn")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        root = Path(scratch)
        with _timed("made up"):
            days = _make(root, options.merchants)
        print(f"{options.merchants:,} merchants, {days:,} user days of four weeks, simulated")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        settings = Settings(lake=root / "lake", landing=root / "landing", exports=root / "exports")
        spark = session(settings)
        try:
            for name in ("cold", "warm"):
                with _timed(f"ccare, {name}"):
                    found = _asked(spark, root, settings)
        finally:
            spark.stop()
        with _timed("the same in DuckDB, nothing kept"):
            beside = _beside(root)
        for (programme, rule), asked in sorted(found.items()):
            print(f"  {programme:<10}{rule:<18}{asked:>14,}")
        assert {key: asked for key, asked in found.items() if asked} == beside, (found, beside)


def _make(root: Path, merchants: int) -> int:
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        for query in (_HISTORY, _TODAY, _REFUNDS, _MERCHANTS, _SCORES, _CARDS, _ENROLMENTS):
            values = {"merchants": merchants} if "$merchants" in query else None
            con.execute(query.format(root=root), values)
        row = con.execute(f"select count(*) from '{root}/days.parquet'").fetchone()
    assert row is not None
    return int(row[0])


def _asked(spark: SparkSession, root: Path, settings: Settings) -> dict[tuple[str, str], int]:
    """What every rule asks for the day, as a close would decide it on an empty ledger."""
    close = Close(
        day=DAY,
        first_day=FIRST,
        run_id="bench",
        posted_at=datetime(2026, 2, 9, tzinfo=UTC),
        timezone=settings.timezone,
        scoring=load_scoring(default_conf()).for_day(DAY),
        ledger=_policy(),
        slots=load_slots(default_conf(), DAY),
    )
    declared = table("ledger_transfers")
    counted = _counted(root, close)
    inputs = {
        name: held(spark, table(name), counted[name]) if name in counted else _input(spark, root, name)
        for name in (*declared.inputs, *declared.previous)
    }
    decided = decide(inputs, by_party(with_party(inputs["ledger_positions"])), close)
    sums = decided.groupBy("programme", "rule").agg(F.sum("asked"))
    return {(programme, rule): asked for programme, rule, asked in sums.collect()}


def _counted(root: Path, close: Close) -> dict[str, pa.Table]:
    """What DuckDB tells of the same files before Spark decides."""
    found: dict[str, pa.Table] = {}
    for name in ("ledger_touched_keys", "ledger_user_counts"):
        inputs = (*table(name).inputs, *table(name).previous)
        with connect_to(
            root / "lake", dict.fromkeys(i for i in inputs if i not in _FILES and i not in found)
        ) as con:
            for each in inputs:
                if each in found:
                    con.register(each, found[each])
                elif each in _FILES:
                    rows = con.read_parquet(str(root / f"{_FILES[each]}.parquet"))
                    lacking = [
                        f"null as {name_of(c)}" for c in table(each).column_names if c not in rows.columns
                    ]
                    rows.select(", ".join(("*", *lacking))).create_view(each)
            found[name] = import_module(f"jobs.{name}").build(con, close)
    return found


def _input(spark: SparkSession, root: Path, name: str) -> DataFrame:
    if name not in _FILES:
        return frame(spark, table(name))
    rows = spark.read.parquet(str(root / f"{_FILES[name]}.parquet"))
    lacking = {c.name: F.lit(None).cast(c.type) for c in table(name).columns if c.name not in rows.columns}
    return conform(rows.withColumns(lacking) if lacking else rows, table(name))


def _policy() -> LedgerPolicy:
    return load_ledger(default_conf()).for_day(DAY)


def _beside(root: Path) -> dict[tuple[str, str], int]:
    with duckdb.connect() as con:
        con.execute("set threads = 2")
        con.execute(_UNITS.format(root=root))
        rows = con.execute(_ASKED.format(root=root)).fetchall()
    return {(programme, rule): asked for programme, rule, asked in rows if asked}


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started, used = time.monotonic(), _processor()
    yield
    took, used = time.monotonic() - started, _processor() - used
    print(f"{what}: {took:.1f} s, {used:.1f} processor s", flush=True)


def _processor() -> float:
    """Processor seconds of this process and the JVM that it started, so far."""
    return sum(seconds for _, seconds in process_tree(os.getpid()).values())


if __name__ == "__main__":
    main()
