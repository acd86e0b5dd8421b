"""What of large books a close need not lay out.

Most keys and lots of large books are neither looked at nor moved by anything but time. They stay where they lie, out of
every shuffle, and the close gives the changed rows of each cache alone; over small books all of it costs less than
finding out (docs/decisions/0024).
"""

from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.decisions import FALL
from ccare.ledger.frames import beside, shared
from ccare.ledger.parties import merchant_party

if TYPE_CHECKING:
    from ccare.ledger.touched import Inputs
    from ccare.runtime.close import Close

TOUCHED = "touched"
"""Helper column of books within a close: whether it has changed the row, or may have."""
_SENT_ROWS = 2_000_000
"""Up to this many keys of a few dozen bytes are sent to every task."""


def keys_looked_at(positions: DataFrame, rated: DataFrame, inputs: "Inputs", close: "Close") -> DataFrame:
    """Positions that the close may read or change: of parties and dates rated, in debt, of fundings, touched before."""
    dates = rated.select("party", "effective_date")
    if any(p.retroactive for p in close.ledger.programmes):
        keys = inputs["ledger_touched_keys"]
        dates = dates.union(keys.select(merchant_party(F.col("merchant_id")), "effective_date"))
    met = _met(positions, dates.distinct(), ["party", "effective_date"])
    return met.filter(F.col("_met") | (F.col("debt") > 0) | F.col("party").isNull() | F.col(TOUCHED)).drop(
        "_met"
    )


def split_lots(lots: DataFrame, positions: DataFrame, decisions: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Lots of parties with a key that falls or owes, and all others, which nothing moves but time and requests."""
    falling = decisions.filter((F.col("change") == FALL) & (F.col("take") > 0)).select("party")
    owing = positions.filter(F.col("debt") > 0).select("party")
    met = _met(lots, falling.union(owing).distinct(), ["party"])
    return met.filter("_met").drop("_met"), met.filter("not _met").drop("_met")


def changed(rows: DataFrame, close: "Close") -> DataFrame:
    """What the close gives of a cache: of large books the rows it touched."""
    return (rows.filter(TOUCHED) if close.large_books else rows).drop(TOUCHED)


def _met(rows: DataFrame, keys: DataFrame, by: list[str]) -> DataFrame:
    """``rows`` with ``_met``, whether one of ``keys`` is theirs."""
    known = shared(keys.withColumn("_known", F.lit(True)))
    known = F.broadcast(known) if known.count() <= _SENT_ROWS else beside(known)
    met = F.coalesce("_known", F.lit(False)).alias("_met")
    return rows.join(known, by, "left").select(*rows.columns, met)
