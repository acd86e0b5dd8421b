"""The caches of the ledger, derived from its transfers alone: what a repair puts in place of a lost table.

Lots, balances and allocations follow exactly. A position also holds what a close asked and did not grant, which
leaves no transfer: it starts from the newest older version that is whole, and what is derived is looked at again
by the next close, because it carries no policy version.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import duckdb

from ccare.ledger.parties import IDS

Row = dict[str, Any]
_KEYED = ("earn", "fall", "debt", "repay", "fund")

LOTS = """
    with granted as (
        select * from <ledger_transfers> where lot_id = transfer_id
    ), flows as (
        select lot_id,
            sum(case when credit_account like '%:pending' then amount
                     when debit_account like '%:pending' then -amount else 0 end)::bigint as pending,
            sum(case when credit_account like '%:active' then amount
                     when debit_account like '%:active' then -amount else 0 end)::bigint as active,
            sum(case when credit_account like '%:reserved' then amount
                     when debit_account like '%:reserved' then -amount else 0 end)::bigint as reserved,
            coalesce(sum(amount) filter (
                credit_account like 'sink:redeemed:%' or credit_account like 'sink:delivered:%'), 0
            )::bigint as redeemed,
            coalesce(sum(amount) filter (credit_account = 'sink:expired'), 0)::bigint as expired,
            coalesce(sum(amount) filter (credit_account like 'pool:%:available'), 0)::bigint as taken
        from <ledger_transfers> where lot_id is not null group by lot_id
    ), offset_pools as (
        select a.transfer_id, split_part(coalesce(g.debit_account, t.credit_account), ':available', 1) as pool
        from <ledger_transfers> a
        join <ledger_transfers> t on t.transfer_id = split_part(a.business_key, '|', 2)
        left join <ledger_transfers> g on g.transfer_id = t.lot_id and g.code = 'earn'
        where a.code = 'adjust'
    )
    select g.lot_id, g.business_key, g.programme, g.merchant_id, g.service_provider_id, g.asset,
        regexp_replace(coalesce(p.pool, split_part(g.debit_account, ':available', 1)), '^pool:', '') as pool,
        g.effective_date, g.revision, g.booked_date, g.matures_on, g.expires_on, g.amount,
        f.pending, f.active, f.reserved, f.redeemed, f.expired, f.taken
    from granted g join flows f using (lot_id) left join offset_pools p using (transfer_id)
"""

BALANCES = """
    select account, asset, sum(credit - debit)::bigint as balance, sum(credit)::bigint as credits,
        sum(debit)::bigint as debits, count(*) as transfers, max(booked_date) as folded_to
    from (
        select credit_account as account, asset, amount as credit, 0 as debit, booked_date from <ledger_transfers>
        union all
        select debit_account, asset, 0, amount, booked_date from <ledger_transfers>
    ) group by account, asset
"""

ALLOCATIONS = """
    select r.business_key, r.leg, r.lot_id, r.merchant_id, r.service_provider_id, r.programme, r.amount,
        case when d.resolved_on is not null then coalesce(s.amount, 0) end as settled,
        case when d.resolved_on is not null then coalesce(v.amount, 0) end as voided,
        r.booked_date, d.resolved_on, g.effective_date, g.booked_date as lot_booked_on, g.matures_on, g.expires_on
    from <ledger_transfers> r
    join <ledger_transfers> g on g.transfer_id = r.lot_id
    left join <ledger_transfers> s on s.code = 'settle' and s.business_key = r.business_key and s.leg = r.leg
    left join <ledger_transfers> v on v.code = 'void' and v.business_key = r.business_key and v.leg = r.leg
    left join (
        select business_key, max(booked_date) as resolved_on from <ledger_transfers>
        where code in ('settle', 'void') group by business_key
    ) d on d.business_key = r.business_key
    where r.code = 'reserve' and r.lot_id is not null
