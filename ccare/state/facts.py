"""Core rows of five streams as one shape: what each event adds to its merchant, user and business date."""

from collections.abc import Iterable
from datetime import date, timedelta

from ccare.events.slots import SlotMap
from ccare.growth.snapshot import date_sql, quoted
from ccare.state.folds import CHANGE
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS, MARKS, RELATIONS, SUMS, TASKS

PAGE_VIEW_MS = 1000
_ALWAYS_ACTIVE = {
    "core_payments": ("paid",),
    "core_mini_program_events": (
        "launch",
        "item_view",
        "order_submit",
        "message_click",
        "share",
        "collect",
        "subscribe",
        "member_join",
    ),
    "core_life_account_events": (
        "follow",
        "view",
        "like",
        "comment",
        "share",
        "live_enter",
        "voucher_click",
        "mini_program_click",
    ),
    "core_voucher_events": ("received", "used"),
    "core_traffic_hours": (),
}
"""Events that make a day active, but page_view, which must have lasted a second where its length is known."""
_RELATION_TABLES = {
    "follow": "core_life_account_events",
    "collect": "core_mini_program_events",
    "member": "core_mini_program_events",
    "subscription": "core_mini_program_events",
}
_MARKED = {
    "core_mini_program_events": {
        "delivered": ("message_delivered",),
        "clicked": ("message_click",),
        "bound": ("launch", "collect", "subscribe", "member_join"),
    },
    "core_life_account_events": {
        "viewed": ("view",),
        "engaged": ("like", "comment", "share"),
        "served": ("mini_program_click", "voucher_click"),
        "bound": ("follow",),
    },
}
_TASKS = {
    "core_mini_program_events": {"joined": ("member_join",)},
    "core_life_account_events": {"followed": ("follow",)},
}
GUIDE = "guide:"
"""What a promo position begins with where somebody guided the visit."""
_STEPS = {
    "expose": "impression",
    "message_delivered": "impression",
    "message_click": "click",
    "voucher_click": "click",
    "mini_program_click": "click",
    "order_submit": "order",
    "paid": "pay",
}
"""Event -> step of its slot's funnel; any other event that makes a day active is the step active."""
PRIVATE_SLOTS = ("private", "offline_scan")
UNKNOWN = "unknown"
FUTURE_DAYS = 2
"""A row can be dated this many days after the close that took it (deliveries run a day ahead of the close)."""


def new_on(name: str, day: date, first_day: date) -> str:
    """Rows of a core table that count from ``day`` on: taken and dated by then, and not both before.

    At the first close everything taken by then is new.
    """
    counts_from, closed = "greatest(taken_on, business_date)", date_sql(day)
    if day == first_day:
        return f"select * from {name} where {counts_from} <= {closed}"
    # By taken_on alone, too: that is what files are left out by.
    since = date_sql(day - timedelta(days=FUTURE_DAYS + 1))
    return f"select * from {name} where taken_on between {since} and {closed} and {counts_from} = {closed}"


def facts(day: date, first_day: date, slots: SlotMap) -> str:
    """One row for each new event: merchant_id, user_key, business_date, sums, words of bits, relation changes."""
    return "\nunion all\n".join(
        _shape(name, new_on(name, day, first_day), slots) for name in sorted(_ALWAYS_ACTIVE)
    )


def _shape(name: str, core: str, slots: SlotMap) -> str:
    values = _sums(name, slots)
    sums = (f"coalesce(({values.get(c.name, '0')})::bigint, 0) as {c.name}" for c in SUMS)
    user = "null::varchar" if name == "core_traffic_hours" else "user_key"
    words = {
        "marks": _marks(name),
        "slot_steps": _slot_steps(name),
        "tasks": _tasks(name),
        "guided_terminal": _guided_terminal(name),
    }
    told = (*sums, *(f"{sql} as {word}" for word, sql in words.items()), *_changes(name))
    return f"select merchant_id, {user} as user_key, business_date, {', '.join(told)} from ({core})"


def _sums(name: str, slots: SlotMap) -> dict[str, str]:
    """What an event adds to each sum that is not 0."""
    values = {
        "events": "1",
        "active_events": _one(_qualifies(name)),
        "simulated_events": _one("origin = 'simulated'"),
    }
    if name == "core_payments":
        paid, refunded = "event_type = 'paid'", "event_type = 'refunded'"
        values |= {
            "orders": _one(paid),
            "gmv_fen": _if(paid, "amount_fen"),
            "refunds": _one(refunded),
            "refund_fen": _if(refunded, "amount_fen"),
            "public_orders": _one(f"{paid} and {_in(_SLOT, slots.public)}"),
            "private_gmv_fen": _if(f"{paid} and {_in(_SLOT, PRIVATE_SLOTS)}", "amount_fen"),
            "known_slot_gmv_fen": _if(f"{paid} and {_SLOT} <> {quoted(UNKNOWN)}", "amount_fen"),
        }
        for amount in ("merchant_discount_fen", "platform_discount_fen", "fee_fen"):
            values[amount] = _if(paid, amount)
    if name == "core_mini_program_events":
        values["launches"] = _one("event_type = 'launch'")
    if name == "core_life_account_events":
        values["content_views"] = _one("event_type = 'view'")
    if name == "core_voucher_events":
        values |= {
            "vouchers_received": _one("event_type = 'received'"),
            "vouchers_used": _one("event_type = 'used'"),
        }
    if name == "core_traffic_hours":
        values |= {"impressions": "impressions", "clicks": "clicks"} | _served(slots)
    return values


