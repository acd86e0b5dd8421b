"""Figures of the growth desk: each told for everyone, each industry, each provider, and each pair of them.

Counts of users over several merchants cannot be added up, nor medians; so every part is computed in the database
and the page only picks rows.
"""

from dataclasses import dataclass
from typing import Any

import duckdb

from ccare.growth.plots import plain
from ccare.growth.questions import question

MOST_PROVIDERS = 30
WEEKS = 26
"""How far back growth is told; its word of bits holds WEEKS + 8."""
LISTED = 200

_GROUPS = """
create temp table served as
with counted as (
    select service_provider_id, row_number() over (order by count(*) desc, service_provider_id) as place
    from merchants_current where service_provider_id is not null group by service_provider_id
)
select m.merchant_id, m.name, m.industry,
    case when m.service_provider_id is null then 'none' when place <= $most then m.service_provider_id
        else 'others' end as provider
from merchants_current m left join counted using (service_provider_id)
"""
_KEYS = "coalesce(industry, '*') as industry, coalesce(provider, '*') as provider"  # *: all of them

# A 28-day window that ends a whole number of weeks ago is four whole weeks: a user's weeks are bits of one word.
_GROWTH = """
with days as (
    select s.industry, s.provider, u.user_key, date_diff('day', u.business_date, business_day) // 7 as week
    from (select user_key, merchant_id, business_date from state_user_days
          where active_events > 0 and user_key is not null) u
    join (select business_date as business_day from snapshot) on u.business_date <= business_day
    join served s using (merchant_id)
    where not exists (from core_staff k where k.merchant_id = u.merchant_id and k.user_key = u.user_key)
), users as (
    select {keys}, user_key, max(week) as first_week,
        coalesce(bit_or(1::bigint << week::int) filter (week < 62), 0) as weeks
    from days group by {cube}
), ages as (
    select unnest(range({weeks})) as age
), flags as (
    select industry, provider, age, first_week - age as since_first,
        (weeks >> age::int) & 15 > 0 as is_active, (weeks >> (age + 4)::int) & 15 > 0 as was_active
    from users join ages on first_week >= age
), counted as (
    select industry, provider, age,
        count(*) filter (is_active and since_first < 4) as new,
        count(*) filter (is_active and was_active) as retained,
        count(*) filter (is_active and not was_active and since_first >= 4) as resurrected,
        count(*) filter (was_active and not is_active) as churned
    from flags group by industry, provider, age
)
select industry, provider, business_date - (7 * age)::int as day, new, retained, resurrected, churned
from counted, snapshot
where age <= (select max(first_week) from users) - 7
order by industry, provider, day
"""
_SCORES = """
with until as (
    select max(as_of_date) as day from score_merchants
), since as (
    select coalesce(max(as_of_date) filter (as_of_date <= day - 7), min(as_of_date)) as day
    from score_merchants, until
)
select {keys}, least(9, floor(total_score / 10))::int as place, if(as_of_date = until.day, 'now', 'before') as moment,
    count(*) as merchants
from score_merchants join served using (merchant_id), until, since
where as_of_date in (until.day, since.day) and total_score is not null
group by {cube}
order by all
"""
_DRIFT = """
select {keys}, as_of_date as day, count(*) as merchants, count(total_score) as scored,
    round(quantile_cont(total_score, 0.1), 1) as p10, round(median(total_score), 1) as median,
    round(quantile_cont(total_score, 0.9), 1) as p90
from score_merchants join served using (merchant_id)
where as_of_date in (select distinct as_of_date from score_merchants order by 1 desc limit 56)
group by {cube}
order by all
"""
_STAGES = """
select {keys}, stage, sum(users)::bigint as users
from latest_stages join served using (merchant_id)
group by {cube}
order by all
"""
_COHORTS = """
select {keys}, cohort_week, age, sum(cohort_users)::bigint as cohort_users, sum(users)::bigint as users
from metric_retention join served using (merchant_id)
where cohort_week in (select distinct cohort_week from metric_retention order by 1 desc limit 12)
group by {cube}
order by all
"""
_FUNNELS = """
select {keys}, slot, step_number, step, sum(users)::bigint as users
from latest_funnels join served using (merchant_id)
group by {cube}
order by all
"""
_TRAFFIC = """
select {keys}, slot, source, coalesce(sum(impressions) filter (arm = 'treated'), 0)::bigint as impressions,
    coalesce(sum(clicks) filter (arm = 'treated'), 0)::bigint as clicks
from core_traffic_hours t join served using (merchant_id), snapshot
where t.business_date > snapshot.business_date - 28
group by {cube}
order by all
"""
_POINTS = """
select {keys}, programme, asset, date_trunc('month', effective_date)::date as month,
    sum(amount)::bigint as granted, sum(taken)::bigint as taken, sum(redeemed)::bigint as redeemed,
    sum(expired)::bigint as expired, sum(pending + active + reserved)::bigint as outstanding
from ledger_lots join served using (merchant_id)
group by {cube}
order by all
"""
_TRADE = """
select {keys}, coalesce(sum(net) filter (is_now), 0)::bigint as net_fen,
    coalesce(sum(net) filter (not is_now), 0)::bigint as net_before_fen,
    coalesce(sum(events), 0)::bigint as events, coalesce(sum(simulated_events), 0)::bigint as simulated_events
from (
    select d.*, coalesce(gmv_fen, 0) - coalesce(refund_fen, 0) as net,
        d.business_date > s.business_date - 28 as is_now
    from state_merchant_days d, snapshot s
    where d.business_date between s.business_date - 55 and s.business_date
) join served using (merchant_id)
group by {cube}
order by all
"""
_CUBES = {
    "growth": (_GROWTH, ("user_key",)),
    "scores": (_SCORES, ("place", "moment")),
    "drift": (_DRIFT, ("day",)),
    "stages": (_STAGES, ("stage",)),
    "cohorts": (_COHORTS, ("cohort_week", "age")),
    "funnels": (_FUNNELS, ("slot", "step_number", "step")),
    "traffic": (_TRAFFIC, ("slot", "source")),
    "points": (_POINTS, ("programme", "asset", "month")),
    "trade": (_TRADE, ()),
}
"""Name -> query, and what its rows are told by beside industry and provider."""
_QUESTIONS: dict[str, dict[str, Any]] = {
    "pools": {"name": "pools"},
    "freshness": {"name": "data_freshness", "days": 7},
    "rejected": {"name": "rejected_rows"},
    "at_risk": {"name": "at_risk_merchants", "top": LISTED},
    "movers": {"name": "score_movers", "top": LISTED},
}
"""Figures of the whole platform, as the named questions tell them."""


