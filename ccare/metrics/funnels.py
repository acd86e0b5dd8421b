"""Funnels by slot: the furthest step of each user in 7 days, and the traffic that nobody is known for."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.windows import AsOf
from ccare.state.facts import FUTURE_DAYS, UNKNOWN
from ccare.tables.state import FUNNEL_SLOTS, FUNNEL_STEPS

DAYS = 7
_STEPS = len(FUNNEL_STEPS)


def funnels(days: DataFrame, staff: DataFrame, traffic: DataFrame, as_of: AsOf) -> DataFrame:
    """state_user_days, core_staff, core_traffic_hours -> metric_funnels."""
    both = _users(days, staff, as_of).unionByName(_traffic(traffic, as_of), allowMissingColumns=True)
    names = [name for name in both.columns if name not in ("merchant_id", "slot")]
    slots = both.groupBy("merchant_id", "slot").agg(*(F.sum(name).alias(name) for name in names))
    cells = []
    for at, step in enumerate(FUNNEL_STEPS):
        told = {"impression": F.coalesce("impressions", F.lit(0)), "click": F.coalesce("clicks", F.lit(0))}
        cells.append(
            F.struct(
                F.lit(step).alias("step"),
                F.lit(at + 1).cast("bigint").alias("step_number"),
                F.coalesce(step, F.lit(0)).cast("bigint").alias("users"),
                told.get(step, F.lit(None)).cast("bigint").alias("traffic"),
            )
        )
    rows = slots.select("merchant_id", "slot", F.explode(F.array(*cells)).alias("cell"))
    return rows.select("merchant_id", F.lit(as_of.day).alias("as_of_date"), "slot", "cell.*")


def _users(days: DataFrame, staff: DataFrame, as_of: AsOf) -> DataFrame:
    """Users of each merchant and slot by step, a column each: counted by their words, which few users differ in."""
    pairs = staff.where(F.col("taken_on") <= F.lit(as_of.day)).select("merchant_id", "user_key")
    recent = days.where(as_of.within(F.col("business_date"), DAYS - 1))
    people = recent.where((F.col("slot_steps") != 0) & F.col("user_key").isNotNull())
    people = people.join(F.broadcast(pairs), ["merchant_id", "user_key"], "left_anti")
    words = people.groupBy("merchant_id", "user_key").agg(F.bit_or("slot_steps").alias("word"))
    counted = words.groupBy("merchant_id", "word").agg(F.count("*").alias("users"))
    slots = F.explode(F.array(*(_of_slot(at) for at in range(len(FUNNEL_SLOTS)))))
    told = counted.select("merchant_id", "users", slots.alias("s")).where(F.col("s.steps") != 0)
    return told.groupBy("merchant_id", F.col("s.slot").alias("slot")).agg(
        *(
            F.sum(F.when(F.col("s.steps").bitwiseAND(1 << at) != 0, F.col("users")).otherwise(0)).alias(step)
            for at, step in enumerate(FUNNEL_STEPS)
        )
    )


def _of_slot(at: int) -> Column:
    steps = F.shiftrightunsigned("word", at * _STEPS).bitwiseAND((1 << _STEPS) - 1)
    return F.struct(F.lit(FUNNEL_SLOTS[at]).alias("slot"), steps.alias("steps"))


def _traffic(traffic: DataFrame, as_of: AsOf) -> DataFrame:
    """A row was taken after its hour, or FUTURE_DAYS before at most: older partitions hold none of the window."""
    since = as_of.back(DAYS - 1) - timedelta(days=FUTURE_DAYS)
    taken = F.col("taken_on").between(F.lit(since), F.lit(as_of.day))
    served = F.coalesce(F.col("arm") != "holdout", F.lit(True))
    rows = traffic.where(taken & as_of.within(F.col("business_date"), DAYS - 1) & served)
    slot = F.when(F.col("slot").isin(*FUNNEL_SLOTS), F.col("slot")).otherwise(UNKNOWN)
    return rows.groupBy("merchant_id", slot.alias("slot")).agg(
        F.sum("impressions").alias("impressions"), F.sum("clicks").alias("clicks")
    )
