"""The rows of score_potentials: fit, calibrate, forecast, and what came in of the last four weeks."""

from datetime import date

import duckdb
import pyarrow as pa

from ccare.potential.calibration import Calibration, learn
from ccare.potential.model import MODEL, MerchantModel, expect, fit_models, mean_alive
from ccare.potential.observed import Observed, industries, load_paid_days, observe
from ccare.potential.realised import HORIZON, spent
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table

LONG_HORIZON = 90


def outlooks(con: duckdb.DuckDBPyConnection, as_of: date, taken_by: date) -> pa.Table:
    """score_potentials of one day from core_payments, core_staff and core_merchants taken by ``taken_by``."""
    load_paid_days(con, as_of, taken_by=taken_by)
    industry = industries(con, as_of)
    calibration = learn(con, as_of, industry)
    seen = observe(con, as_of)
    models = fit_models(seen, industry)
    came = spent(con, as_of, taken_by)
    rows = [
        {
            "merchant_id": m,
            "as_of_date": as_of,
            "industry": industry.get(m),
            "realised_value_fen": came.get(m, 0),
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
