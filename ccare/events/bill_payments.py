"""Lines of settlement bills that stand in for payments events which never came (policy, off by default).

A trade belongs to whoever tells of it first: lines of a trade that a payments event has told of stay lines, and
payments events of a trade that came from a bill are refused as duplicate_trade, however late they are. So nothing
is counted twice, and a replay in the recorded order gives the same rows.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.events.fate import ACCEPTED
from ccare.events.rules import KNOWN, UNREAD
from ccare.tables import table
from ccare.tables.streams import PAYMENTS

PREFIX = "bill"
REASON = "duplicate_trade"
_ID_DIGITS = 40
_TRADE = ["merchant_id", "trade_no"]


def bill_payments(
    lines: DataFrame, channels: Sequence[str], payments: DataFrame, bills: DataFrame
) -> DataFrame:
    """Accepted ``lines`` (as ``bill_fates`` judges them, with ``user_key``) as rows of core_payments.

    ``payments``: core_payments with this run's own rows; ``bills``: core_bill_lines, whose files tell which of them
    came from bills. Returned are lines of ``channels`` whose trade no payments event has told of.
    """
    chosen = lines.where((F.col("fate") == ACCEPTED) & F.col("channel").isin(*channels))
    events = payments.join(F.broadcast(_files(bills)), "file_sha256", "left_anti").select(*_TRADE)
    wanted = F.broadcast(chosen.select(*_TRADE).distinct())
    told = events.join(wanted, _TRADE, "left_semi").distinct()
    line = F.concat_ws("\u001f", "merchant_id", "line_key")
    rows = chosen.join(F.broadcast(told), _TRADE, "left_anti").withColumns(
        {
            "event_id": F.concat_ws(
                ":", F.lit(PREFIX), "channel", F.substring(F.sha2(line, 256), 1, _ID_DIGITS)
            ),
            "event_type": F.col("kind"),
            "slot": F.lit("unknown"),
        }
    )
    return rows.select(*(_column(rows, c.name, c.type) for c in table(PAYMENTS.table).columns))


def for_gate(rows: DataFrame) -> DataFrame:
    """These rows with what the gate of payments looks at beside the stored columns."""
    return rows.withColumns({"fate": F.lit(ACCEPTED), UNREAD: F.lit(0), KNOWN: F.lit(True)})


def bill_trades(payments: DataFrame, bills: DataFrame) -> DataFrame:
    """merchant_id and trade_no of the trades in ``payments`` (core_payments) that came from ``bills``."""
    return payments.join(F.broadcast(_files(bills)), "file_sha256", "left_semi").select(*_TRADE).distinct()


def without_bill_trades(parsed: DataFrame, trades: DataFrame) -> DataFrame:
    """Parsed payments with a reason against those whose trade came from a bill before."""
    owned = trades.withColumn("_from_bill", F.lit(True))
    joined = parsed.join(F.broadcast(owned), _TRADE, "left")
    hit = (F.size("reasons") == 0) & F.col("_from_bill").isNotNull()
    refused = F.concat("reasons", F.array(F.lit(REASON)))
    told = joined.withColumn("reasons", F.when(hit, refused).otherwise(F.col("reasons")))
    return told.select(*(F.col(f"`{name}`") for name in parsed.columns))


def _files(bills: DataFrame) -> DataFrame:
    return bills.select("file_sha256").distinct()


def _column(rows: DataFrame, name: str, kind: str) -> Column:
    """What a bill does not say (store, terminal, scene) is null."""
    return (F.col(name) if name in rows.columns else F.lit(None)).cast(kind).alias(name)
