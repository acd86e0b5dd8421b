"""Each metric defined a little otherwise: a part of the oracle's SQL, and what a careless reader would have written.

A fault is (metrics or columns that it must change, SQL file, part of its text, what stands there instead).
"""

from datetime import date, timedelta
from typing import NamedTuple

from tests.metrics.random_lake import FIRST, LAST


class Fault(NamedTuple):
    """One deliberate mistake."""

    changes: tuple[str, ...]
    file: str
    part: str
    instead: str
    day: date = LAST


_EARLIER = FIRST + timedelta(days=13)
"""A day after which rows are still taken and a model is still fitted."""


def _of(changes: str, file: str, part: str, instead: str, day: date = LAST) -> Fault:
    return Fault(tuple(changes.split()), file, part, instead, day)


_ALL_OF_USERS = (
    "c_mau28 c_new_users c_growth_new c_growth_retained c_growth_churned c_quick_ratio a_stickiness a_l28 "
    "a_retention_d1 a_retention_d7 a_retention_d28 a_return_rate r_payers r_arpu r_pay_conversion r_repurchase_90"
)
_MERCHANTS, _ROWS, _LIFT = "metric_merchants", "rows", "points_lift"
_PAID_28 = "count(*) filter (stream = 'pay' and kind = 'paid' and day > d() - 28) > 0 as paid_28"
_PAID_DAYS_90 = "count(distinct day) filter (stream = 'pay' and kind = 'paid' and day > d() - 90)"
_DAYS_BEFORE = "active and day > d() - 56 and day <= d() - 28"
_NO_STAFF = "and not exists (from staff s where s.merchant_id = e.merchant_id and s.user_key = e.user_key)"
_MONTH = "from payments where business_date > d() - 28 group by all"
_FIRST_PAID = "min(day) filter (stream = 'pay' and kind = 'paid') as first_paid"

