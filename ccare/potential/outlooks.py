"""The rows of score_potentials: fit, calibrate, forecast, and what came in of the last four weeks."""

from datetime import date, timedelta

import duckdb
import pyarrow as pa

from ccare.potential.calibration import Calibration, learn
from ccare.potential.model import MODEL, MerchantModel, expect, fit_models, mean_alive
from ccare.potential.observed import Observed, industries, load_paid_days, observe
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table

HORIZON, LONG_HORIZON = 28, 90

_REALISED = """
with known as (
    select * from core_payments where taken_on <= $taken_by and business_date <= $end and user_key is not null
), staff as (select distinct merchant_id, user_key from core_staff where taken_on <= $taken_by
), before as (
    select merchant_id, user_key from known anti join staff using (merchant_id, user_key)
    where event_type = 'paid' group by all having min(business_date) <= $start
)
select merchant_id, sum(case event_type when 'paid' then amount_fen else -amount_fen end)::bigint
from known semi join before using (merchant_id, user_key)
where business_date > $start and event_type in ('paid', 'refunded') group by all
"""


def outlooks(con: duckdb.DuckDBPyConnection, as_of: date, taken_by: date) -> pa.Table:
    """score_potentials of one day from core_payments, core_staff and core_merchants taken by ``taken_by``."""
    load_paid_days(con, as_of, taken_by=taken_by)
    industry = industries(con, as_of)
    calibration = learn(con, as_of, industry)
    seen = observe(con, as_of)
    models = fit_models(seen, industry)
    start = as_of - timedelta(days=HORIZON)
    told = {"taken_by": taken_by, "end": as_of, "start": start}
    realised = dict(con.execute(_REALISED, told).fetchall())
    rows = [
        {
            "merchant_id": m,
            "as_of_date": as_of,
            "industry": industry.get(m),
            "realised_value_fen": realised.get(m, 0),
        }
        | _row(models[m], seen[m], calibration, m)
        for m in sorted(seen)
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(table("score_potentials")))


def _row(model: MerchantModel, of: Observed, calibration: Calibration, merchant: str) -> dict[str, object]:
    factor = calibration.factor(merchant)
    month, quarter = (expect(model, of, days, factor) for days in (HORIZON, LONG_HORIZON))
    orders, spend = model.orders, model.spend
    return {
        "users": round(of.histories.total),
        "repeaters": round(of.histories.repeaters),
        "horizon_days": HORIZON,
        "expected_orders": month.orders,
        "expected_value_fen": round(month.value_fen),
        "expected_orders_90d": quarter.orders,
        "expected_value_90d_fen": round(quarter.value_fen),
        "p_alive_mean": mean_alive(model, of),
        "calibration": factor,
        "model_status": model.orders_status,
        "spend_status": model.spend_status,
        "r": orders.r,
        "alpha_days": orders.alpha,
        "a": orders.a,
        "b": orders.b,
        "spend_p": spend and spend.p,
        "spend_q": spend and spend.q,
        "spend_v": spend and spend.v,
        "model_version": MODEL,
    }