_SLOT = f"coalesce(slot, {quoted(UNKNOWN)})"


def _served(slots: SlotMap) -> dict[str, str]:
    """Impressions that were served: those of a holdout hour are opportunities that were not."""
    served = "coalesce(arm <> 'holdout', true)"
    prices = "".join(f" when {quoted(slot)} then {points}" for slot, points in sorted(slots.prices.items()))
    price = f"case {_SLOT}{prices} else {slots.default_price} end" if prices else f"{slots.default_price}"
    cost = f"impressions * ({price})::bigint * {slots.point_cost_fen}"
    return {
        "public_impressions": _if(f"{served} and {_in(_SLOT, slots.public)}", "impressions"),
        "points_traffic_mfen": _if(f"{served} and source = 'points'", cost),
    }


def _marks(name: str) -> str:
    """The bits of MARKS that an event sets."""
    found = {mark: _in("event_type", kinds) for mark, kinds in _MARKED.get(name, {}).items()}
    if name == "core_mini_program_events":
        found["served"] = f"event_type = 'launch' and {_SLOT} = 'life_channel'"
    return _word(found, MARKS)


def _tasks(name: str) -> str:
    """The bits of TASKS that an event sets."""
    found = {task: _in("event_type", kinds) for task, kinds in _TASKS.get(name, {}).items()}
    if name != "core_traffic_hours":
        found["private"] = f"{_qualifies(name)} and {_SLOT} = 'private'"
    if name in _GUIDED:
        found["guided"] = _guided(name)
    return _word(found, TASKS)


def _word(found: dict[str, str], names: tuple[str, ...]) -> str:
    bits = (f"case when {did} then {1 << names.index(name)} else 0 end" for name, did in found.items())
    return f"({' | '.join(f'({bit})' for bit in bits) or '0'})::bigint"


_GUIDED = ("core_payments", "core_mini_program_events")
"""Tables whose events know a position and a terminal."""


def _guided(name: str) -> str:
    """Whether an event that makes a day active came from an offline scan or a guide's position."""
    position = f"starts_with(coalesce(promo_position, ''), {quoted(GUIDE)})"
    return f"{_qualifies(name)} and ({_SLOT} = 'offline_scan' or {position})"


def _guided_terminal(name: str) -> str:
    if name not in _GUIDED:
        return "null::varchar"
    return f"case when {_guided(name)} then terminal_id end"


def _slot_steps(name: str) -> str:
    """An event's step and all before it, at its slot's place."""
    if name == "core_traffic_hours":
        return "0::bigint"
    steps = " ".join(f"when {quoted(kind)} then {_up_to(step)}" for kind, step in _STEPS.items())
    active = f"case when {_qualifies(name)} then {_up_to('active')} else 0 end"
    places = " ".join(
        f"when {quoted(slot)} then {at * len(FUNNEL_STEPS)}" for at, slot in enumerate(FUNNEL_SLOTS)
    )
    other = FUNNEL_SLOTS.index(UNKNOWN) * len(FUNNEL_STEPS)
    step = f"case event_type {steps} else {active} end"
    return f"(({step})::bigint << (case slot {places} else {other} end))"


def _up_to(step: str) -> int:
    return (2 << FUNNEL_STEPS.index(step)) - 1


def _qualifies(name: str) -> str:
    active = _in("event_type", _ALWAYS_ACTIVE[name])
    if name == "core_mini_program_events":
        long_enough = f"(stay_ms is null or stay_ms >= {PAGE_VIEW_MS})"
        active = f"{active} or (event_type = 'page_view' and {long_enough})"
    return f"({active})"


def _changes(name: str) -> Iterable[str]:
    """For each relation a struct (at, event_id, on) where the event changes it: the greatest one is the last."""
    for relation, (on, off) in RELATIONS.items():
        change = f"null::{CHANGE}"
        if _RELATION_TABLES[relation] == name:
            told = f"{{'at': occurred_at, 'event_id': event_id, 'on': event_type = {quoted(on)}}}"
            change = f"case when {_in('event_type', (on, off))} then {told} end"
        yield f"{change} as {relation}_change"


def _in(value: str, names: Iterable[str]) -> str:
    told = ", ".join(map(quoted, names))
    return f"{value} in ({told})" if told else "false"


def _one(condition: str) -> str:
    return f"case when {condition} then 1 else 0 end"


def _if(condition: str, value: str) -> str:
    return f"case when {condition} then {value} else 0 end"