"""

QUERIES = {"ledger_lots": LOTS, "ledger_balances": BALANCES, "ledger_allocations": ALLOCATIONS}


def derived(con: duckdb.DuckDBPyConnection, name: str) -> list[Row]:
    """Rows of a cache as view ``ledger_transfers`` of ``con`` gives them."""
    return _rows(con, QUERIES[name].replace("<ledger_transfers>", "ledger_transfers"))


def derived_positions(con: duckdb.DuckDBPyConnection, base: Iterable[Row], since: Any) -> list[Row]:
    """ledger_positions: ``base`` as it stood at the end of day ``since`` (None: nothing), and what was booked after."""
    positions = {row["business_key"]: dict(row) for row in base}
    later = "booked_date > $since" if since else "true"
    codes = ", ".join(f"'{code}'" for code in _KEYED)
    query = "select * from ledger_transfers where code in (<codes>) and <later> order by booked_date, revision, leg"
    query = query.replace("<codes>", codes).replace("<later>", later)
    moves = _rows(con, query, {"since": since} if since else None)
    lapsed = _expired_by_day(con)
    steps: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for move in moves:
        kind = "fall" if move["code"] in ("fall", "debt") else move["code"]
        steps[move["booked_date"], _ORDER[kind], move["business_key"], move["revision"]].append(move)
    for (day, _, key, _), step in sorted(steps.items()):
        _apply(positions.setdefault(key, _new(step[0])), step, lapsed.get(key, {}), day)
    for offset, amount in _offsets(con, since):
        positions[offset]["net"] -= amount
    return list(positions.values())


_ORDER = {"fund": 0, "fall": 1, "repay": 2, "earn": 3}


def _new(move: Row) -> Row:
    parts = move["business_key"].split("|")
    pool = move["debit_account"] if move["code"] == "earn" else move["credit_account"]
    names = (
        "business_key",
        "programme",
        *IDS,
        "effective_date",
        "asset",
        "matures_on",
        "expires_on",
    )
    zeros = ("revision", "asked", "granted", "net", "lapsed", "forgiven", "cut_by_pool", "debt", "repayments")
    row = {name: move[name] for name in names} | dict.fromkeys(zeros, 0)
    row |= {"rule": "funding" if move["code"] == "fund" else parts[1], "policy_version": None}
    pool = pool.removeprefix("pool:").rsplit(":", 1)[0]
    return row | {"pool": pool, "multiplier_milli": move["multiplier_milli"] or 0}


def _apply(key: Row, step: list[Row], expired: Mapping[Any, int], day: Any) -> None:
    """One revision of a key, or one close's repayments of it."""
    code, moved = step[0]["code"], sum(move["amount"] for move in step)
    key["updated_on"], key["policy_version"] = day, None
    if code == "fund":
        key |= {"revision": 1, **dict.fromkeys(("asked", "granted", "net"), moved)}
    elif code == "repay":
        key["repayments"] += len(step)
        key["debt"] -= sum(move["amount"] for move in step if move["lot_id"] is None)
    elif code == "earn":
        key["cut_by_pool"] += step[0]["asked"] - key["asked"] - moved
        key |= {"asked": step[0]["asked"], "revision": step[0]["revision"]}
        key |= {"granted": key["granted"] + moved, "net": key["net"] + moved}
    else:
        asked = step[0]["asked"]
        take = key["net"] - (key["net"] * asked // key["asked"] if key["asked"] else 0)
        gone = sum(units for on, units in expired.items() if on < day)
        lapse = min(take, gone - key["lapsed"])
        key["lapsed"] += lapse
        key["forgiven"] += take - lapse - moved
        key["net"] -= take
        key["debt"] += sum(move["amount"] for move in step if move["code"] == "debt")
        key |= {"asked": asked, "revision": step[0]["revision"]}


def _expired_by_day(con: duckdb.DuckDBPyConnection) -> dict[str, dict[Any, int]]:
    """Business key -> booked date -> units of its lots that expired."""
    query = """
        select business_key, booked_date, sum(amount)::bigint
        from ledger_transfers where code = 'expire' group by all
    """
    found: dict[str, dict[Any, int]] = defaultdict(dict)
    for key, day, units in con.execute(query).fetchall():
        found[key][day] = units
    return found


def _offsets(con: duckdb.DuckDBPyConnection, since: Any) -> list[tuple[str, int]]:
    query = """
        select t.business_key, a.amount from ledger_transfers a
        join ledger_transfers t on t.transfer_id = split_part(a.business_key, '|', 2)
        where a.code = 'adjust' and t.code in ('earn', 'fund') and ($since is null or a.booked_date > $since)
    """
    return [(key, amount) for key, amount in con.execute(query, {"since": since}).fetchall()]


def _rows(con: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, Any] | None = None) -> list[Row]:
    found = con.execute(query, values) if values else con.execute(query)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
