"""What of large books a close need not lay out.

Most keys and lots of large books are neither looked at nor moved. They stay where they lie, out of every shuffle, and
the close gives only the rows of each cache that it has laid out. Over small books all of it costs less than finding out
(docs/decisions/0019).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.decisions import FALL, touched_dates
from ccare.ledger.frames import TOUCHED, beside, shared
from ccare.ledger.lots import last_counted

if TYPE_CHECKING:
    from ccare.ledger.touched import Inputs
    from ccare.runtime.close import Close

_SENT_ROWS = 2_000_000
"""Up to this many keys of a few dozen bytes are sent to every task."""


def keys_looked_at(positions: DataFrame, rated: DataFrame, inputs: "Inputs", close: "Close") -> DataFrame:
    """Positions that the close may read or change: of parties and dates rated, in debt, of fundings, touched before."""
    dates = rated.select("party", "effective_date")
    if any(p.retroactive for p in close.ledger.programmes):
        dates = dates.union(touched_dates(inputs))
    met = _met(positions, dates.distinct(), ["party", "effective_date"])
    read = F.col("_met") | (F.col("debt") > 0) | F.col("party").isNull() | F.col(TOUCHED)
    return met.filter(read).drop("_met", TOUCHED)


def lots_that_may_move(
    lots: DataFrame, positions: DataFrame, decisions: DataFrame, spenders: Iterable[str], close: "Close"
) -> DataFrame:
    """Lots that time moves today, every lot of who falls, owes or spends, and those touched before."""
    falling = decisions.filter((F.col("change") == FALL) & (F.col("take") > 0)).select("party")
    owing = positions.filter(F.col("debt") > 0).select("party")
    named = pa.table({"party": pa.array(sorted(spenders), pa.string())})
    asking = lots.sparkSession.createDataFrame(named)
    met = _met(lots, falling.union(owing).union(asking).distinct(), ["party"])
    today = F.lit(close.day)
    ripe = (F.col("pending") > 0) & (F.col("matures_on") <= today)
    lapsing = (F.col("active") > 0) & (last_counted() < today)
    return met.filter(F.col("_met") | ripe | lapsing | F.col(TOUCHED)).drop("_met", TOUCHED)


def _met(rows: DataFrame, keys: DataFrame, by: list[str]) -> DataFrame:
    """``rows`` with ``_met``, whether one of ``keys`` is theirs."""
    known = shared(keys.withColumn("_known", F.lit(True)))
    known = F.broadcast(known) if known.count() <= _SENT_ROWS else beside(known)
    met = F.coalesce("_known", F.lit(False)).alias("_met")
    return rows.join(known, by, "left").select(*rows.columns, met)
