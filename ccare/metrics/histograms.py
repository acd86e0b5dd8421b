"""Side tables of users counted by their facts: active days and stages."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.metrics.user_facts import AGAIN, MANY_PAID_DAYS, NO, fact
from ccare.metrics.windows import AsOf
from ccare.tables.metric import STAGES


def activity_days(facts: DataFrame, as_of: AsOf) -> DataFrame:
    """metric_user_facts -> metric_activity_days: users by their number of active days in W28."""
    days = facts.select("merchant_id", fact("active_days").alias("active_days"), "users")
    counted = (
        days.where("active_days > 0").groupBy("merchant_id", "active_days").agg(F.sum("users").alias("users"))
    )
    return counted.withColumn("as_of_date", F.lit(as_of.day))


def stages(facts: DataFrame, as_of: AsOf) -> DataFrame:
    """metric_user_facts -> metric_stages: users of each stage, all of a merchant's stages whether anybody is there."""
    known = facts.where(fact("known") == 1)
    sums = (F.sum(F.when(_stage() == stage, F.col("users")).otherwise(0)).alias(stage) for stage in STAGES)
    wide = known.groupBy("merchant_id").agg(*sums)
    cells = F.explode(F.array(*(F.struct(F.lit(s).alias("stage"), F.col(s).alias("users")) for s in STAGES)))
    return wide.select("merchant_id", F.lit(as_of.day).alias("as_of_date"), cells.alias("cell")).select(
        "merchant_id", "as_of_date", "cell.*"
    )


def _stage() -> Column:
    gone = fact("active_days") == 0
    return (
        F.when(fact("seen") == 0, "reached")
        .when(gone & (fact("before") == 1), "at_risk")
        .when(gone, "dormant")
        .when(fact("paid_days_90") >= MANY_PAID_DAYS, "loyal")
        .when(fact("lifetime") == AGAIN, "repeat")
        .when(fact("lifetime") == NO, "visited")
        .otherwise("paid")
    )
