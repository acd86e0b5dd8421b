"""The lake of ``bench.queries``: what the questions read of 100,000 merchants, drawn as bench/exports.py does."""

from datetime import timedelta
from pathlib import Path

from bench.exports import DAY
from bench.exports import build as build_merchants
from ccare.runtime.settings import Settings
from ccare.tables.metric import STAGES
from ccare.tables.state import FUNNEL_STEPS

MONTH_AGO = DAY - timedelta(days=27)
_WEEK = DAY - timedelta(days=DAY.isoweekday() - 1)
_EVENT = (
    "'e' || merchant_id || '-' || n as event_id, 'k1_' || md5(merchant_id || n % 40) || md5('u') as user_key"
)
_DATED = "d as business_date, d as taken_on, d + 1 as delivery_date, d::timestamptz + interval 9 hour as occurred_at"


def build(root: Path, merchants: int) -> Settings:
    """A published lake under ``root``: four weeks of events, user days and metrics of the last day."""
    return build_merchants(root, merchants, 10, _queries())


def _queries() -> dict[str, str]:
    stages = ", ".join(f"'{stage}'" for stage in STAGES)
    steps = ", ".join(f"{{'step': '{step}', 'step_number': {n}}}" for n, step in enumerate(FUNNEL_STEPS, 1))
    days = f"(select date '{DAY}' - k::int as d from range(28) t(k))"
    slots = "(select unnest(['search_box', 'app_centre', 'life_channel', 'private', 'unknown']) as slot)"
    return {
        "metric_stages": f"select merchant_id, date '{DAY}' as as_of_date, stage, (size * random())::bigint as users "
        f"from m cross join (select unnest([{stages}]) as stage)",
        "metric_activity_days": f"select merchant_id, date '{DAY}' as as_of_date, k + 1 as active_days, "
        "(size * random() / (k + 1))::bigint as users from m cross join range(28) t(k)",
        "metric_retention": f"select merchant_id, date '{DAY}' as as_of_date, date '{_WEEK}' - 7 * (a + 1)::int "
        "as cohort_week, a + 1 as age, size as cohort_users, (size * random())::bigint as users "
        "from m cross join range(8) t(a)",
        "metric_funnels": f"select merchant_id, date '{DAY}' as as_of_date, slot, s.step, s.step_number, "
        "(size * random() / s.step_number)::bigint as users, null::bigint as traffic "
        f"from m cross join {slots} cross join (select unnest([{steps}]) as s)",
        "state_merchant_days": "select merchant_id, d as business_date, 5 as events, 4 as active_events, 3 as dau, "
        f"2 as orders, 4200 as gmv_fen, 0 as simulated_events from m cross join {days}",
        "state_user_days": f"select merchant_id, 'k1_' || md5(merchant_id || (k + u) % 40) || md5('u') as user_key, "
        f"date '{DAY}' - k::int as business_date, 2 as events, 2 as active_events, (k + u) % 2 as orders, "
        "0 as simulated_events from m cross join range(28) t(k) cross join range(3) s(u)",
        "state_users": f"select merchant_id, 'k1_' || md5(merchant_id || u) || md5('u') as user_key, "
        f"date '{DAY}' - (u * 3)::int as last_seen_date, date '{DAY}' - 200 as first_seen_date, "
        f"if(u % 2 = 0, date '{DAY}' - (u * 4)::int, null) as last_paid_date, "
        f"if(u % 2 = 0, date '{DAY}' - 190, null) as first_paid_date, u % 7 as orders, u * 900 as gmv_fen, "
        "0 as refund_fen, 'paid' as stage from m cross join range(40) t(u)",
        "core_mini_program_events": f"select merchant_id, {_EVENT}, {_DATED}, case n % 4 when 0 then 'launch' "
        "when 1 then 'message_delivered' when 2 then 'message_click' else 'item_view' end as event_type, "
        f"'private' as slot from m cross join {days} cross join range(2) t(n)",
        "core_life_account_events": f"select merchant_id, {_EVENT}, {_DATED}, "
        "case n % 2 when 0 then 'view' else 'like' end as event_type "
        f"from m cross join {days} cross join range(1) t(n)",
        "core_voucher_events": f"select merchant_id, {_EVENT}, {_DATED}, 'v' || merchant_id || '-' || k as "
        "voucher_code, 'a' || k % 3 as activity_id, if(n = 0, 'received', 'used') as event_type, 100 as "
        f"merchant_contribute_fen, 't' || k as trade_no from m cross join range(5) s(k) cross join range(2) t(n) "
        f"cross join (select date '{MONTH_AGO}' as d)",
        "core_payments": f"select merchant_id, {_EVENT}, {_DATED}, 'search_box' as slot, 'paid' as event_type, "
        f"'t' || merchant_id || d || n as trade_no, 100 as amount_fen, 'real' as origin "
        f"from m cross join {days} cross join range(2) t(n)",
        "core_traffic_hours": f"select merchant_id, 'h' || merchant_id || d || n as event_id, {_DATED}, "
        "'search_box' as slot, 'points' as source, if(n = 0, 'holdout', 'treated') as arm, 100 as impressions, "
        f"3 as clicks, 'delivered' as event_type, 'real' as origin from m cross join {days} cross join range(2) t(n) "
        "where i % 10 = 0",
        "ledger_positions": f"select 'fanxing|trade_net|' || merchant_id || '|' || k as business_key, 'fanxing' as "
        f"programme, 'trade_net' as rule, merchant_id, date '{DAY}' - k::int as effective_date, 'POINT' as asset, "
        "'fanxing' as pool, 1 as revision, 10 as asked, 10 as granted, 10 as net, 0 as lapsed, 0 as forgiven, "
        "0 as cut_by_pool, 0 as debt from m cross join range(10) t(k)",
        "ledger_refusals": f"select 'x' || merchant_id as business_key, 'luoma' as programme, 'private_day' as rule, "
        f"merchant_id, date '{DAY}' as effective_date, 'POINT' as asset, 'cap' as reason, 5 as amount, "
        f"date '{DAY}' as decided_on from m",
    }
