"""Small counts of users are not shown: a page that leaves the house must not single anyone out."""

from dataclasses import dataclass

from ccare.exports.words import Words, same
from ccare.metrics.definitions import METRIC_BY_ID

MIN_USERS = 10
FEW = f"<{MIN_USERS}"
WITHHELD = Words("withheld", "不予显示")

_PARTS = {
    "a_stickiness": ("user days", "user days"),
    "a_l28": ("user days", "users"),
    "r_aov": ("fen", "trades"),
    "r_arpu": ("fen", "users"),
    "e_refund_rate": ("fen", "fen"),
    "e_discount_rate": ("fen", "fen"),
    "e_fee_rate": ("fen", "fen"),
    "c_net_reach_rate": ("users gained", "users"),
    "r_realised_ratio": ("fen", "fen"),
    "e_private_share": ("fen", "fen"),
    "e_public_conversion": ("trades x 1,000", "impressions"),
    "e_cost_per_new_payer": ("fen", "users"),
}
"""Units of numerator and denominator where they are not both users."""


@dataclass(frozen=True)
class Shown:
    """A driver's figures as a page may show them."""

    value: Words
    numerator: str
    denominator: str
    n: str


def money(amount_fen: float | int, currency: str) -> str:
    """Minor units as major ones with two decimals; an integer is exact."""
    if isinstance(amount_fen, int):
        whole, part = divmod(abs(amount_fen), 100)
        return f"{currency} {'-' if amount_fen < 0 else ''}{whole:,}.{part:02d}"
    return f"{currency} {amount_fen / 100:,.2f}"


def users(count: int) -> str:
    """A number of users."""
    return FEW if count < MIN_USERS else f"{count:,}"


def measure(metric_id: str, value: float, currency: str) -> str:
    """A metric's value, or its target, in its own unit."""
    unit = METRIC_BY_ID[metric_id].unit if metric_id in METRIC_BY_ID else ""
    if unit == "fen":
        return money(float(value), currency)
    if unit == "share":
        return f"{value * 100:.1f} %"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def show(
    metric_id: str,
    value: float | None,
    numerator: int | None,
    denominator: int | None,
    n: int | None,
    payers: int,
    currency: str,
) -> Shown:
    """Figures of one driver with small groups left out.

    A count of users below 10 is ``<10``. A rate on fewer than 10 users is withheld with its parts, as is
    a rate on orders of fewer than 10 paying users (``payers``). A rate whose numerator is ``<10`` users
    is a bound.
    """
    metric = METRIC_BY_ID.get(metric_id)
    if metric is None or value is None or not metric.is_ratio:
        return _count(metric_id, value, n, currency)
    units = _PARTS.get(metric_id, ("users", "users"))
    of_orders = "users" not in units and "user days" not in units
    behind = n or 0
    few = behind < MIN_USERS or (of_orders and payers < MIN_USERS)
    # A gain of a few users is as good as a list of them: the rate would give it away.
    few = few or ("users gained" in units and abs(numerator or 0) < MIN_USERS)
    parts = [_part(p, u, few, currency) for p, u in zip((numerator, denominator), units, strict=True)]
    counted = f"{behind:,}" if of_orders or not few else FEW
    if few:
        # With both parts shown the rate could be worked out again.
        return Shown(WITHHELD, "–" if "fen" in units else parts[0], parts[1], counted)
    if units == ("users", "users") and numerator is not None and numerator < MIN_USERS and denominator:
        return Shown(
            same("< " + measure(metric_id, MIN_USERS / denominator, currency)), parts[0], parts[1], counted
        )
    return Shown(same(measure(metric_id, value, currency)), parts[0], parts[1], counted)


def _count(metric_id: str, value: float | None, n: int | None, currency: str) -> Shown:
    if value is None:
        return Shown(Words("no data", "无数据"), "–", "–", "0")
    if metric_id in METRIC_BY_ID and METRIC_BY_ID[metric_id].unit == "users":
        text = users(int(value))
        return Shown(same(text), text, "–", text if n is not None else "–")
    text = measure(metric_id, value, currency)
    return Shown(same(text), text, "–", f"{n:,}" if n is not None else "–")


def _part(part: int | None, unit: str, few: bool, currency: str) -> str:
    if part is None:
        return "–"
    if unit == "fen":
        return money(part, currency)
    if few or (unit == "users" and part < MIN_USERS):
        return FEW if unit == "users" else "–"
    return f"{part:,}"
