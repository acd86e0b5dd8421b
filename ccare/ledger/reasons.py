"""Why a programme grants nothing, or less than was earned, each by name and in both languages."""

from typing import Literal

Refusal = Literal[
    "no_mini_program",
    "industry_not_admitted",
    "not_enrolled",
    "merchants_full",
    "industries_full",
    "private_share_low",
    "beyond_top_share",
    "terminal_cap",
    "day_cap",
    "month_cap",
    "cut_by_pool",
    "pool_closed",
    "too_late",
    "withheld",
    "providers_full",
    "unknown_pool",
    "bad_amount",
    "already_funded",
    "stale_approval",
    "approved_by_asker",
]

REFUSALS: dict[str, dict[str, str]] = {
    "no_mini_program": {"zh": "当日没有小程序", "en": "had no mini-program on the date"},
    "industry_not_admitted": {"zh": "行业不在计划范围内", "en": "its industry is not admitted"},
    "not_enrolled": {"zh": "未报名该计划", "en": "was not enrolled on the date"},
    "merchants_full": {"zh": "商家名额已满", "en": "enrolled after the last place was taken"},
    "industries_full": {"zh": "行业名额已满", "en": "its industry came after the last place for industries"},
    "private_share_low": {"zh": "私域成交占比不足", "en": "its share of private trade is too low"},
    "beyond_top_share": {"zh": "未进入同行前列", "en": "stands behind the best of its peers"},
    "terminal_cap": {"zh": "单台设备当日上限", "en": "more users of one terminal than count in a day"},
    "day_cap": {"zh": "商家当日上限", "en": "more than one merchant gets in a day"},
    "month_cap": {"zh": "计划当月上限", "en": "the programme's month is used up"},
    "cut_by_pool": {"zh": "资金池不足，按比例发放", "en": "the pool was short and shared in proportion"},
    "pool_closed": {"zh": "资金池已关闭", "en": "the pool is closed"},
    "too_late": {"zh": "数据送达过晚", "en": "came to light when nothing could be granted any more"},
    "withheld": {"zh": "存在异常，暂不发放", "en": "withheld on evidence of abuse"},
    "providers_full": {
        "zh": "服务商名额已满",
        "en": "joined after the last place for service providers was taken",
    },
    "unknown_pool": {"zh": "没有该资金池", "en": "a funding of a pool that is not declared for its asset"},
    "bad_amount": {"zh": "金额超出范围", "en": "a funding of less than 1 or more than 10^15"},
    "already_funded": {"zh": "该编号已注资", "en": "a funding under a reference that funds the pool already"},
    "stale_approval": {"zh": "审批内容已变更", "en": "a funding whose approval names other rows"},
    "approved_by_asker": {"zh": "申请人不得自行审批", "en": "a funding approved by whoever asked for it"},
}
"""What each means where a programme says nothing else; the last five are of fundings, in ledger_refusals with rule
``funding``. ``withheld`` is the abuse rules' own."""
