"""Users: what a pair of merchant and user has come to, folded from its days in DuckDB's SQL."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb

from ccare.growth.snapshot import date_sql, empty_sql
from ccare.state.folds import CHANGE, PARTS, change_of
from ccare.state.words import WORD, anchored, either, either_older, words, zero_if_none
from ccare.tables import table
from ccare.tables.state import LAG_DAYS, MARKS, RELATIONS, THEN

KEY = ("merchant_id", "user_key")
_SUMS = ("orders", "gmv_fen", "refund_fen")
_MARK_DATES = {mark: f"last_{mark}_date" for mark in MARKS if mark != "bound"} | {"bound": "first_bound_date"}
_FIRSTS = ("first_seen_date", "first_paid_date", "first_bound_date")
_LASTS = ("last_seen_date", "last_paid_date", *(d for d in _MARK_DATES.values() if d not in _FIRSTS))
_CHANGES = (*RELATIONS, *THEN.values())


@dataclass(frozen=True)
class Lag:
    """What a day later means for relations as of LAG_DAYS ago.

    ``leaving``: pair days as published before, of the one date that is LAG_DAYS old now; ``ends``: the instant at
    which that local date is over (UTC).
    """

    leaving: str
    ends: datetime


def first_users(changes: str, day: date, first_touched: date) -> str:
    """Users where nobody was known before. ``changes`` hold business dates from ``first_touched`` to ``day``."""
    lifted = _lifted(_with_then(changes, day, None), day, first_touched)
    return _passed(f"({empty_sql(table('state_users'))})", f"({lifted})", None)


def users(
    con: duckdb.DuckDBPyConnection, before: str, changes: str, day: date, first_touched: date, lag: Lag
) -> str:
    """Users as of the day before ``day`` and what is added -> everyone as they are now.

    Dates, bits and relations are joins of a semilattice (max, min, or), sums are additive: any order will do.
    """
    # Apart, so that the many are never what the few are looked up in.
    lifted = _lifted(_with_then(changes, day, lag), day, first_touched)
    con.execute(f"create or replace temp table lifted as {lifted}")
    return _passed(before, "lifted", lag.ends)


def _with_then(changes: str, day: date, lag: Lag | None) -> str:
    """Pair days with their relations as structs, those of LAG_DAYS ago or earlier once more as ``<relation>_then``.

    Those of the date that is leaving are told of by that alone.
    """
    old = f"business_date <= {date_sql(day - timedelta(days=LAG_DAYS))}"
    columns = [*KEY, "true as told", "business_date", f"{date_sql(day)} - business_date as back", "marks"]
    columns += [*_SUMS, "case when active_events > 0 then business_date end as seen"]
    columns += ["case when orders > 0 then business_date end as paid"]
    columns += [f"{change_of(relation)} as {relation}_change" for relation in RELATIONS]
    columns += [f"case when {old} then {change_of(r)} end as {then}_change" for r, then in THEN.items()]
    told = f"select {', '.join(columns)} from {changes} where user_key is not null"
    if lag is None:
        return told
    columns = [*KEY, "false as told", *(f"{change_of(r)} as {then}_change" for r, then in THEN.items())]
    turned = ", ".join(f"{relation}_at" for relation in RELATIONS)
    known = f"user_key is not null and coalesce({turned}) is not null"
    return f"{told} union all by name select {', '.join(columns)} from {lag.leaving} where {known}"


def _lifted(rows: str, day: date, first_touched: date) -> str:
    """Pair days of a batch -> one row for each pair: columns of state_users, relations as structs, ``told``."""
    count = (day - first_touched).days // WORD + 1
    told = ["bool_or(told) as told", *(_mark_date(mark) for mark in MARKS)]
    for name in ("seen", "paid"):
        told += [f"min({name}) as first_{name}_date", f"max({name}) as last_{name}_date", *words(name, count)]
    told += [f"coalesce(sum({name}), 0)::bigint as {name}" for name in _SUMS]
    told += [f"max({relation}_change) as {relation}_change" for relation in _CHANGES]
    bits = {
        "active_bits": anchored("seen", "last_seen_date", day, count, 0),
        "paid_bits": anchored("paid", "last_paid_date", day, count, 0),
        "paid_bits_older": anchored("paid", "last_paid_date", day, count, 1),
    }
    return f"""
