"""What every jobs/core_*.py does: landing lines of one stream to rows with a fate."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.events.bill_payments import without_bill_trades
from ccare.events.fate import ACCEPTED, REJECTED, SHARED, judge
from ccare.events.forgotten import without_forgotten
from ccare.events.masking import masked, private
from ccare.events.parse import parse
from ccare.events.read import Layout
from ccare.events.rules import with_helpers
from ccare.runtime.close import Close
from ccare.state.facts import FUTURE_DAYS
from ccare.tables import table
from ccare.tables.streams import Stream

TEN_DIGITS = 10_000_000_000
LOOKUP_DAYS = 31
"""An event id is looked for among rows of this many days: the late window and a day."""


def fates(
    inputs: Mapping[str, DataFrame], close: Close, stream: Stream, off: Collection[str] = ()
) -> DataFrame:
    """Every line of ``inputs['landing']`` and ``inputs['landing_csv']`` as a typed row with ``fate`` and ``reasons``.

    Where the harness has parsed them already they are ``inputs['parsed']``. Reads ``inputs[stream.table]`` (rows taken
    before, where there are any) for ids and trades known already. Rules in ``off`` refuse nothing, which shows what
    the gate does alone.
    """
    # Judging reads the parsed rows several times, and each time their plan, with forty columns in ten layers, would
    # be looked through for what is cached. A checkpoint keeps the rows and forgets the plan.
    rows = inputs["parsed"] if "parsed" in inputs else parsed(inputs, close, stream, off).localCheckpoint()
    return judge(rows, stream, _taken_before(inputs, close, stream), off)


def parsed(
    inputs: Mapping[str, DataFrame],
    close: Close,
    stream: Stream,
    off: Collection[str] = (),
    layouts: Sequence[Layout] = (),
) -> DataFrame:
    """Every line as a typed row with the reasons against it alone; who was forgotten is taken out.

    ``inputs['bill_trades']``: trades that came from bills, of which no payments event is taken any more. ``layouts``:
    orders of fields that many lines have (ccare.runtime.layouts).
    """
    merchants = inputs.get("core_merchants") if stream.is_event else None
    lines = [inputs[name] for name in ("landing", "landing_csv") if name in inputs]
    frames = [parse(each, stream, close.slots, close.timezone, merchants, off, layouts) for each in lines]
    rows = reduce(DataFrame.unionByName, frames)
    if "bill_trades" in inputs and "duplicate_trade" not in off:
        rows = without_bill_trades(rows, inputs["bill_trades"])
    if "core_forgotten" in inputs:
        return without_forgotten(rows, inputs["core_forgotten"], inputs["pads"], stream)
    return rows


def _taken_before(inputs: Mapping[str, DataFrame], close: Close, stream: Stream) -> DataFrame | None:
    existing = inputs.get(stream.table) if stream.is_event else None
    if existing is None:
        return None
    taken, dated = lookup_since(close)
    names = ["event_id", "content_hash"]
    if stream.name == "payments":
        names += ["event_type", "merchant_id", "trade_no"]
    recent = (F.col("taken_on") >= F.lit(taken)) & (F.col("business_date") >= F.lit(dated))
    return existing.where(recent).select(*names)


def lookup_since(close: Close) -> tuple[date, date]:
    """From which taken_on and which business_date on an event id is looked for among rows taken before.

    A row is dated at most two days after the close that took it: older partitions need not be opened.
    """
    dated = close.day - timedelta(days=LOOKUP_DAYS)
    return dated - timedelta(days=FUTURE_DAYS), dated


def accepted(rows: DataFrame, stream: Stream) -> DataFrame:
    """The accepted rows in the core table's columns."""
    return rows.where(F.col("fate") == ACCEPTED).select(*(F.col(f"`{name}`") for name in delivered(stream)))


def delivered(stream: Stream) -> list[str]:
    """The core table's columns that rows come with: merchants' valid_to follows from the record after it."""
    derived = {"valid_to"} - {field.name for field in stream.fields}
    return [name for name in table(stream.table).column_names if name not in derived]


def gated(rows: DataFrame, stream: Stream, timezone: str) -> DataFrame:
    """The accepted rows with the helper columns that their gate looks at."""
    return with_helpers(rows.where(F.col("fate") == ACCEPTED), stream, timezone)


def sharing(rows: DataFrame, inputs: Mapping[str, DataFrame], close: Close, stream: Stream) -> DataFrame:
    """event_id and trade (of payments paid) of accepted rows that share one, with the rows taken before that do."""
    shared = _keys(rows.where((F.col("fate") == ACCEPTED) & F.col(SHARED)), stream)
    before = _taken_before(inputs, close, stream)
    if before is None:
        return shared
    met = _keys(before, stream)
    by_id = met.join(F.broadcast(shared.select("event_id")), "event_id", "left_semi")
    if stream.name != "payments":
        return shared.unionByName(by_id)
    # Each key is put beside its like only: a row met by both would otherwise stand twice.
    by_trade = met.join(F.broadcast(shared.select("trade").where("trade is not null")), "trade", "left_semi")
    nothing = F.lit(None).cast("string")
    return (
        shared.unionByName(by_id.withColumn("trade", nothing))
        .unionByName(by_trade.withColumn("event_id", nothing))
        .select("event_id", "trade")
    )


def _keys(rows: DataFrame, stream: Stream) -> DataFrame:
    if stream.name != "payments":
        return rows.select("event_id")
    trade = F.when(F.col("event_type") == "paid", F.concat_ws("\u001f", "merchant_id", "trade_no"))
    return rows.select("event_id", trade.alias("trade"))


def rejected(rows: DataFrame, stream: Stream) -> DataFrame:
    """The refused rows as core_rejected_events keeps them."""
    refused = rows.where(F.col("fate") == REJECTED)
    return refused.select(*refusal(rows, stream), "file_sha256", "position", "delivery_date", "taken_on")


def refusal(rows: DataFrame, stream: Stream) -> list[Column]:
    """What is kept of a refused row beside where it stood."""
    names = rows.columns
    merchant = F.col("merchant_id") if "merchant_id" in names else F.lit(None).cast("string")
    amount = F.col("amount_fen") if "amount_fen" in names else F.lit(None).cast("bigint")
    return [
        F.lit(stream.name).alias("stream"),
        F.coalesce(F.sha2("value", 256), F.col("content_hash")).alias("row_digest"),
        F.col("reasons"),
        F.coalesce(masked(F.col("value")), _told(rows, stream)).alias("payload"),
        F.when(~(F.array_contains("reasons", "bad_merchant_id") | private(merchant)), merchant).alias(
            "merchant_id"
        ),
        # A number of eleven digits may be a telephone's.
        F.when(amount < TEN_DIGITS, amount).alias("amount_fen"),
    ]


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
    """Known entities and newly delivered ones: for each key the latest delivery stands, or the first.

    Merchants get valid_to, the day before their next valid_from.
    """
    names = [F.col(f"`{name}`") for name in delivered(stream)]
    rows = before.select(*names).unionByName(new.select(*names))
    place = F.col("delivery_date").asc() if stream.keeps_first else F.desc("delivery_date")
    order = Window.partitionBy(*stream.key).orderBy(place, F.desc("content_hash"))
    rows = rows.withColumn("_rank", F.row_number().over(order)).where("_rank = 1").drop("_rank")
    if stream.name != "merchants":
        return rows
    following = F.lead("valid_from").over(Window.partitionBy("merchant_id").orderBy("valid_from"))
    return rows.withColumn("valid_to", F.date_sub(following, 1))