@dataclass(frozen=True)
class DeskData:
    """What the page holds: ``frames`` are name -> columns and rows of plain JSON values."""

    facts: dict[str, Any]
    industries: tuple[str, ...]
    providers: tuple[str, ...]
    frames: dict[str, dict[str, Any]]


def read_desk(con: duckdb.DuckDBPyConnection) -> DeskData:
    """Every figure of the desk from an open snapshot (open_snapshot)."""
    con.execute(_GROUPS, {"most": MOST_PROVIDERS})
    frames = {name: _frame(con, _cubed(sql, by)) for name, (sql, by) in _CUBES.items()}
    for name, told in _QUESTIONS.items():
        asked = question(told["name"])
        values = {p.name: told.get(p.name, p.default) for p in asked.parameters}
        frames[name] = _frame(con, asked.sql, values)
    frames["lift"] = _lifts(con)
    frames["served"] = _frame(con, "select merchant_id, industry, provider from served order by all")
    _keep_listed(frames)
    providers = _values(con, "provider")
    if providers == ("none",):
        providers = ()
        _drop_providers(frames)
    facts = _frame(con, "from snapshot")
    told = dict(zip(facts["columns"], facts["rows"][0], strict=True)) if facts["rows"] else {}
    return DeskData(told, _values(con, "industry"), providers, frames)


def _cubed(sql: str, by: tuple[str, ...]) -> str:
    inner = ", ".join(by)
    lead = f"{inner}, " if by else ""
    sets = f"grouping sets (({inner}), ({lead}industry), ({lead}provider), ({lead}industry, provider))"
    return sql.format(keys=_KEYS, cube=sets, weeks=WEEKS)


def _frame(con: duckdb.DuckDBPyConnection, sql: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
    cursor = con.execute(sql, values or None)
    columns = [column[0] for column in cursor.description or []]
    return {"columns": columns, "rows": [[plain(v) for v in row] for row in cursor.fetchall()]}


def _lifts(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """slot_lift of each kind of traffic that was held back somewhere."""
    asked = question("slot_lift")
    values = {p.name: p.default for p in asked.parameters}
    told = {
        source: _frame(con, asked.sql, values | {"source": source}) for source in ("points", "free", "paid")
    }
    columns = told["points"]["columns"]
    lift = columns.index("lift_per_1000")
    rows = [[s, *row] for s, frame in told.items() for row in frame["rows"] if row[lift] is not None]
    return {"columns": ["source", *columns], "rows": rows}


def _drop_providers(frames: dict[str, dict[str, Any]]) -> None:
    """Where nobody has a provider, the rows of "none" say again what those of everyone say."""
    for name in _CUBES:
        at = frames[name]["columns"].index("provider")
        frames[name]["rows"] = [row for row in frames[name]["rows"] if row[at] == "*"]


def _keep_listed(frames: dict[str, dict[str, Any]]) -> None:
    """Of all merchants the page only needs to know whose industry and provider it lists."""
    served = frames.pop("served")
    where = {row[0]: row[1:] for row in served["rows"]}
    for name in ("at_risk", "movers"):
        frame = frames[name]
        at = frame["columns"].index("merchant_id")
        drop = [n for n in ("industry", "service_provider_id") if n in frame["columns"]]
        kept = [n for n, column in enumerate(frame["columns"]) if column not in drop]
        frame["rows"] = [
            [*where.get(row[at], ["none", "none"]), *(row[n] for n in kept)] for row in frame["rows"]
        ]
        frame["columns"] = ["industry", "provider", *(frame["columns"][n] for n in kept)]


def _values(con: duckdb.DuckDBPyConnection, column: str) -> tuple[str, ...]:
    rows = con.execute(f"from served select distinct {column} order by 1").fetchall()
    return tuple(row[0] for row in rows if row[0] is not None)
