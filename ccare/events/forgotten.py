"""Rows of users who were forgotten lose their user again when they are delivered again."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.pseudonym import FORGOTTEN, token
from ccare.tables.streams import Stream

FORGOTTEN_STAFF = "forgotten_staff"
"""The one user that all forgotten staff of a merchant become: their trades stay staff's and name nobody."""


def without_forgotten(parsed: DataFrame, forgotten: DataFrame, pads: DataFrame, stream: Stream) -> DataFrame:
    """Parsed rows with ``user_key`` taken out where core_forgotten holds its digest.

    ``content_hash`` stays as it was, so that a line taken before the forgetting is known as a duplicate. A forgotten
    user who is named as staff anew is refused: nothing is left to leave out of anything.
    """
    by_user = forgotten.groupBy("subject_digest").agg(
        F.bool_or(F.col("merchant_id").isNull()).alias("_everywhere"),
        F.collect_set("merchant_id").alias("_merchants"),
        F.collect_set(F.when(F.col("staff"), F.col("merchant_id"))).alias("_staff_of"),
    )
    columns = parsed.columns
    keyed = parsed.crossJoin(F.broadcast(pads))
    keyed = keyed.withColumn("subject_digest", token(F.col("user_key"), FORGOTTEN))
    joined = keyed.join(F.broadcast(by_user), "subject_digest", "left")
    hit = F.col("_everywhere") | F.array_contains("_merchants", F.col("merchant_id"))
    hit = F.coalesce(hit, F.lit(False))
    staff = F.array_contains("_staff_of", F.col("merchant_id"))
    told = joined.withColumn("user_key", F.when(~hit, F.col("user_key")).when(staff, F.lit(FORGOTTEN_STAFF)))
    if not stream.is_event:
        refused = F.concat(F.col("reasons"), F.array(F.lit("forgotten_user")))
        told = told.withColumn("reasons", F.when(hit & ~staff, refused).otherwise(F.col("reasons")))
    return told.select(*columns)


def renamed(
    rows: DataFrame, subject: DataFrame, merchant: str | None, staff_of: tuple[str, ...]
) -> DataFrame:
    """Stored rows with the subject's ``user_key`` taken out; ``subject``: one row, ``_subject``, the token."""
    name: Column = F.lit(None).cast("string")
    if staff_of:
        name = F.when(F.col("merchant_id").isin(*staff_of), F.lit(FORGOTTEN_STAFF))
    both = rows.crossJoin(F.broadcast(subject))
    told = F.when(is_subject(merchant), name).otherwise(F.col("user_key"))
    return both.withColumn("user_key", told).drop("_subject")


def is_subject(merchant: str | None) -> Column:
    """Whether a row beside ``_subject`` is the subject's, and of ``merchant`` where one is named."""
    same = F.coalesce(F.col("user_key") == F.col("_subject"), F.lit(False))
    return same if merchant is None else same & (F.col("merchant_id") == F.lit(merchant))
