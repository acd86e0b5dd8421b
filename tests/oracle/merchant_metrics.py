"""Metrics recomputed from plain facts in plain Python, straight from their definitions.

Knows nothing of bit words, state tables or Spark: users are sets of active and paid dates.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta


@dataclass
class World:
    """What happened: days of users, trades, refunds, relations, who is staff, who is a merchant."""

    merchants: dict[str, tuple[date, date | None, str]] = field(default_factory=dict)
    active: dict[tuple[str, str], set[date]] = field(default_factory=lambda: defaultdict(set))
    paid: dict[tuple[str, str], set[date]] = field(default_factory=lambda: defaultdict(set))
    trades: list[tuple[str, date, int, int, int]] = field(default_factory=list)  # amount, discount, fee
    refunds: list[tuple[str, date, date, int]] = field(default_factory=list)  # paid, refunded, amount
    reachable: set[tuple[str, str]] = field(default_factory=set)
    staff: set[tuple[str, str]] = field(default_factory=set)


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def metrics(world: World, d: date) -> dict[str, dict[str, float | int | str | None]]:
    """merchant_id -> metric columns as of ``d``."""
    return {name: _merchant(world, name, d) for name in world.merchants if _present(world, name, d)}


def _present(world: World, name: str, d: date) -> bool:
    start, end, _ = world.merchants[name]
    valid = start <= d and (end is None or end >= d)
    days = [day for (m, _), days in world.active.items() if m == name for day in days]
    days += [day for m, day, *_ in world.trades if m == name]
    return valid or any(day <= d for day in days)


def _merchant(world: World, name: str, d: date) -> dict[str, float | int | str | None]:
    w28 = {d - timedelta(days=i) for i in range(28)}
    p28 = {d - timedelta(days=i) for i in range(28, 56)}
    last90 = {d - timedelta(days=i) for i in range(90)}
    matured = {d - timedelta(days=i) for i in range(15, 43)}

    def users(days: dict[tuple[str, str], set[date]]) -> list[set[date]]:
        mine = (v for (m, u), v in days.items() if m == name and (m, u) not in world.staff)
        return [{day for day in v if day <= d} for v in mine]

    active, paid = [v for v in users(world.active) if v], [v for v in users(world.paid) if v]
    now, before = [v for v in active if v & w28], [v for v in active if v & p28]
    new = [v for v in active if min(v) in w28]
    retained = [v for v in now if v & p28]
    resurrected = [v for v in now if not v & p28 and min(v) < min(w28)]
    churned = [v for v in before if not v & w28]
    dau_sum = sum(sum(day in v for v in active) for day in w28)
    payers = [v for v in paid if v & w28]
    buyers90 = [v for v in paid if v & last90]
    trades = [t for t in world.trades if t[0] == name]
    month, old = [t for t in trades if t[1] in w28], [t for t in trades if t[1] in matured]
    gmv, discount, fee = (sum(t[i] for t in month) for i in (2, 3, 4))
    back = sum(r[3] for r in world.refunds if r[0] == name and r[2] in w28)
    old_gmv = sum(t[2] for t in old)
    old_back = sum(r[3] for r in world.refunds if r[0] == name and r[1] in matured and r[2] <= d)
    mau = len(now)
    return {
        "industry": world.merchants[name][2] if world.merchants[name][0] <= d else None,
        "c_dau": sum(d in v for v in active),
        "c_wau": sum(any(d - timedelta(days=i) in v for i in range(7)) for v in active),
        "c_mau28": mau,
        "c_new_users": len(new),
        "c_new_payers": sum(min(v) in w28 for v in paid),
        "c_reachable": sum(m == name and (m, u) not in world.staff for m, u in world.reachable),
        "c_growth_new": len(new),
        "c_growth_retained": len(retained),
        "c_growth_resurrected": len(resurrected),
        "c_growth_churned": len(churned),
        "c_quick_ratio": _ratio(len(new) + len(resurrected), len(churned)),
        "a_stickiness": _ratio(dau_sum, 28 * mau),
        "a_l28": _ratio(dau_sum, mau),
        "a_return_rate": _ratio(len(retained), len(before)),
        "r_gmv": gmv,
        "r_orders": len(month),
        "r_payers": len(payers),
        "r_net_gmv": gmv - back,
        "r_aov": _ratio(gmv, len(month)),
        "r_arpu": _ratio(gmv - back, mau),
        "r_pay_conversion": _ratio(len(payers), mau),
        "r_repurchase_90": _ratio(sum(len(v & last90) >= 2 for v in buyers90), len(buyers90)),
        "e_refund_rate": _ratio(old_back, old_gmv),
        "e_refund_rate_orders": len(old),
        "e_discount_rate": _ratio(discount, gmv),
        "e_fee_rate": _ratio(fee, gmv),
    }
