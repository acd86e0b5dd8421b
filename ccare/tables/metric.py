"""Metrics of each merchant on each as-of day."""

from ccare.metrics.definitions import METRICS
from ccare.tables import columns as c
from ccare.tables.model import Column, Table


def _metric_columns() -> tuple[Column, ...]:
    columns: list[Column] = []
    for m in METRICS:
        if m.is_ratio:
            columns += [
                Column(m.id, "double", m.definition, unit=m.unit),
                Column(f"{m.id}_num", "bigint", f"Numerator of {m.id}."),
                Column(f"{m.id}_den", "bigint", f"Denominator of {m.id}."),
            ]
        else:
            columns.append(Column(m.id, "bigint", m.definition, unit=m.unit, nullable=False))
    return tuple(columns)


METRIC_MERCHANTS = Table(
    "metric_merchants",
    "Every metric of a merchant, its ratios with numerator and denominator.",
    "one row for each merchant and as-of date",
    ("merchant_id", "as_of_date"),
    (
        c.MERCHANT_ID,
        c.AS_OF_DATE,
        Column("industry", "string", "Industry in force on the day."),
        *_metric_columns(),
        c.count("e_refund_rate_orders", "Trades paid in the refund rate's window.", "trades"),
        c.count("events_56d", "Paid, active or relation events in the last 56 days.", "events"),
        c.count("simulated_events_56d", "Events of any kind with origin simulated in 56 days.", "events"),
    ),
    inputs=("state_users", "state_merchant_days", "state_refund_days", "core_merchants", "core_staff"),
    partition_by=("as_of_date",),
    caveats="A ratio is null where its denominator is 0; counts are then 0.",
)

TABLES = (METRIC_MERCHANTS,)