select *, {", ".join(f"{sql} as {name}" for name, sql in bits.items())}
from (select {", ".join(KEY)}, {", ".join(told)} from ({rows}) group by all)"""


def _mark_date(mark: str) -> str:
    name = _MARK_DATES[mark]
    did = f"case when marks & {1 << MARKS.index(mark)} <> 0 then business_date end"
    return f"{'min' if name in _FIRSTS else 'max'}({did}) as {name}"


def _passed(before: str, new: str, ends: datetime | None) -> str:
    """Every user as it is now: ``before`` with what is ``new`` (rows of ``_lifted``) folded in.

    ``ends``: of the local date that is LAG_DAYS old now (UTC); None where nobody was known before. Most users are not
    touched: they pass as they stand, in one look through ``before``.
    """
    same = " and ".join(f"o.{name} = n.{name}" for name in KEY)
    stands = "n.merchant_id is null"
    now = {name: f"least(o.{name}, n.{name})" for name in _FIRSTS}
    now |= {name: f"greatest(o.{name}, n.{name})" for name in _LASTS}
    now |= {"active_bits": either("active_bits", "seen"), "paid_bits": either("paid_bits", "paid")}
    now["paid_bits_older"] = either_older("paid_bits", "paid_bits_older", "paid")
    now |= {name: f"{zero_if_none(f'o.{name}')} + {zero_if_none(f'n.{name}')}" for name in _SUMS}
    columns = [f"coalesce(o.{name}, n.{name}) as {name}" for name in KEY]
    columns += [f"case when {stands} then o.{name} else {sql} end as {name}" for name, sql in now.items()]
    columns += [
        f"case when {stands} then null::{CHANGE} else {sql} end as {name}" for name, sql in _relations(ends)
    ]
    columns += [f"o.{relation}_{part} as {relation}_{part}" for relation in _CHANGES for part in PARTS]
    columns += [f"{stands} as stands", "o.stage as stage"]
    joined = f"select {', '.join(columns)} from {before} o full join {new} n on {same}"
    return f"""
select {", ".join(_declared())}
from ({joined} where n.told is distinct from false or o.merchant_id is not null)"""


def _relations(ends: datetime | None) -> Iterator[tuple[str, str]]:
    """The last change of each relation, and the last one before ``ends``, as structs."""
    for relation, then in THEN.items():
        was = change_of(relation, "o.")
        yield f"{relation}_change", f"greatest({was}, n.{relation}_change)"
        old = f"null::{CHANGE}"
        if ends is not None:
            old = f"case when o.{relation}_at < timestamptz '{ends.isoformat()}' then {was} end"
        yield f"{then}_change", f"greatest({change_of(then, 'o.')}, {old}, n.{then}_change)"


def _declared() -> Iterator[str]:
    """Columns of state_users, relations out of their structs where a user was touched."""
    told = {f"{relation}_{part}": f"{relation}_change['{part}']" for relation in RELATIONS for part in PARTS}
    for relation, then in THEN.items():
        # Kept only where another change came after: most pairs' last change is old, and is then told once.
        unlike = f"case when {then}_change <> {relation}_change then {then}_change end"
        told |= {f"{then}_{part}": f"({unlike})['{part}']" for part in PARTS}
    told["stage"] = (
        "case when first_paid_date < last_paid_date then 'repeat' when first_paid_date is not null then 'paid' "
        "when first_seen_date is not null then 'visited' else 'reached' end"
    )
    for name in table("state_users").column_names:
        yield f"case when stands then {name} else {told[name]} end as {name}" if name in told else name
