"""Seeded metric rows of made-up merchants, whole enough to freeze benchmarks of and to score."""

import random
from datetime import date
from typing import Any

from ccare.metrics.definitions import METRICS

FROZEN = date(2024, 3, 31)
DAY = date(2024, 4, 1)


def metric_row(merchant: str, day: date, **columns: Any) -> dict[str, Any]:
    """A row with every count at 0 and every ratio derived from its _num and _den."""
    row: dict[str, Any] = {"merchant_id": merchant, "as_of_date": day, "industry": "cafe"}
    for metric in METRICS:
        row |= {f"{metric.id}_num": 0, f"{metric.id}_den": 0} if metric.is_ratio else {metric.id: 0}
    row |= {"e_refund_rate_orders": 0, "events_56d": 0, "simulated_events_56d": 0} | columns
    for metric in METRICS:
        if metric.is_ratio:
            bottom = row[f"{metric.id}_den"]
            row[metric.id] = row[f"{metric.id}_num"] / bottom if bottom else None
    return row


def random_row(rng: random.Random, merchant: str, industry: str | None, day: date) -> dict[str, Any]:
    """A merchant of random size: some silent, some without a past, payers, refunds or discounts."""
    mau = int(rng.paretovariate(0.8)) * rng.choice([0, 1, 1, 1, 3]) if rng.random() < 0.95 else 0
    before = rng.choice([0, mau, rng.randrange(2 * mau + 5)])
    payers = rng.randrange(mau + 1)
    payers90 = payers + rng.randrange(5)
    orders = payers + rng.randrange(payers + 1)
    old_orders = orders + rng.choice([0, 3, 9])
    gmv, old_gmv = orders * rng.randrange(9000), old_orders * rng.randrange(9000)
    return metric_row(
        merchant,
        day,
        industry=industry,
        c_mau28=mau,
        c_new_users=rng.randrange(mau + 1),
        c_new_payers=rng.randrange(payers + 1),
        a_stickiness_num=rng.randrange(mau, 28 * mau + 1),
        a_stickiness_den=28 * mau,
        a_return_rate_num=rng.randrange(min(before, mau) + 1),
        a_return_rate_den=before,
        r_orders=orders,
        r_arpu_num=gmv - rng.choice([0, 0, gmv // 3, 2 * gmv]),
        r_arpu_den=mau,
        r_pay_conversion_num=payers,
        r_pay_conversion_den=mau,
        r_repurchase_90_num=rng.randrange(payers90 + 1),
        r_repurchase_90_den=payers90,
        e_refund_rate_num=rng.choice([0, 0, old_gmv // 50, old_gmv // 4]),
        e_refund_rate_den=old_gmv,
        e_refund_rate_orders=old_orders,
        e_discount_rate_num=rng.choice([0, gmv // 40, gmv // 9]),
        e_discount_rate_den=gmv,
        events_56d=mau + before + orders,
    )


def market(seed: int, merchants: int, day: date = FROZEN) -> list[dict[str, Any]]:
    """Rows of one day: a large industry (tiers with enough peers), a small one, and merchants without any."""
    rng = random.Random(seed)
    industries = ["cafe"] * 14 + ["bar"] * 5 + [None]
    return [random_row(rng, f"m{i:04d}", rng.choice(industries), day) for i in range(merchants)]
