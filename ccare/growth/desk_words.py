"""Words of the growth desk in English and Chinese: what the page says and how it calls its columns.

Texts hold names in braces where the page puts values. Words of single values are in desk_values.
"""

from typing import Any

from ccare.exports.words import Language, Words

TEXT = {
    "locale": Words("en-GB", "zh-CN"),
    "title": Words("Growth desk {day}", "增长工作台 {day}"),
    "brand": Words("C-CARE · growth desk", "C-CARE · 增长工作台"),
    "as_of": Words("As of {day}", "截至 {day}"),
    "unpublished": Words("Nothing is published yet", "尚无发布的数据"),
    "facts": Words(
        "Published as number {seq} ({published} UTC) · business dates in {business_timezone} · amounts in {currency}, "
        "whole minor units in the tables · policy {policy_version}",
        "发布序号 {seq}（{published} UTC）· 营业日时区 {business_timezone} · 币种 {currency}，"
        "表格金额以最小货币单位计 · 策略 {policy_version}",
    ),
    "simulated": Words(
        "Simulated data: {share} of the events of the last 56 days carry origin = simulated.",
        "含模拟数据：近 56 天的事件中有 {share} 来自模拟器（origin = simulated）。",
    ),
    "noscript": Words(
        "The charts need a script, which this page brings along. Without one:",
        "图表由页面自带的脚本绘制。不启用脚本时可用命令：",
    ),
    # --- what the page is narrowed by
    "filters": Words("Filters", "筛选"),
    "industry": Words("Industry", "行业"),
    "all_industries": Words("all industries", "全部行业"),
    "provider": Words("Service provider", "服务商"),
    "all_providers": Words("all providers", "全部服务商"),
    "no_provider": Words("no provider", "无服务商"),
    "other_providers": Words("all other providers", "其他服务商"),
    "everyone": Words("Show everyone", "显示全部"),
    "shown": Words(
        "Shown: {who}. Pools, lift and data are the whole platform's.",
        "当前范围：{who}。资金池、流量增量与数据送达为全平台口径。",
    ),
    # --- tiles
    "active": Words("Active users, 28 days", "28 天活跃用户"),
    "against": Words("{change} against the 28 days before", "较前 28 天 {change}"),
    "quick_ratio": Words("Quick ratio", "速动比"),
    "quick_ratio_note": Words("(new + resurrected) / churned", "（新增 + 回流）/ 流失"),
    "net_sales": Words("Net sales, 28 days", "28 天净交易额"),
    "median_score": Words("Median total score", "总分中位数"),
    "scored": Words("{scored} of {merchants} merchants scored", "{merchants} 家商家中 {scored} 家有总分"),
    "points": Words("Points outstanding", "未使用点数"),
    "points_note": Words("of {granted} granted", "累计发放 {granted}"),
    "late": Words("Late streams", "滞后的数据流"),
    "on_time": Words("every stream that is due daily is up to date", "每日数据流均已送达"),
    "comma": Words(", ", "、"),
    "percent": Words("{number} %", "{number}%"),
    # --- sections, their lists and tables
    "users": Words("Users", "用户"),
    "scores": Words("Scores", "评分"),
    "programmes": Words("Programmes and pools", "计划与资金池"),
    "slots": Words("Slots", "流量位"),
    "data": Words("Data", "数据"),
    "movers": Words("Who moved most within a week", "一周内总分变动最大的商家"),
    "movers_note": Words(
        "And the metric that did it, in points of its dimension.", "附主要驱动指标，以其所属维度的分值计。"
    ),
    "at_risk": Words("Who is losing users", "活跃用户下滑的商家"),
    "at_risk_note": Words(
        "Active users of 28 days at least a fifth below the 28 days before; most trade at stake first.",
        "近 28 天活跃用户较前 28 天减少五分之一及以上，按前 28 天交易额从高到低排列。",
    ),
    "freshness": Words("What was delivered", "数据送达情况"),
    "freshness_note": Words(
        "Over the last seven delivery days of each stream. The whole platform.",
        "各数据流最近七个送达日。全平台口径。",
    ),
    "as_delivered": Words("not daily", "不定期"),
    "merchant": Words("{name} ({id})", "{name}（{id}）"),
    "as_table": Words("Figures as a table", "以表格查看"),
    "ask_on": Words("Ask on:", "继续查询："),
    "nothing": Words("Nothing to show.", "暂无数据。"),
    "run": Words(
        "One published run: {run_id}, hash {hash}.", "数据来自同一发布批次：{run_id}，哈希 {hash}。"
    ),
    "small_counts": Words(
        "Counts of users are exact. For people of the platform: small counts are shown, so pass no part of it on to "
        "merchants.",
        "用户数为精确值。仅供平台内部人员使用：页面含小计数，任何部分均不得转给商家。",
    ),
}

