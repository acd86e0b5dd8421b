"""The laws of the ledger in DuckDB: the auditor of ``ccare verify``, apart from the Spark code that books.

Everything is recomputed from the transfers and compared with the cached tables. One pass lays every transfer
out as its two sides (``audit_sides``); each law is then one query whose first row, if any, is the break.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import duckdb

from ccare.ledger import codes
from ccare.ledger.law_queries import LAWS, PREPARE
from ccare.ledger.statements import OF_PARTY, PARTY_ACCOUNT


@dataclass(frozen=True)
class LawResult:
    """One law: whether it holds, and in one sentence what was looked at or where it first breaks."""

    law: str
    ok: bool
    detail: str


def check_laws(
    con: duckdb.DuckDBPyConnection, tables: Mapping[str, str], closed: date | None = None
) -> Iterator[LawResult]:
    """L1-L9, L12, L13 and L15 over the relations named in ``tables``; ``closed`` is the last day closed.

    ``tables`` maps LEDGER_TABLES to names of relations or views of ``con`` with the declared columns. Temporary
    tables audit_* are made and dropped. The manifest (L10, L11) and failed runs (L14) are checked where those live.
    """
    names = {name: '"' + tables[name].replace('"', '""') + '"' for name in LEDGER_TABLES}
    made = ["audit_last"]
    try:
        last = "create or replace temp table audit_last as select coalesce($closed::date, max(booked_date)) as closed "
        con.execute(last + filled("from <ledger_transfers>", names), {"closed": closed})
        for name, query in PREPARE.items():
            con.execute(f"create or replace temp table {name} as {filled(query, names)}")
            made.append(name)
        for law, query in LAWS.items():
            yield _checked(con, law, filled(query, names))
    finally:
        for name in made:
            con.execute(f"drop table if exists {name}")


LEDGER_TABLES = (
    *("ledger_transfers", "ledger_lots", "ledger_positions", "ledger_balances"),
    *("ledger_requests", "ledger_allocations"),
)
"""Relations that the laws look at."""


_TOLD_LATE = "case when asset = 'IMPRESSION' then 7 else 0 end"
"""Closes after its last day in which a lot still counts: what was delivered of impressions is told late."""


def filled(query: str, names: Mapping[str, str]) -> str:
    """A law's query over the relations ``names``; only they and constants of our own code go in, data never does."""
    routes = " or ".join(
        f"(code = '{code}' and regexp_full_match(debit_account, '{debit}') "
        f"and regexp_full_match(credit_account, '{credit}'))"
        for code, pairs in codes.ROUTES.items()
        for debit, credit in pairs
    )
    for name, quoted in names.items():
        query = query.replace(f"<{name}>", quoted)
    return PARTY_ACCOUNT.sub(OF_PARTY, query.replace("<routes>", routes).replace("<told_late>", _TOLD_LATE))


def _checked(con: duckdb.DuckDBPyConnection, law: str, query: str) -> LawResult:
    found = con.execute(query).fetchone()
    return LawResult(law, found is None, found[0] if found else HELD[law])


HELD = {
    "L1": "The balances of every asset sum to 0.",
    "L2": "Every transfer_id and every (business_key, code, leg, revision) stands once.",
    "L3": "Every transfer is well formed and its id and content hash are those of its fields.",
    "L4": "No balance was below its bound on any booked date, and no active points stood beside debt.",
    "L5": "Every lot is the sum of its parts.",
    "L6": "Every pool's funding is accounted for, and receivables equal debts.",
    "L7": "Nothing more was taken out of a lot than was in it, on any booked date.",
    "L8": "Every reservation resolves at most once, into what was reserved, as its request and allocations say.",
    "L9": "No lot was reversed or granted twice, and every adjustment offsets one transfer, once.",
    "L12": "Cached lots, positions and balances equal what the transfers give.",
    "L13": "The lines of every party's statement sum to its balances.",
    "L15": "No points were left pending past their maturity, or usable past their last day.",
}
