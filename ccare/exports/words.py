"""The page's words in English and Chinese. A metric that has none yet is shown by its id and declaration."""

from typing import Literal, NamedTuple

from ccare.metrics.definitions import METRIC_BY_ID

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Words(NamedTuple):
    """One text in both languages of a page."""

    en: str
    zh: str


def same(text: str) -> Words:
    """A text that reads alike in both languages: numbers, dates, ids."""
    return Words(text, text)


def first_language(currency: str) -> Language:
    """The language that a page shows first: Chinese in a lake of CNY, else English."""
    return "zh" if currency == "CNY" else "en"


DIMENSION = {
    "scale": Words("Scale", "规模"),
    "activity": Words("Activity", "活跃"),
    "potential": Words("Potential", "价值"),
    "efficiency": Words("Efficiency", "效率"),
    "total": Words("Total", "总分"),
}
DIMENSION_ABOUT = {
    "scale": Words("How many users the merchant reaches and gains.", "商家触达并新增了多少用户。"),
    "activity": Words("How often users come, and come back.", "用户来得多勤、是否回访。"),
    "potential": Words("What users are worth, and whether they buy again.", "用户贡献的价值与复购。"),
    "efficiency": Words("What is given away or given back.", "让利与退款的多少。"),
}
SCORE_STATUS = {
    "full": Words("all four dimensions are scored", "四个维度均已评分"),
    "partial": Words("some dimensions lack data, so there is no total", "部分维度数据不足，无总分"),
    "insufficient": Words("too little data to score", "数据不足，暂不评分"),
    "inactive": Words("no activity in the last 56 days", "近 56 天无活动"),
    "unreconciled": Words("not scored: bills and payments differ", "账单与交易不符，暂不评分"),
}
DRIVER_STATUS = {
    "good": Words("good", "良好"),
    "watch": Words("watch", "关注"),
    "bad": Words("weak", "偏弱"),
    "none": Words("no data", "无数据"),
    "few_peers": Words("too few peers", "同行过少"),
    "few_beside": Words("withheld for another metric", "因另一指标不予显示"),
    "no_peers": Words("no peers: the middle", "无同行：按中位计"),
}
WITHHELD = Words("withheld", "不予显示")
COUNT = {
    "launches": Words("Mini-program launches", "小程序打开次数"),
    "content_views": Words("Life-account views", "生活号阅读次数"),
    "vouchers_received": Words("Vouchers received", "领取优惠券"),
    "vouchers_used": Words("Vouchers used", "核销优惠券"),
}
SLOT = {
    "search_box": Words("Search box", "搜索框"),
    "app_centre": Words("App centre", "应用中心"),
    "message_reminder": Words("Message reminder", "消息提醒"),
    "recommendation_card": Words("Recommendation card", "首页推荐卡"),
    "payment_success": Words("Payment success page", "支付成功页"),
    "life_channel": Words("Life channel", "生活频道"),
    "coupon_channel": Words("Coupon channel", "消费券频道"),
    "membership_channel": Words("Membership channel", "会员频道"),
    "paid_ad": Words("Paid advertisement", "付费广告"),
}
PROGRAMME = {
    "fanxing": Words("Fanxing", "繁星计划"),
    "luoma": Words("Luoma", "罗码计划"),
    "fuyou": Words("Fuyou", "扶优计划"),
    "chengfeng": Words("Chengfeng", "乘风计划"),
    "resource_pack": Words("Resource pack", "资源包"),
    "wufu": Words("Wufu", "集五福"),
    "traffic": Words("Traffic", "流量兑换"),
}
REQUEST = {
    "refused": Words("refused", "未通过"),
    "reserved": Words("running", "投放中"),
    "settled": Words("delivered", "已投放"),
    "voided": Words("given back", "已退回"),
}
REFUSAL = {
    "duplicate_request": Words("the number was used before for something else", "编号已用于其他请求"),
    "unknown_slot": Words("there is no such slot", "无此流量位"),
    "merchant_blocked": Words("the merchant may not redeem", "商家暂不可兑换"),
    "below_minimum": Words("below the least number of points", "低于最低点数"),
    "insufficient": Words("not enough usable points", "可用点数不足"),
    "slot_full": Words("the slot's day is full", "当日流量位已满"),
}
UNIT = {"POINT": Words("points", "点"), "IMPRESSION": Words("impressions", "次曝光")}
"""What an asset is counted in; FEN is money."""
CONDITION = {"at_least": Words("at least", "不低于"), "at_most": Words("at most", "不高于")}
SIGN = {"at_least": same("≥"), "at_most": same("≤")}
CEILING = Words("none: peers tie", "无：同行并列")
BENCHMARK = {
    "monthly": Words("frozen for the month", "按月冻结"),
    "bootstrap": Words("first benchmark of a young lake", "初始基准"),
    "last_frozen": Words("last frozen: this month has none of its own", "沿用上次冻结的基准（本月尚无）"),
}
CODE = {
    "earn": Words("earned", "获得"),
    "activate": Words("became usable", "转为可用"),
    "expire": Words("expired unused", "过期"),
    "fall": Words("taken back", "收回"),
    "debt": Words("owed", "记欠"),
    "repay": Words("debt repaid", "还欠"),
    "reserve": Words("reserved for traffic", "预留兑换"),
    "settle": Words("spent on traffic", "兑换流量"),
    "void": Words("given back", "退回"),
    "adjust": Words("adjusted", "调整"),
    "fund": Words("funded", "注资"),
}
_METRIC_NAME = {
    "c_dau": Words("Daily active users", "日活跃用户"),
    "c_wau": Words("Weekly active users", "7 天活跃用户"),
    "c_mau28": Words("Active users, 28 days", "28 天活跃用户"),
    "c_new_users": Words("New users", "新增用户"),
    "c_new_payers": Words("New paying users", "首次付款用户"),
    "c_reachable": Words("Reachable users", "可触达用户"),
    "c_net_reach_rate": Words("Growth of reach, 28 days", "28 天可触达用户净增率"),
    "c_growth_new": Words("New users", "新增用户"),
    "c_growth_retained": Words("Retained users", "留存用户"),
    "c_growth_resurrected": Words("Resurrected users", "回流用户"),
    "c_growth_churned": Words("Churned users", "流失用户"),
    "c_quick_ratio": Words("Quick ratio", "速动比"),
    "a_stickiness": Words("Stickiness (DAU / MAU)", "粘性（日活 / 28 天活跃）"),
    "a_l28": Words("Active days per user", "人均活跃天数"),
    "a_retention_d1": Words("Next-day retention", "次日留存率"),
    "a_retention_d7": Words("Retention after 7 days", "7 日留存率"),
    "a_retention_d28": Words("Retention after 28 days", "28 日留存率"),
    "a_return_rate": Words("Return rate", "回访率"),
    "a_engagement_rate": Words("Engaged share of viewers", "内容互动率"),
    "a_message_click_rate": Words("Message click rate", "消息点击率"),
    "a_content_to_service": Words("Viewers who go on to a service", "内容到服务转化率"),
    "a_pay_bind_rate": Words("First-time payers bound within 7 days", "支付后 7 日绑定率"),
    "r_gmv": Words("Paid amount (GMV)", "交易额"),
    "r_orders": Words("Orders", "订单数"),
    "r_payers": Words("Paying users", "付款用户"),
    "r_net_gmv": Words("Net paid amount", "净交易额"),
    "r_aov": Words("Average order value", "客单价"),
    "r_arpu": Words("Net amount per active user", "每活跃用户净交易额"),
    "r_pay_conversion": Words("Paying share of active users", "付款转化率"),
    "r_repurchase_90": Words("Repurchase rate, 90 days", "90 天复购率"),
    "r_realised_ratio": Words("Realised / expected spend", "潜力兑现率"),
    "r_voucher_use_rate": Words("Voucher use rate", "优惠券核销率"),
    "e_refund_rate": Words("Refund rate", "退款率"),
    "e_discount_rate": Words("Discount rate", "商家让利率"),
    "e_fee_rate": Words("Fee rate", "服务费率"),
    "e_private_share": Words("Private share of paid amount", "私域交易占比"),
    "e_public_conversion": Words("Orders per 1,000 public impressions", "公域千次曝光订单数"),
    "e_cost_per_new_payer": Words("Cost per new paying user", "首次付款用户获取成本"),
    "e_points_lift": Words("Lift by points", "积分流量增量"),
}
_METRIC_ABOUT_ZH = {
    "a_retention_d1": "首次活跃的用户中，次日再次活跃的占比。",
    "a_pay_bind_rate": "首日付款的新用户中，7 天内打开小程序、收藏、订阅、入会或关注者的占比。",
    "e_fee_rate": "服务费 / 交易额。",
    "c_mau28": "近 28 天内活跃过的用户数（去重）。",
    "c_new_users": "首次活跃落在窗口内的用户数。",
    "c_new_payers": "首次付款落在窗口内的用户数。",
    "a_stickiness": "28 天日均活跃用户 / 28 天活跃用户。",
    "a_return_rate": "近 28 天与此前 28 天均活跃的用户 / 此前 28 天活跃用户。",
    "r_arpu": "净交易额 / 28 天活跃用户。",
    "r_pay_conversion": "窗口内付款用户 / 活跃用户。",
    "r_repurchase_90": "90 天内有两个及以上付款日的用户 / 有付款的用户。",
    "e_refund_rate": "15 至 42 天前付款的订单：至今退款金额 / 付款金额。",
    "e_discount_rate": "商家承担的优惠 / 交易额。",
    "c_reachable": "当日末至少保有一种关系（关注、收藏、会员、订阅）的用户数。",
    "c_net_reach_rate": "可触达用户较 28 天前的净增 / 28 天前的可触达用户。",
    "c_quick_ratio": "（新增 + 回流）/ 流失；评分时取（新增 + 回流）/（新增 + 回流 + 流失）。",
    "a_retention_d7": "首次活跃后第 7 天再次活跃的用户占比。",
    "a_retention_d28": "首次活跃后第 28 天再次活跃的用户占比。",
    "a_engagement_rate": "浏览生活号内容且点赞、评论或分享的用户 / 浏览用户。",
    "a_message_click_rate": "收到消息且点击的用户 / 收到消息的用户。",
    "a_content_to_service": "浏览内容后进入小程序或点击优惠券的用户 / 浏览用户。",
    "r_realised_ratio": "老用户 28 天内的净消费 / 模型预期的消费。",
    "r_voucher_use_rate": "28 至 55 天前领取的券码中已核销的占比。",
    "e_private_share": "来自私域或线下扫码的交易额 / 来源已知的交易额。",
    "e_public_conversion": "八大公域位置每千次曝光带来的订单数。",
    "e_points_lift": "积分兑换流量的时段每千次机会带来的订单，减去随机留空时段的订单。",
    "e_cost_per_new_payer": "（商家承担的优惠 + 积分兑换流量的成本）/ 首次付款用户。",
}


def metric_name(metric_id: str) -> Words:
    """What people call the metric."""
    return _METRIC_NAME.get(metric_id, same(metric_id))


def metric_about(metric_id: str) -> Words:
    """The metric's definition in a sentence."""
    declared = METRIC_BY_ID.get(metric_id)
    text = declared.definition if declared else metric_id
    return Words(text, _METRIC_ABOUT_ZH.get(metric_id, text))
