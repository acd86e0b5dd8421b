"""Event rows of all streams by the close that took them."""

from functools import reduce

import duckdb

EVENTS = (
    "core_payments",
    "core_mini_program_events",
    "core_life_account_events",
    "core_voucher_events",
    "core_traffic_hours",
)


def taken_rows(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    """taken_on, business_date and origin of every event row that the connection's views show."""
    each = (con.view(name).project("taken_on, business_date, origin") for name in EVENTS)
    return reduce(lambda left, right: left.union(right), each)
