"""What every jobs/core_*.py does: landing lines of one stream to rows with a fate."""

from collections.abc import Mapping
from datetime import timedelta

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.events.fate import ACCEPTED, REJECTED, judge
from ccare.events.forgotten import without_forgotten
from ccare.events.masking import masked, private
from ccare.events.parse import parse
from ccare.runtime.close import Close
from ccare.state.facts import FUTURE_DAYS
from ccare.tables import table
from ccare.tables.streams import Stream

TEN_DIGITS = 10_000_000_000
LOOKUP_DAYS = 31
"""An event id is looked for among rows of this many days: the late window and a day."""


def fates(inputs: Mapping[str, DataFrame], close: Close, stream: Stream) -> DataFrame:
    """Every line of ``inputs['landing']`` as a typed row with ``fate`` and ``reasons``.

    Reads ``inputs[stream.table]`` (rows taken before, where there are any) for ids and trades known already.
    """
    merchants = inputs.get("core_merchants") if stream.is_event else None
    # Judging reads the parsed rows several times; parsing and hashing them once is most of an ingest's cost.
    parsed = parse(inputs["landing"], stream, close.slots, close.timezone, merchants)
    if "core_forgotten" in inputs:
        parsed = without_forgotten(parsed, inputs["core_forgotten"], inputs["pads"], stream)
    parsed = parsed.persist()
    existing = inputs.get(stream.table) if stream.is_event else None
    if existing is not None:
        since = close.day - timedelta(days=LOOKUP_DAYS)
        names = ["event_id", "content_hash"]
        if stream.name == "payments":
            names += ["event_type", "merchant_id", "trade_no"]
        # A row is dated at most two days after the close that took it: older partitions need not be opened.
        taken = F.col("taken_on") >= F.lit(since - timedelta(days=FUTURE_DAYS))
        existing = existing.where(taken & (F.col("business_date") >= F.lit(since))).select(*names)
    return judge(parsed, stream, existing)


def accepted(rows: DataFrame, stream: Stream) -> DataFrame:
    """The accepted rows in the core table's columns."""
    return rows.where(F.col("fate") == ACCEPTED).select(*(F.col(f"`{name}`") for name in _delivered(stream)))


def _delivered(stream: Stream) -> list[str]:
    """The core table's columns that rows come with: merchants' valid_to follows from the record after it."""
    derived = {"valid_to"} - {field.name for field in stream.fields}
    return [name for name in table(stream.table).column_names if name not in derived]


def rejected(rows: DataFrame, stream: Stream) -> DataFrame:
    """The refused rows as core_rejected_events keeps them."""
    names = rows.columns
    merchant = F.col("merchant_id") if "merchant_id" in names else F.lit(None).cast("string")
    amount = F.col("amount_fen") if "amount_fen" in names else F.lit(None).cast("bigint")
    return rows.where(F.col("fate") == REJECTED).select(
        F.lit(stream.name).alias("stream"),
        "file_sha256",
        F.coalesce(F.sha2("value", 256), F.col("content_hash")).alias("row_digest"),
        "position",
        "reasons",
        F.coalesce(masked(F.col("value")), _told(rows, stream)).alias("payload"),
        F.when(~(F.array_contains("reasons", "bad_merchant_id") | private(merchant)), merchant).alias(
            "merchant_id"
        ),
        # A number of eleven digits may be a telephone's.
        F.when(amount < TEN_DIGITS, amount).alias("amount_fen"),
        "delivery_date",
        "taken_on",
    )


def _told(rows: DataFrame, stream: Stream) -> Column:
    """What a row says, for one that was sound alone and clashed with another: its line is not kept."""
    hidden = {"operator_id", "name"}
    names = [
        "event_id",
        "event_type",
        "merchant_id",
        *(f.name for f in stream.fields if f.name not in hidden),
    ]
    return F.to_json(F.struct(*(F.col(f"`{n}`") for n in names if n in rows.columns)))


def entity_state(before: DataFrame, new: DataFrame, stream: Stream) -> DataFrame:
    """Known entities and newly delivered ones: for each key the latest delivery stands.

    Merchants get valid_to, the day before their next valid_from.
    """
    names = [F.col(f"`{name}`") for name in _delivered(stream)]
    rows = before.select(*names).unionByName(new.select(*names))
    latest = Window.partitionBy(*stream.key).orderBy(F.desc("delivery_date"), F.desc("content_hash"))
    rows = rows.withColumn("_rank", F.row_number().over(latest)).where("_rank = 1").drop("_rank")
    if stream.name != "merchants":
        return rows
    following = F.lead("valid_from").over(Window.partitionBy("merchant_id").orderBy("valid_from"))
    return rows.withColumn("valid_to", F.date_sub(following, 1))
