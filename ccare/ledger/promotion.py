"""Daily promotion: what a slot's next day has left over is given to enrolled merchants, for nothing."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger.frames import product, quotient
from ccare.ledger.redemptions import RESERVED, Row
from ccare.ledger.touched import Inputs

if TYPE_CHECKING:
    from ccare.events.slots import SlotMap
    from ccare.runtime.close import Close


def spare(decided: Iterable[Row], slots: "SlotMap") -> dict[str, int]:
    """Slot -> impressions of the next day that no request took; slots that are not sold have none."""
    sold: dict[str, int] = defaultdict(int)
    for row in decided:
        if row["status"] == RESERVED:
            sold[row["slot"]] += row["impressions"]
    capacity = slots.redemption.capacity
    return {slot: capacity - sold[slot] for slot in sorted(slots.public) if slots.price(slot)}


def promote(inputs: Inputs, decided: Iterable[Row], close: "Close") -> dict[str, DataFrame]:
    """ledger_promotions for the day after the close: spare impressions in proportion to activity_score.

    By largest remainder over tenths of the score, ties by merchant_id; who is not enrolled then, has no activity score
    or may not redeem has no share. ``decided``: ledger_requests rows of this close. Nothing where nobody is enrolled.
    """
    terms, left = close.slots.promotion, spare(decided, close.slots)
    if terms is None or not any(left.values()):
        return {}
    runs_on = F.lit(close.day + timedelta(days=1))
    enrolled = inputs["core_enrolments"].filter(
        (F.col("programme") == terms.programme)
        & (F.col("taken_on") <= F.lit(close.day))
        & (F.col("from") <= runs_on)
        & (F.col("to").isNull() | (F.col("to") >= runs_on))
    )
    if enrolled.isEmpty():
        return {}
    blocked = close.slots.redemption.blocked_merchants
    scored = inputs["score_merchants"].filter(
        (F.col("as_of_date") == F.lit(close.day))
        & (F.col("activity_score") > 0)
        & ~F.col("merchant_id").isin(*blocked)
    )
    parties = enrolled.select(F.col("party").alias("merchant_id"))
    mine = scored.join(F.broadcast(parties), "merchant_id", "left_semi")
    shared = _shared(mine.select("merchant_id", "activity_score"), left)
    return {"ledger_promotions": shared.withColumns({"runs_on": runs_on, "decided_on": F.lit(close.day)})}


def _shared(merchants: DataFrame, left: Mapping[str, int]) -> DataFrame:
    slots = F.array(
        *(
            F.struct(F.lit(slot).alias("slot"), F.lit(n).cast("bigint").alias("left"))
            for slot, n in left.items()
        )
    )
    weight = F.rint(F.col("activity_score") * 10).cast("bigint")
    rows = merchants.select("merchant_id", "activity_score", weight.alias("weight"), F.inline(slots))
    of_slot = Window.partitionBy("slot")
    whole = F.sum("weight").over(of_slot).cast("decimal(38,0)")
    wanted = product(F.col("weight"), F.col("left"))
    rows = rows.withColumns({"base": quotient(wanted, whole), "remainder": wanted % whole})
    place = F.row_number().over(of_slot.orderBy(F.desc("remainder"), "merchant_id"))
    rows = rows.withColumns({"place": place, "over": F.col("left") - F.sum("base").over(of_slot)})
    given = F.col("base") + (F.col("place") <= F.col("over")).cast("int")
    return rows.withColumn("impressions", given).filter(F.col("impressions") > 0)
