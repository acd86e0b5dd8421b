"""A, activity: how often users come, whether they come again, and what they do with what they are shown."""

from ccare.metrics.model import Metric

SCORED_AGES = (7, 28)
"""Next-day retention is shown: it says more of the weekday than of the merchant."""


def _retention(age: int) -> Metric:
    return Metric(
        f"a_retention_d{age}",
        "activity",
        f"Of users whose first active day c is in [d-{age + 27}, d-{age}], the share active on c + {age}.",
        "share",
        age + 28,
        "Calendar days of the business time zone; every cohort in it is mature.",
        is_ratio=True,
        scoring="identity" if age in SCORED_AGES else "",
        population=f"a_retention_d{age}_den",
    )


ACTIVITY = (
    Metric(
        "a_stickiness",
        "activity",
        "Mean daily active users over W28 / users active in W28.",
        "share",
        28,
        is_ratio=True,
        scoring="identity",
        population="c_mau28",
        fixed_k=20,
    ),
    Metric(
        "a_l28",
        "activity",
        "Active days per active user in W28.",
        "days",
        28,
        "28 x stickiness; its histogram is metric_activity_days.",
        is_ratio=True,
    ),
    *(_retention(age) for age in (1, 7, 28)),
    Metric(
        "a_return_rate",
        "activity",
        "Users active in W28 and in the 28 days before / users active in the 28 days before.",
        "share",
        56,
        is_ratio=True,
        scoring="identity",
        population="a_return_rate_den",
    ),
    Metric(
        "a_engagement_rate",
        "activity",
        "Users who view and also like, comment or share in the life account / users who view, both in W28.",
        "share",
        28,
        "A like without a view counts in neither.",
        is_ratio=True,
        scoring="identity",
        population="a_engagement_rate_den",
    ),
    Metric(
        "a_message_click_rate",
        "activity",
        "Users to whom a message was delivered and who click one / users to whom one was delivered, in W28.",
        "share",
        28,
        "A click without a delivery in the window counts in neither.",
        is_ratio=True,
        scoring="identity",
        population="a_message_click_rate_den",
    ),
    Metric(
        "a_content_to_service",
        "activity",
        "Life-account viewers who also have a mini_program_click, a voucher_click or a launch from the life "
        "channel / viewers, both in W28.",
        "share",
        28,
        "In any order within the window.",
        is_ratio=True,
        scoring="identity",
        population="a_content_to_service_den",
    ),
    Metric(
        "a_pay_bind_rate",
        "activity",
        "Of users whose first active day c is in [d-34, d-7] and had a paid event: the share with a launch, "
        "collect, subscribe, member_join or follow in [c, c + 7].",
        "share",
        35,
        "The paid event is on c itself: payment is what brought the user.",
        is_ratio=True,
        population="a_pay_bind_rate_den",
    ),
)
