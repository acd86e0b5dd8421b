"""Metrics, drivers and scores of the small lake: m1 has all, m2 is insufficient, m3 inactive."""

from datetime import date

from ccare.metrics.definitions import DIMENSIONS, METRICS
from tests.growth.small_base import FIRST, RUN, Row

WEIGHTS = {
    "c_mau28": 1 / 3,
    "c_new_users": 1 / 3,
    "c_new_payers": 1 / 3,
    "a_stickiness": 0.5,
    "a_return_rate": 0.5,
    "r_arpu": 1 / 3,
    "r_pay_conversion": 1 / 3,
    "r_repurchase_90": 1 / 3,
    "e_refund_rate": 0.5,
    "e_discount_rate": 0.5,
}
# metric: (value, numerator, denominator, n, target, condition)
M1_VALUES: dict[str, tuple[float, int, int | None, int, float | None, str]] = {
    "c_mau28": (12.0, 12, None, 12, 40.0, "at_least"),
    "c_new_users": (5.0, 5, None, 5, 15.0, "at_least"),
    "c_new_payers": (0.0, 0, None, 0, 12.0, "at_least"),
    "a_stickiness": (13 / 336, 13, 336, 12, 0.08, "at_least"),
    "a_return_rate": (0.75, 6, 8, 8, 0.8, "at_least"),
    "r_arpu": (2500.0, 30000, 12, 12, 4200.0, "at_least"),
    "r_pay_conversion": (7 / 12, 7, 12, 12, 0.9, "at_least"),
    "r_repurchase_90": (6 / 11, 6, 11, 11, 0.5, "at_least"),
    "e_refund_rate": (0.05, 500, 10000, 10, 0.01, "at_most"),
    "e_discount_rate": (0.1, 3500, 35000, 14, None, "at_most"),
}


def metrics(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        for merchant in ("m1", "m2", "m3"):
            row = metric_row(merchant, day)
            if merchant == "m1":
                row |= {"c_mau28": 12, "r_payers": 7, "r_orders": 14, "r_gmv": 35000, "c_growth_retained": 6}
                row |= {"c_growth_new": 4 + (day >= date(2017, 12, 28)), "c_growth_resurrected": 1}
                row |= {"c_growth_churned": 2, "events_56d": 27, "simulated_events_56d": 5, "c_new_users": 5}
                for name, (value, numerator, denominator, *_) in M1_VALUES.items():
                    if denominator is not None:
                        row |= {name: value, f"{name}_num": numerator, f"{name}_den": denominator}
            rows.append(row)
    return rows


def metric_row(merchant_id: str, day: date) -> Row:
    """Every count 0, every ratio null."""
    row: Row = {m.id: 0 for m in METRICS if not m.is_ratio}
    row |= {"merchant_id": merchant_id, "as_of_date": day, "industry": "GROCERY"}
    return row | {"e_refund_rate_orders": 0, "events_56d": 0, "simulated_events_56d": 0}


def percentile(metric_id: str, day: date) -> float:
    """A made-up place among peers that moves by the day: return rate rises most, discount rate falls."""
    base = {name: 20.0 + 6.1234 * i for i, name in enumerate(WEIGHTS)}[metric_id]
    drift = {"a_return_rate": 2.5, "e_discount_rate": -0.5}.get(metric_id, 0.25)
    return round(base + drift * (day - FIRST).days, 4)


def drivers(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        for metric in METRICS:
            if metric.id not in WEIGHTS:
                continue
            value, num, den, n, target, condition = M1_VALUES[metric.id]
            place = percentile(metric.id, day)
            row: Row = {
                "merchant_id": "m1",
                "as_of_date": day,
                "metric_id": metric.id,
                "dimension": metric.dimension,
                "value": value,
                "numerator": num,
                "denominator": den,
                "n": n,
                "shrunk_value": value,
                "percentile": place,
                "percentile_low": place - 5,
                "percentile_high": place + 5,
                "weight": WEIGHTS[metric.id],
                "contribution": WEIGHTS[metric.id] * place,
                "target": target,
                "target_condition": condition,
                "target_status": "reachable" if target is not None else "ceiling",
                "driver_status": "good" if place >= 80 else "bad" if place < 20 else "watch",
                "window_days": metric.window_days,
                "peer_group": "GROCERY/small",
                "policy_version": "scoring-1",
                "run_id": RUN,
            }
            empty: Row = {"value": None, "numerator": 0, "denominator": 0, "n": 0, "percentile": 50.0}
            empty |= {"contribution": 50.0 * WEIGHTS[metric.id], "driver_status": "none", "merchant_id": "m2"}
            rows += [row, row | empty]
    return rows


def scores(days: tuple[date, ...]) -> list[Row]:
    rows = []
    for day in days:
        row: Row = {
            "as_of_date": day,
            "peer_group": "GROCERY/small",
            "peers": 64,
            "benchmark_status": "monthly",
        }
        row |= {"policy_version": "scoring-1", "run_id": RUN}
        m1, product = {"merchant_id": "m1", "score_status": "full"}, 1.0
        for dimension in DIMENSIONS:
            mine = [m.id for m in METRICS if m.id in WEIGHTS and m.dimension == dimension]
            exact = sum(WEIGHTS[m] * percentile(m, day) for m in mine)
            product *= exact**0.25
            m1 |= _with_interval(dimension, exact, 3.0) | {f"{dimension}_coverage": 1.0}
        rows.append(row | m1 | _with_interval("total", product, 2.0))
        m2 = {f"{d}_coverage": 0.0 for d in DIMENSIONS} | {"scale_coverage": 1.0}
        m2 |= _with_interval("scale", 50.0, 0.0)
        rows.append(row | m2 | {"merchant_id": "m2", "score_status": "insufficient"})
        rows.append(
            row | {"merchant_id": "m3", "score_status": "inactive", "peer_group": None, "peers": None}
        )
    return rows


def _with_interval(name: str, exact: float, width: float) -> Row:
    score = round(exact, 1)
    low, high = round(exact - width, 1), round(exact + width, 1)
    return {f"{name}_score": score, f"{name}_score_low": low, f"{name}_score_high": high}
