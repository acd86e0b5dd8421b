"""Seeded metric rows of made-up merchants, whole enough to freeze benchmarks of and to score."""

import random
from datetime import date
from typing import Any

from ccare.metrics.definitions import METRICS

FROZEN = date(2024, 3, 31)
DAY = date(2024, 4, 1)
SUPPORTS = (
    "e_refund_rate_orders",
    "r_realised_ratio_users",
    "public_kiloimpressions_28d",
    "events_56d",
    "simulated_events_56d",
)


def metric_row(merchant: str, day: date, **columns: Any) -> dict[str, Any]:
    """A row with every count at 0 and every ratio derived from its _num and _den."""
    row: dict[str, Any] = {"merchant_id": merchant, "as_of_date": day, "industry": "cafe"}
    for metric in METRICS:
        row |= {f"{metric.id}_num": 0, f"{metric.id}_den": 0} if metric.is_ratio else {metric.id: 0}
    row |= dict.fromkeys(SUPPORTS, 0) | columns
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
        **_reach(rng, mau),
        **_cohorts(rng, mau),
        **_content(rng, mau),
        **_slots(rng, orders, gmv, payers),
        c_mau28=mau,
        c_new_users=rng.randrange(mau + 1),
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


def _reach(rng: random.Random, mau: int) -> dict[str, int]:
    """Reach that grew or shrank, and users who came and went; some merchants never had a relation."""
    now, then = rng.randrange(2 * mau + 3), rng.choice([0, rng.randrange(2 * mau + 5)])
    return {
        "c_reachable": now,
        "c_net_reach_rate_num": now - then,
        "c_net_reach_rate_den": then,
        "c_quick_ratio_num": rng.randrange(mau + 1),
        "c_quick_ratio_den": rng.choice([0, rng.randrange(mau + 3)]),
    }


def _cohorts(rng: random.Random, mau: int) -> dict[str, int]:
    columns: dict[str, int] = {}
    for age in (7, 28):
        cohort = rng.choice([0, rng.randrange(mau + 2)])
        columns |= {f"a_retention_d{age}_num": rng.randrange(cohort + 1), f"a_retention_d{age}_den": cohort}
    return columns


def _content(rng: random.Random, mau: int) -> dict[str, int]:
    """A third of merchants have no content and send no messages."""
    viewers, delivered, codes = (rng.choice([0, rng.randrange(3 * mau + 4), mau + 9]) for _ in range(3))
    return {
        "a_engagement_rate_num": rng.randrange(viewers + 1),
        "a_engagement_rate_den": viewers,
        "a_content_to_service_num": rng.randrange(viewers + 1),
        "a_content_to_service_den": viewers,
        "a_message_click_rate_num": rng.randrange(delivered + 1),
        "a_message_click_rate_den": delivered,
        "r_voucher_use_rate_num": rng.randrange(codes + 1),
        "r_voucher_use_rate_den": codes,
    }


def _slots(rng: random.Random, orders: int, gmv: int, payers: int) -> dict[str, int]:
    """Impressions from none to many, fewer than a thousand too; cost with and without a new payer."""
    known, shown = rng.choice([0, gmv // 2, gmv]), rng.choice([0, 700, rng.randrange(400_000)])
    return {
        "e_private_share_num": rng.randrange(known + 1),
        "e_private_share_den": known,
        "e_public_conversion_num": 1000 * rng.randrange(orders + 1) if shown else 0,
        "e_public_conversion_den": shown,
        "public_kiloimpressions_28d": shown // 1000,
        "e_cost_per_new_payer_num": rng.choice([0, gmv // 40, 500]),
        **_new_payers(rng.randrange(payers + 1)),
    }


def _new_payers(count: int) -> dict[str, int]:
    return {"c_new_payers": count, "e_cost_per_new_payer_den": count}


def market(seed: int, merchants: int, day: date = FROZEN) -> list[dict[str, Any]]:
    """Rows of one day: a large industry (tiers with enough peers), a small one, and merchants without any."""
    rng = random.Random(seed)
    industries = ["cafe"] * 14 + ["bar"] * 5 + [None]
    return [random_row(rng, f"m{i:04d}", rng.choice(industries), day) for i in range(merchants)]
