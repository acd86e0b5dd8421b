"""A merchant with a million users: a day folded into its state and told, by the jobs that a close runs."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from ccare.growth.snapshot import view_sql
from ccare.metrics.histograms import activity_days, stages
from ccare.metrics.merchant_metrics import merchant_metrics
from ccare.metrics.user_facts import user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime import storage
from ccare.runtime.rowstore import arrow_rows, write_arrow
from ccare.runtime.spark import frame, held
from ccare.tables import table
from jobs import state_users
from tests.held_lake import held_lake
from tests.metrics.closes import close_of

pytestmark = [pytest.mark.spark, pytest.mark.slow]
MANY = 1_000_000
DAY = date(2024, 3, 31)
USERS = table("state_users")
# User i was last active 1 + i % 100 days ago, every tenth also on the day before it, and every fourth paid then.
_GENERATED = f"""
select 'm' as merchant_id, 'u' || i as user_key, date '{DAY}' - 200 as first_seen_date, seen as last_seen_date,
    case when i % 4 = 0 then seen end as first_paid_date, case when i % 4 = 0 then seen end as last_paid_date,
    case when i % 10 = 0 then 3 else 1 end as active_bits, (i % 4 = 0)::bigint as paid_bits, 0 as paid_bits_older,
    (i % 4 = 0)::bigint as orders, case when i % 4 = 0 then 500 else 0 end as gmv_fen, 0 as refund_fen,
    case when i % 4 = 0 then 'paid' else 'visited' end as stage
from (select i, date '{DAY}' - 1 - (i % 100)::integer as seen from range({MANY}) r(i))
"""


def _change(user: str, orders: int) -> dict[str, Any]:
    told = {"merchant_id": "m", "user_key": user, "business_date": DAY, "events": 1, "active_events": 1}
    return told | {"orders": orders, "gmv_fen": 700 * orders, "marks": 0, "slot_steps": 0, "tasks": 0}


# Of the old ones u50 (last active 51 days ago), u8 (9 days ago, paid) and u1 (2 days ago); one is new.
CHANGES = [_change("u8", 1), _change("u50", 0), _change("u1", 0), _change("new", 1)]


@pytest.fixture(scope="module")
def facts(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """metric_user_facts of the day, after its fold."""
    lake = tmp_path_factory.mktemp("million")
    with duckdb.connect() as con:
        con.register("declared", arrow_rows(USERS, []))
        rows = con.sql(f"from declared union all by name {_GENERATED}")
        version = write_arrow(lake, USERS, rows.to_arrow_reader(131_072), "generated", "overwrite")
    version = _folded(lake, version)
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.execute(f"create view state_users as {view_sql(lake, USERS, version)}")
        con.register("core_staff", arrow_rows(table("core_staff"), []))
        assert (
            con.sql("select count(*), count(distinct user_key) from state_users").fetchone()
            == (MANY + 1,) * 2
        )
        return held(spark, table("metric_user_facts"), user_facts(con, AsOf(DAY, "UTC"))).persist()


def _folded(lake: Path, version: int) -> int:
    """state_users after the day; its version."""
    close = replace(close_of(DAY, DAY - timedelta(days=300), "UTC"), touched=(DAY,), changes=len(CHANGES))
    with held_lake({"state_changes": CHANGES, "state_user_days": []}) as con:
        con.execute(f"create view state_users as {view_sql(lake, USERS, version)}")
        everyone = state_users.build(con, close).to_arrow_reader(131_072)
        now = storage.write_held(lake, USERS, everyone, "folded")
        con.execute(f"create view now as {view_sql(lake, USERS, now)}")
        changed = con.sql("select count(*) from (from now except all from state_users)").fetchone()
    assert changed == (len(CHANGES),), "only those whom the day changes"
    return now


def test_counts_of_a_million(spark: SparkSession, facts: Any) -> None:
    inputs = {"metric_user_facts": facts}
    for name in ("state_merchant_days", "state_refund_days", "core_merchants", "core_voucher_events"):
        inputs[name] = frame(spark, table(name))
    inputs["metric_merchant_facts"] = frame(spark, table("metric_merchant_facts"))
    (row,) = merchant_metrics(inputs, AsOf(DAY, "UTC")).collect()
    # Last active 1 to 27 days ago are 27 of a hundred; u50 and the new one join them.
    assert row.c_mau28 == 270_000 + 2
    assert (row.c_dau, row.c_wau) == (4, 60_000 + 3), "u1 was among the week's already"
    assert (row.c_new_users, row.c_new_payers) == (1, _payers(1, 27) + 1), "u8 had paid in the window before"
    assert row.r_payers == _payers(1, 27) + 1


def _payers(first: int, last: int) -> int:
    return sum(1 for i in range(100) if i % 4 == 0 and first <= 1 + i % 100 <= last) * MANY // 100


def test_l_ness_and_stages_of_a_million(facts: Any) -> None:
    as_of = AsOf(DAY, "UTC")
    days = {r.active_days: r.users for r in activity_days(facts, as_of).collect()}
    assert sum(days.values()) == 270_002
    # i % 10 = 0 is last active 1, 11 or 21 days ago: two days each. u8, u1 came once more.
    assert days == {1: 240_000 - 2 + 2, 2: 30_000 + 2}
    told = {r.stage: r.users for r in stages(facts, as_of).collect()}
    assert sum(told.values()) == MANY + 1
    assert told["at_risk"] == 280_000 - 1 and told["dormant"] == 450_000
    assert told["repeat"] == 1, "u8"
    assert told["paid"] == _payers(1, 27) - 1 + 1 and told["loyal"] == told["reached"] == 0
    assert told["visited"] == 270_002 - told["paid"] - told["repeat"]