USERS = {
    "nobody known is a user": _of(
        f"{_ALL_OF_USERS} c_dau c_wau", _ROWS, "where user_key is not null", "where true"
    ),
    "staff are users": _of(f"{_ALL_OF_USERS} c_reachable", _ROWS, _NO_STAFF, ""),
    "a view of a second is short": _of("c_mau28 a_l28", _ROWS, "stay_ms >= 1000", "stay_ms > 1000"),
    "a view of unknown length is short": _of("c_mau28 a_l28", _ROWS, "stay_ms is null or", ""),
    "a refund makes a day active": _of(
        "c_mau28 a_l28", _ROWS, "event_type = 'paid' as active", "true as active"
    ),
    "unfollowing makes a day active": _of(
        "c_mau28 a_l28", _ROWS, "('follow', 'view',", "('follow', 'unfollow', 'view',"
    ),
    "rows taken later count": _of(
        "c_mau28 r_gmv", _ROWS, "taken_on <= d() and business_date", "business_date", _EARLIER
    ),
}
SCALE = {
    "a day of yesterday": _of("c_dau", _MERCHANTS, "where day = d() group", "where day = d() - 1 group"),
    "a week of six days": _of(
        "c_wau",
        _MERCHANTS,
        "'c_wau', count(distinct user_key), null from active_days where day > d() - 7",
        "'c_wau', count(distinct user_key), null from active_days where day > d() - 6",
    ),
    "W28 of 27 days": _of(
        "c_mau28 c_growth_churned c_growth_retained a_l28 r_pay_conversion",
        _ROWS,
        "active and day > d() - 28) as days_28",
        "active and day > d() - 27) as days_28",
    ),
    "new from d-28 on": _of(
        "c_new_users c_growth_new", _MERCHANTS, "(first_active > d() - 28)}", "(first_active >= d() - 28)}"
    ),
    "new in 90 days": _of(
        "c_new_payers e_cost_per_new_payer",
        _ROWS,
        _FIRST_PAID,
        _FIRST_PAID.replace("'paid')", "'paid' and day > d() - 90)"),
    ),
    "ties by the smaller id": _of(
        "c_reachable c_net_reach_rate", _ROWS, "event_id desc) = 1", "event_id) = 1"
    ),
    "any change on reaches": _of("c_reachable", _ROWS, ") where turned_on", ") where true"),
    "one relation over all four": _of(
        "c_reachable",
        _ROWS,
        "partition by merchant_id, user_key, relation",
        "partition by merchant_id, user_key",
    ),
    "reach of d-27": _of(
        "c_net_reach_rate", _MERCHANTS, "reached_at(d() - 28) old", "reached_at(d() - 27) old"
    ),
    "P28 of 27 days": _of(
        "c_growth_retained c_growth_churned c_growth_resurrected c_quick_ratio a_return_rate",
        _ROWS,
        _DAYS_BEFORE,
        _DAYS_BEFORE.replace("56", "55"),
    ),
    "resurrected though new": _of(
        "c_growth_resurrected",
        _MERCHANTS,
        "days_before = 0 and first_active <= d() - 28)}",
        "days_before = 0)}",
    ),
    "quick ratio without the resurrected": _of(
        "c_quick_ratio", _MERCHANTS, "(first_active > d() - 28 or days_before = 0)", "first_active > d() - 28"
    ),
}
ACTIVITY = {
    "events for days": _of(
        "a_stickiness a_l28",
        _ROWS,
        "count(distinct day) filter (active and day > d() - 28)",
        "count(*) filter (active and day > d() - 28)",
    ),
    "returned without having come": _of(
        "a_return_rate", _MERCHANTS, "from people where days_before > 0", "from people"
    ),
    "cohorts of 27 days": _of(
        "a_retention_d1 a_retention_d7 a_retention_d28", _MERCHANTS, "d() - n - 27", "d() - n - 26"
    ),
    "retained a day late": _of(
        "a_retention_d1 a_retention_d7 a_retention_d28",
        _MERCHANTS,
        "a.day = p.first_active + n",
        "a.day = p.first_active + n + 1",
    ),
    "cohorts not mature": _of(
        "a_retention_d1 a_retention_d7 a_retention_d28",
        _MERCHANTS,
        "p.first_active between d() - n - 27 and d() - n\n",
        "p.first_active between d() - n - 27 and d()\n",
    ),
    "sharing engages nobody": _of(
        "a_engagement_rate", _MERCHANTS, "('like', 'comment', 'share')) as", "('like', 'comment')) as"
    ),
    "engaged without a view": _of(
        "a_engagement_rate",
        _MERCHANTS,
        "from did where viewed group by all\n    union all\n    select merchant_id, 'a_content",
        "from did where viewed or engaged group by all\n    union all\n    select merchant_id, 'a_content",
    ),
    "any launch is from content": _of(
        "a_content_to_service",
        _MERCHANTS,
        "kind = 'launch' and slot is not distinct from 'life_channel'",
        "kind = 'launch'",
    ),
    "a launch is no service": _of(
        "a_content_to_service",
        _MERCHANTS,
        "or (stream = 'mini' and kind = 'launch' and slot is not distinct from 'life_channel')",
        "",
    ),
    "acts of 27 days": _of(
        "a_engagement_rate a_content_to_service a_message_click_rate",
        _MERCHANTS,
        "from happened where day > d() - 28",
        "from happened where day > d() - 27",
    ),
    "clicked without a delivery": _of(
        "a_message_click_rate", _MERCHANTS, "from did where delivered", "from did where delivered or clicked"
    ),
    "bound a day too late": _of("a_pay_bind_rate", _MERCHANTS, "p.first_active + 7", "p.first_active + 8"),
    "bound by a follow only": _of("a_pay_bind_rate", _MERCHANTS, "h.stream = 'mini' and", "false and"),
    "paid at any time": _of("a_pay_bind_rate", _MERCHANTS, "and x.day = p.first_active)", ")"),
}
POTENTIAL = {
    "known payers only": _of(
        "r_gmv r_net_gmv r_aov r_arpu e_discount_rate e_fee_rate e_private_share",
        _MERCHANTS,
        _MONTH,
        _MONTH.replace("28", "28 and user_key is not null"),
    ),
    "amounts of 27 days": _of(
        "r_gmv r_orders r_net_gmv r_aov r_arpu e_discount_rate e_fee_rate e_private_share "
        "e_public_conversion",
        _MERCHANTS,
        _MONTH,
        _MONTH.replace("28", "27"),
    ),
    "orders of known payers": _of(
        "r_orders r_aov",
        _MERCHANTS,
        "count(*) filter (event_type = 'paid') as orders",
        "count(user_key) filter (event_type = 'paid') as orders",
    ),
    "a refund is a trade": _of(
        "r_orders r_aov", _MERCHANTS, "count(*) filter (event_type = 'paid') as orders", "count(*) as orders"
    ),
    "gmv less refunds": _of("r_gmv r_aov", _MERCHANTS, "num: gmv, den", "num: gmv - back, den"),
    "refunds of the month's trades": _of(
        "r_net_gmv r_arpu",
        _MERCHANTS,
        "filter (event_type = 'refunded'), 0) as back",
        "filter (event_type = 'refunded' and (merchant_id, trade_no) in (select (merchant_id, trade_no) "
        "from payments where event_type = 'paid' and business_date > d() - 28)), 0) as back",
    ),
    "gross for net": _of("r_net_gmv r_arpu", _MERCHANTS, "gmv - back", "gmv"),
    "who was refunded is a payer": _of(
        "r_payers r_pay_conversion", _ROWS, _PAID_28, _PAID_28.replace("kind = 'paid' and ", "")
    ),
    "payers of 27 days": _of("r_payers r_pay_conversion", _ROWS, _PAID_28, _PAID_28.replace("28)", "27)")),
    "trades for paid days": _of(
        "r_repurchase_90", _ROWS, _PAID_DAYS_90, _PAID_DAYS_90.replace("distinct day", "*")
    ),
    "repurchase of 89 days": _of("r_repurchase_90", _ROWS, _PAID_DAYS_90, _PAID_DAYS_90.replace("90", "89")),
    "codes by event": _of(
        "r_voucher_use_rate",
        _MERCHANTS,
        "select distinct merchant_id, voucher_code from",
        "select merchant_id, voucher_code from",
    ),
    "used once is used": _of(
        "r_voucher_use_rate",
        _MERCHANTS,
        "order by v.occurred_at desc, v.event_id desc limit 1",
        "order by v.event_type desc limit 1",
    ),
    "vouchers tied by the smaller id": _of(
        "r_voucher_use_rate", _MERCHANTS, "v.event_id desc limit 1", "v.event_id limit 1"
    ),
    "codes of P28 of 27 days": _of(
        "r_voucher_use_rate", _MERCHANTS, "between d() - 55 and d() - 28\n", "between d() - 54 and d() - 28\n"
    ),
    "newcomers' spend was expected": _of(
        "r_realised_ratio", "realised", "from mine join firsts using (merchant_id, user_key)", "from mine"
    ),
    "the newest model": _of(
        "r_realised_ratio", "realised", "where as_of_date <= d() - 28)", "where as_of_date <= d())", _EARLIER
    ),
    "no calibration": _of("r_realised_ratio", "realised", "any_value(calibration) * ", ""),
    "expected of 27 days": _of("r_realised_ratio", "realised", "+ 28)", "+ 27)"),
    "the first day's spend repeats": _of(
        "r_realised_ratio", "realised", "b.day > f.first_day", "b.day >= f.first_day"
    ),
    "expected gross": _of(
        "r_realised_ratio", "realised", "sum(m.amount_fen - coalesce(b.fen, 0))", "sum(m.amount_fen)"
    ),
    "modelled staff": _of(
        "r_realised_ratio r_realised_ratio_users",
        "realised",
        "and not exists (from staff s where s.merchant_id = p.merchant_id and s.user_key = p.user_key)",
        "",
    ),
}
EFFICIENCY = {
    "trades of d-14": _of(
        "e_refund_rate e_refund_rate_orders",
        _MERCHANTS,
        "between d() - 42 and d() - 15",
        "between d() - 42 and d() - 14",
    ),
    "trades of d-43": _of(
        "e_refund_rate e_refund_rate_orders",
        _MERCHANTS,
        "between d() - 42 and d() - 15",
        "between d() - 43 and d() - 15",
    ),
    "one refund a trade": _of(
        "e_refund_rate",
        _MERCHANTS,
        "sum(amount_fen) as back from payments",
        "max(amount_fen) as back from payments",
    ),
    "the platform's discount": _of(
        "e_discount_rate e_cost_per_new_payer",
        _MERCHANTS,
        "sum(merchant_discount_fen)",
        "sum(merchant_discount_fen + platform_discount_fen)",
    ),
    "fees of trades only with one": _of(
        "e_fee_rate",
        _MERCHANTS,
        "{id: 'e_fee_rate', num: fee, den: gmv}",
        "{id: 'e_fee_rate', num: fee, den: gmv - back}",
    ),
    "a scan is not private": _of("e_private_share", _MERCHANTS, "('private', 'offline_scan')", "('private')"),
    "unknown slots are public": _of(
        "e_private_share", _MERCHANTS, "and slot != 'unknown'", "and slot is not null"
    ),
    "paid traffic is public": _of(
        "e_public_conversion public_kiloimpressions_28d",
        _MERCHANTS,
        "(from public_slots)",
        "(select slot from public_slots union select 'paid_ad')",
    ),
    "withheld hours were served": _of(
        "e_public_conversion e_cost_per_new_payer public_kiloimpressions_28d",
        _MERCHANTS,
        " and arm = 'treated'",
        "",
    ),
    "points paid for all traffic": _of(
        "e_cost_per_new_payer", _MERCHANTS, "filter (source = 'points')", "filter (true)"
    ),
    "cost cut to whole fen": _of("e_cost_per_new_payer", _MERCHANTS, "(thousandths + 500)", "(thousandths)"),
    "thousands rounded": _of(
        "public_kiloimpressions_28d", _MERCHANTS, "impressions // 1000", "(impressions + 500) // 1000"
    ),
    "events of everything": _of("events_56d", _MERCHANTS, "from lately where active", "from lately"),
    "events of 55 days": _of(
        "events_56d simulated_events_56d", _MERCHANTS, "business_date > d() - 56", "business_date > d() - 55"
    ),
    "turning off is no event": _of("events_56d", _MERCHANTS, "not turned_on and day", "false and day"),
    "traffic is not simulated": _of(
        "simulated_events_56d",
        _MERCHANTS,
        "union all\n    select merchant_id, origin, false from traffic where business_date > d() - 56",
        "",
    ),
}
LIFT = {
    "an hour holds its end": _of("lift", _LIFT, ") < 3600", ") <= 3600"),
    "an hour once for all slots": _of("lift", _LIFT, "count(distinct slot) as slots", "1 as slots"),
    "free hours too": _of("lift", _LIFT, "source = 'points' and", ""),
    "hours of 27 days": _of(
        "lift", _LIFT, "business_date, d) < 28\n    group", "business_date, d) < 27\n    group"
    ),
    "refunds are sales": _of("lift", _LIFT, "and p.event_type = 'paid'", ""),
}
SIDES = {
    "histogram of 27 days": _of(
        "metric_activity_days",
        _ROWS,
        "active and day > d() - 28) as days_28",
        "active and day > d() - 27) as days_28",
    ),
    "loyal by two": _of("metric_stages", "metric_stages", "p.paid_days_90 >= 3", "p.paid_days_90 >= 2"),
    "at risk is dormant": _of(
        "metric_stages", "metric_stages", "p.days_28 = 0 and p.days_before > 0", "false"
    ),
    "repeat by trades": _of(
        "metric_stages",
        _ROWS,
        "count(distinct day) filter (stream = 'pay' and kind = 'paid') as paid_days",
        "count(*) filter (stream = 'pay' and kind = 'paid') as paid_days",
    ),
    "weeks from Sunday": _of(
        "metric_retention",
        "metric_retention",
        "first_active - isodow(first_active)::integer + 1",
        "first_active - isodow(first_active)::integer",
    ),
    "weeks of six days": _of(
        "metric_retention", "metric_retention", "w.week + 6) as came", "w.week + 5) as came"
    ),
    "funnel of six days": _of(
        "metric_funnels",
        "metric_funnels",
        "from happened where day > d() - 7",
        "from happened where day > d() - 6",
    ),
    "a step of its own": _of("metric_funnels", "metric_funnels", "f.step >= s.n", "f.step = s.n"),
    "withheld hours are traffic": _of("metric_funnels", "metric_funnels", " and arm = 'treated'", ""),
}
FAULTS = USERS | SCALE | ACTIVITY | POTENTIAL | EFFICIENCY | LIFT | SIDES
