"""What a merchant can do about a metric, and what reaching its target would bring."""

from dataclasses import dataclass

from ccare.exports.card_data import CardData, Driver
from ccare.exports.words import Words
from ccare.metrics.definitions import DIMENSIONS
from ccare.scoring.policy import ScoringPolicy

ACTIONS = 3
HOW = {
    "c_mau28": Words(
        "Give users a reason to open you between purchases: a members' day, a daily offer, fresh content.",
        "在两次购买之间给用户打开的理由：会员日、每日优惠、新内容。",
    ),
    "c_new_users": Words(
        "Put your mini-program code at the till, on tables and packages, and share it from the life account.",
        "在收银台、桌面和包装上放置小程序码，并在生活号中分享。",
    ),
    "c_new_payers": Words(
        "Offer a first-order voucher on the slots where new visitors arrive.",
        "在新访客进入的位置发放首单优惠券。",
    ),
    "c_reachable": Words(
        "Ask for a follow, a collect or a membership on the payment-success page.",
        "在支付成功页引导关注、收藏或入会。",
    ),
    "c_net_reach_rate": Words(
        "Win more followers and members than you lose: fewer, better-aimed messages keep them.",
        "让新增关注与会员多于流失：减少打扰、精准触达。",
    ),
    "c_quick_ratio": Words(
        "Win back users who stayed away for 28 days with a voucher that ends soon.",
        "用限时优惠券唤回 28 天未到访的用户。",
    ),
    "a_stickiness": Words(
        "Build a habit: a weekly card, a stamp for each visit, an offer that changes every day.",
        "培养习惯：周卡、到店集章、每日更新的优惠。",
    ),
    "a_return_rate": Words(
        "Remind last month's users before they drift off: a message in the third week works best early.",
        "在上月用户流失之前提醒：第三周发送一次消息。",
    ),
    "a_retention_d7": Words(
        "Greet new users within a week with a second-visit offer.",
        "一周内用二次到访优惠问候新用户。",
    ),
    "a_retention_d28": Words(
        "Give new users something to come back for after a month: membership points, a birthday offer.",
        "给新用户一个月后再来的理由：会员积分、生日礼。",
    ),
    "a_engagement_rate": Words(
        "Ask a question in each post; answer comments on the same day.",
        "每条内容提出一个问题，当天回复评论。",
    ),
    "a_message_click_rate": Words(
        "Send fewer messages, each with one clear offer, at the hour when your users pay.",
        "减少消息数量，每条只含一个明确优惠，在用户常付款的时段发送。",
    ),
    "a_content_to_service": Words(
        "Link every post and live show to the mini-program page that sells what it shows.",
        "每条内容和直播都挂载对应的小程序页面。",
    ),
    "a_pay_bind_rate": Words(
        "Show the mini-program, a collect gift or membership right after payment.",
        "支付后立即展示小程序、收藏有礼或入会入口。",
    ),
    "r_arpu": Words(
        "Bundle what is bought together and set free delivery just above the usual basket.",
        "组合常一起购买的商品，把免运费门槛设在客单价略上方。",
    ),
    "r_pay_conversion": Words(
        "Shorten the way from the first page to payment; show today's offer on the first page.",
        "缩短首页到支付的路径，在首页展示当日优惠。",
    ),
    "r_repurchase_90": Words(
        "Hand out a voucher for the next visit with each payment.",
        "每次付款后发放下次可用的优惠券。",
    ),
    "r_realised_ratio": Words(
        "Look after buyers who are late against their own rhythm: they are worth most.",
        "关注比自身节奏晚到的老客，他们价值最高。",
    ),
    "r_voucher_use_rate": Words(
        "Give fewer vouchers, with terms that fit a usual basket, and remind before they expire.",
        "减少发券，使用条件贴合客单价，并在到期前提醒。",
    ),
    "e_refund_rate": Words(
        "Find the goods behind most refunds and mend their description, stock or delivery.",
        "找出退款最多的商品，改进描述、库存或配送。",
    ),
    "e_discount_rate": Words(
        "Aim discounts at new and returning users instead of giving them to everyone.",
        "将优惠定向给新客与回流客，而非人人有份。",
    ),
    "e_private_share": Words(
        "Bring public visitors into the mini-program: collect, follow and membership on every page.",
        "把公域访客带入小程序：每页提供收藏、关注和入会。",
    ),
    "e_public_conversion": Words(
        "Match the landing page to the slot: what the picture offers is what opens.",
        "让落地页与投放位一致：图上是什么，打开就是什么。",
    ),
    "e_cost_per_new_payer": Words(
        "Move spend from slots that bring regulars to those that bring first payers.",
        "把投入从带来老客的位置转向带来新客的位置。",
    ),
}
_OTHER = Words("Bring it to its target.", "使其达到目标。")


@dataclass(frozen=True)
class Action:
    """One thing to do. ``gain``: points of the total where there is one (``of_total``), else of the dimension."""

    driver: Driver
    how: Words
    gain: float
    of_total: bool


def actions(data: CardData, policy: ScoringPolicy) -> tuple[Action, ...]:
    """The drivers whose target would bring most, all else unchanged; only those with a target to reach."""
    found = []
    for place, driver in enumerate(d for name in DIMENSIONS for d in data.drivers[name]):
        if driver.target is None or driver.place is None or driver.place >= policy.target_percentile:
            continue
        gain, of_total = _gain(data, driver, policy)
        found.append((-gain, place, Action(driver, HOW.get(driver.metric_id, _OTHER), gain, of_total)))
    return tuple(action for _, _, action in sorted(found, key=lambda f: f[:2])[:ACTIONS])


def _gain(data: CardData, driver: Driver, policy: ScoringPolicy) -> tuple[float, bool]:
    """The total is a weighted geometric mean, each score counted as at least 1: one factor changes."""
    more = driver.weight * (policy.target_percentile - (driver.place or 0.0))
    score, total = data.scores[f"{driver.dimension}_score"], data.scores["total_score"]
    if score is None or total is None:
        return more, False
    factor = max(score + more, 1.0) / max(score, 1.0)
    return total * (factor ** policy.dimensions[driver.dimension] - 1), True
