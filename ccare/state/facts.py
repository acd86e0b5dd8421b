"""Core rows of five streams as one shape: what each event adds to its merchant, user and business date."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.slots import SlotMap
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


def new_on(core: DataFrame, day: date, first_day: date) -> DataFrame:
    """Rows that count from ``day`` on: taken and dated by then, and not both before.

    At the first close everything taken by then is new.
    """
    counts_from = F.greatest(F.col("taken_on"), F.col("business_date"))
    since = first_day if day == first_day else day - timedelta(days=FUTURE_DAYS + 1)
    return core.where((F.col("taken_on") >= F.lit(since)) & (F.col("taken_on") <= F.lit(day))).where(
        counts_from == F.lit(day) if day != first_day else counts_from <= F.lit(day)
    )


def facts(cores: Mapping[str, DataFrame], day: date, first_day: date, slots: SlotMap) -> DataFrame:
    """One row for each new event: merchant_id, user_key, business_date, sums, words of bits, relation changes."""
    parts = [
        _shape(new_on(cores[name], day, first_day), name, slots)
        for name in sorted(_ALWAYS_ACTIVE)
        if name in cores
    ]
    return reduce(DataFrame.unionByName, parts)


def _shape(core: DataFrame, name: str, slots: SlotMap) -> DataFrame:
    kind = F.col("event_type")
    paid, refunded = (kind == "paid"), (kind == "refunded")
    payments = name == "core_payments"
    values: dict[str, Column] = {
        "events": F.lit(1),
        "active_events": _one(_qualifies(name)),
        "simulated_events": _one(F.col("origin") == "simulated"),
    }
    if payments:
        values |= {
            "orders": _one(paid),
            "gmv_fen": _if(paid, "amount_fen"),
            "refunds": _one(refunded),
            "refund_fen": _if(refunded, "amount_fen"),
        }
        for amount in ("merchant_discount_fen", "platform_discount_fen", "fee_fen"):
            values[amount] = _if(paid, amount)
        values |= {
            "public_orders": _one(paid & _slot().isin(*slots.public)),
            "private_gmv_fen": _if(paid & _slot().isin(*PRIVATE_SLOTS), "amount_fen"),
            "known_slot_gmv_fen": _if(paid & (_slot() != UNKNOWN), "amount_fen"),
        }
    if name == "core_mini_program_events":
        values["launches"] = _one(kind == "launch")
    if name == "core_life_account_events":
        values["content_views"] = _one(kind == "view")
    if name == "core_voucher_events":
        values |= {"vouchers_received": _one(kind == "received"), "vouchers_used": _one(kind == "used")}
    if name == "core_traffic_hours":
        values |= {"impressions": F.col("impressions"), "clicks": F.col("clicks")} | _served(slots)
    sums = [F.coalesce(values.get(c.name, F.lit(0)).cast("bigint"), F.lit(0)).alias(c.name) for c in SUMS]
    user = F.lit(None).cast("string") if name == "core_traffic_hours" else F.col("user_key")
    words = [_marks(name), _slot_steps(name), _tasks(name), _guided_terminal(name)]
    return core.select("merchant_id", user.alias("user_key"), "business_date", *sums, *words, *_changes(name))


def _slot() -> Column:
    return F.coalesce("slot", F.lit(UNKNOWN))


def _served(slots: SlotMap) -> dict[str, Column]:
    """Impressions that were served: those of a holdout hour are opportunities that were not."""
    served = F.coalesce(F.col("arm") != "holdout", F.lit(True))
    price = F.lit(slots.default_price)
    for slot, points in sorted(slots.prices.items()):
        price = F.when(_slot() == slot, points).otherwise(price)
    cost = F.col("impressions") * price * slots.point_cost_fen
    return {
        "public_impressions": _if(served & _slot().isin(*slots.public), "impressions"),
        "points_traffic_mfen": F.when(served & (F.col("source") == "points"), cost).otherwise(0),
    }


def _marks(name: str) -> Column:
    """The bits of MARKS that an event sets."""
    kind, word = F.col("event_type"), F.lit(0)
    for mark, kinds in _MARKED.get(name, {}).items():
        word = word.bitwiseOR(F.when(kind.isin(*kinds), 1 << MARKS.index(mark)).otherwise(0))
    if name == "core_mini_program_events":
        from_content = (kind == "launch") & (_slot() == "life_channel")
        word = word.bitwiseOR(F.when(from_content, 1 << MARKS.index("served")).otherwise(0))
    return word.cast("bigint").alias("marks")


def _tasks(name: str) -> Column:
    """The bits of TASKS that an event sets."""
    found = {task: F.col("event_type").isin(*kinds) for task, kinds in _TASKS.get(name, {}).items()}
    if name != "core_traffic_hours":
        found["private"] = _qualifies(name) & (_slot() == "private")
    if name in _GUIDED:
        found["guided"] = _guided(name)
    word = F.lit(0)
    for task, done in found.items():
        word = word.bitwiseOR(F.when(done, 1 << TASKS.index(task)).otherwise(0))
    return word.cast("bigint").alias("tasks")


_GUIDED = ("core_payments", "core_mini_program_events")
"""Tables whose events know a position and a terminal."""


def _guided(name: str) -> Column:
    """Whether an event that makes a day active came from an offline scan or a guide's position."""
    position = F.coalesce("promo_position", F.lit(""))
    return _qualifies(name) & ((_slot() == "offline_scan") | position.startswith(GUIDE))


