"""What users spent in the last 28 days beside what the model in force before them expected of them."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import duckdb

from ccare.potential.bg_nbd import BgNbd
from ccare.potential.gamma_gamma import GammaGamma
from ccare.potential.model import MerchantModel, expect
from ccare.potential.observed import load_paid_days, observe

HORIZON = 28
"""Days that expected and realised figures span."""

_SPENT = """
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
_IN_FORCE = """
from score_potentials
where as_of_date = (select max(as_of_date) from score_potentials where as_of_date <= $start)
"""


def spent(con: duckdb.DuckDBPyConnection, day: date, taken_by: date) -> dict[str, int]:
    """Merchant -> paid less refunded in W28 (fen), of users first paid before it."""
    told = {"taken_by": taken_by, "end": day, "start": day - timedelta(days=HORIZON)}
    return dict(con.execute(_SPENT, told).fetchall())


def realised(
    con: duckdb.DuckDBPyConnection, day: date, taken_by: date | None = None
) -> Iterator[dict[str, Any]]:
    """r_realised_ratio's parts of each merchant that the model in force on d-28 knows; nothing without one.

    ``con`` has core_payments, core_staff and score_potentials; rows taken after ``taken_by`` (default: ``day``)
    are left out, so a late payment counts in what was expected as if it had been in time. An expectation of nothing is
    null.
    """
    start = day - timedelta(days=HORIZON)
    models = con.execute(_IN_FORCE, {"start": start}).to_arrow_table().to_pylist()
    if not models:
        return
    known = taken_by or day
    load_paid_days(con, start, taken_by=known)
    seen, came = observe(con, start), spent(con, day, known)
    for row in models:
        merchant = row["merchant_id"]
        if merchant not in seen:
            continue
        expected = round(expect(_model(row), seen[merchant], HORIZON, row["calibration"]).value_fen)
        told = expected > 0
        yield {
            "merchant_id": merchant,
            "r_realised_ratio_num": came.get(merchant, 0) if told else None,
            "r_realised_ratio_den": expected if told else None,
            "r_realised_ratio_users": round(seen[merchant].histories.total) if told else 0,
        }


def _model(row: Mapping[str, Any]) -> MerchantModel:
    """As it was fitted."""
    orders = BgNbd(row["r"], row["alpha_days"], row["a"], row["b"])
    spend = None
    if row["spend_p"] is not None:
        spend = GammaGamma(row["spend_p"], row["spend_q"], row["spend_v"])
    return MerchantModel(orders, row["model_status"], spend, row["spend_status"])
