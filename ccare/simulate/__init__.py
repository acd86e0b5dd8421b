"""Seeded simulator of what a purchase panel does not hold: visits, content, traffic and refunds.

Input, as tables of a DuckDB connection: ``trades`` (trade_no, merchant_id, user_id, store_id, at_utc,
business_date, amount_fen) and ``merchants`` (merchant_id, first_date), plus the zone macros of
``ccare.sources.zone_macros``. Output: ``sim_mini_program``, ``sim_life_account``, ``sim_traffic`` and
``sim_refunds``, one row an event, origin simulated throughout. All numbers are assumptions of ours; none is
estimated from observed visits.

Every draw is an MD5 of (seed, purpose, ids) cut into integers, so results depend neither on threads, nor on
row order, nor on the database's version; no floating-point arithmetic takes part.
"""

from __future__ import annotations

from datetime import date

import duckdb

from ccare.simulate import life_account, mini_program, traffic
from ccare.simulate import refunds as refunds
from ccare.simulate.draws import create_draws, create_traits

STREAMS = ("mini_program", "life_account", "traffic")
ORIGIN = "simulated"


def simulate(con: duckdb.DuckDBPyConnection, *, seed: int, last_day: date) -> None:
    """Create the four ``sim_*`` tables with events up to the local date ``last_day``.

    Volumes stay within ``mini_program.MAX_ROWS``, ``life_account.MAX_ROWS`` and ``traffic.MAX_ROWS`` whatever
    the seed: whole groups (a visit, a pair of user and merchant) are thinned by one more draw.
    """
    create_draws(con, seed)
    con.execute("SET VARIABLE last_day = CAST($1 AS DATE)", [last_day.isoformat()])
    create_traits(con)
    mini_program.create(con)
    life_account.create(con)
    traffic.create(con)
    refunds.create(con)