def _guided_terminal(name: str) -> Column:
    terminal = F.when(_guided(name), F.col("terminal_id")) if name in _GUIDED else F.lit(None)
    return terminal.cast("string").alias("guided_terminal")


def _slot_steps(name: str) -> Column:
    """An event's step and all before it, at its slot's place."""
    if name == "core_traffic_hours":
        return F.lit(0).cast("bigint").alias("slot_steps")
    steps = F.when(_qualifies(name), _up_to("active")).otherwise(0)
    for kind, step in _STEPS.items():
        steps = F.when(F.col("event_type") == kind, _up_to(step)).otherwise(steps)
    place = F.lit(FUNNEL_SLOTS.index(UNKNOWN) * len(FUNNEL_STEPS))
    for at, slot in enumerate(FUNNEL_SLOTS):
        place = F.when(F.col("slot") == slot, at * len(FUNNEL_STEPS)).otherwise(place)
    return F.call_function("shiftleft", steps.cast("bigint"), place).alias("slot_steps")


def _up_to(step: str) -> int:
    return (2 << FUNNEL_STEPS.index(step)) - 1


def _qualifies(name: str) -> Column:
    kind = F.col("event_type")
    active = kind.isin(*_ALWAYS_ACTIVE[name]) if _ALWAYS_ACTIVE[name] else F.lit(False)
    if name == "core_mini_program_events":
        long_enough = F.col("stay_ms").isNull() | (F.col("stay_ms") >= PAGE_VIEW_MS)
        active = active | ((kind == "page_view") & long_enough)
    return active


def _changes(name: str) -> list[Column]:
    """For each relation a struct (at, event_id, on) where the event changes it: the greatest one is the last."""
    columns = []
    for relation, (on, off) in RELATIONS.items():
        change = F.lit(None).cast("struct<at:timestamp,event_id:string,on:boolean>")
        if _RELATION_TABLES[relation] == name:
            told = F.struct(
                F.col("occurred_at").alias("at"),
                F.col("event_id").alias("event_id"),
                (F.col("event_type") == on).alias("on"),
            )
            change = F.when(F.col("event_type").isin(on, off), told)
        columns.append(change.alias(f"_{relation}"))
    return columns


def _one(condition: Column) -> Column:
    return F.when(condition, 1).otherwise(0)


def _if(condition: Column, name: str) -> Column:
    return F.when(condition, F.col(name)).otherwise(0)