COLUMN = {
    "active": Words("now", "近 28 天"),
    "active_before": Words("before", "前 28 天"),
    "age": Words("weeks after the first", "首次活跃后第几周"),
    "amount": Words("amount", "数量"),
    "amount_fen": Words("amount, minor units", "金额（最小货币单位）"),
    "asset": Words("asset", "权益"),
    "available": Words("available", "可用"),
    "change": Words("change", "变化"),
    "churned": Words("churned", "流失"),
    "clicks": Words("clicks", "点击次数"),
    "cohort_users": Words("cohort users", "该周首次活跃用户数"),
    "cohort_week": Words("cohort week", "首次活跃周"),
    "day": Words("day", "日期"),
    "days_behind": Words("days behind", "滞后天数"),
    "days_left": Words("days left", "预计可用天数"),
    "driver": Words("driver", "主要驱动指标"),
    "duplicate": Words("duplicate", "重复行数"),
    "expired": Words("expired", "已过期"),
    "files": Words("files", "文件数"),
    "first_delivery": Words("first delivery", "最早送达日"),
    "funded": Words("funded", "已注资"),
    "gmv_before_fen": Words("sales before", "前 28 天交易额"),
    "granted": Words("granted", "已发放"),
    "granted_lately": Words("granted lately", "近 7 天发放"),
    "high": Words("high", "上限"),
    "holdout_days": Words("held-back merchant-days", "留白商家日数"),
    "holdout_per_1000": Words("held back, per 1,000", "留白时段每千次成交"),
    "impressions": Words("impressions", "曝光次数"),
    "kind": Words("kind", "类别"),
    "last_delivery": Words("last delivery", "最近送达日"),
    "left": Words("share that is left", "剩余占注资的比例"),
    "left_share": Words("share left", "剩余占比"),
    "lift_per_1000": Words("lift per 1,000", "每千次增量"),
    "low": Words("low", "下限"),
    "median": Words("median", "中位数"),
    "merchants": Words("merchants", "商家数"),
    "moment": Words("moment", "时点"),
    "month": Words("month", "月份"),
    "name": Words("merchant", "商家"),
    "new": Words("new", "新增"),
    "opportunities_held": Words("impressions held back", "留白曝光机会"),
    "orders_holdout": Words("trades, held back", "留白时段成交笔数"),
    "orders_treated": Words("trades, treated", "投放时段成交笔数"),
    "outstanding": Words("outstanding", "未使用"),
    "p10": Words("10th percentile", "第 10 百分位"),
    "p90": Words("90th percentile", "第 90 百分位"),
    "part": Words("part", "去向"),
    "place": Words("total score", "总分"),
    "points": Words("points", "点数"),
    "pool": Words("pool", "资金池"),
    "programme": Words("programme", "计划"),
    "reason": Words("reason", "原因"),
    "receivable": Words("receivable", "应收"),
    "redeemed": Words("redeemed", "已兑换"),
    "rejected": Words("refused", "拒收行数"),
    "rejected_share": Words("share refused", "拒收占比"),
    "resurrected": Words("resurrected", "回流"),
    "retained": Words("retained", "留存"),
    "retention": Words("came back", "留存率"),
    "returned": Words("returned", "已退回"),
    "rows": Words("rows", "行数"),
    "rows_read": Words("rows read", "读取行数"),
    "scored": Words("scored", "有总分的商家"),
    "share": Words("share of the first step", "占首步的比例"),
    "slot": Words("slot", "流量位"),
    "source": Words("paid by", "付费来源"),
    "stage": Words("stage", "阶段"),
    "step": Words("step", "步骤"),
    "step_number": Words("step number", "步骤序号"),
    "stream": Words("stream", "数据流"),
    "taken": Words("taken", "已收回"),
    "total_from": Words("from", "一周前"),
    "total_score": Words("score", "总分"),
    "total_to": Words("to", "最近一日"),
    "treated_days": Words("treated merchant-days", "投放商家日数"),
    "treated_per_1000": Words("treated, per 1,000", "投放时段每千次成交"),
    "users": Words("users", "用户数"),
}
"""How people call a column of a figure or list."""


def filled(words: Words, **values: Any) -> Words:
    """``words`` with ``values`` in the places that their names hold in braces."""
    return Words(words.en.format(**values), words.zh.format(**values))


def in_language(value: Any, language: Language) -> Any:
    """``value`` with the text in ``language`` wherever its dictionaries and lists hold a pair of Words."""
    if isinstance(value, Words):
        return getattr(value, language)
    if isinstance(value, dict):
        return {key: in_language(inner, language) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [in_language(inner, language) for inner in value]
    return value
