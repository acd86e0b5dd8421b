"""What of large books a close need not lay out.

Most keys and lots of large books are neither looked at nor moved. They stay where they lie, out of every shuffle, and
the close gives only the rows of each cache that it has laid out. What it lays out DuckDB finds in the files. Over
small books all of it costs less than finding out (docs/decisions/0019).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.growth.snapshot import date_sql
from ccare.ledger.booked import Booked
from ccare.ledger.decisions import FALL, touched_dates
from ccare.ledger.lots import LAST_COUNTED
from ccare.ledger.parties import PARTY, with_party

if TYPE_CHECKING:
    from ccare.ledger.touched import Inputs
    from ccare.runtime.close import AtRest, Close

_KEYS = f"""
select p.* from ledger_positions p
left join dates on dates.party = {PARTY} and dates.effective_date = p.effective_date
where dates.party is not null or p.debt > 0 or {PARTY} is null or p.business_key in (from named)
"""
_LOTS = f"""
select * from ledger_lots
where (pending > 0 or active > 0) and {PARTY} in (from parties)
    or pending > 0 and matures_on <= <day> or active > 0 and {LAST_COUNTED} < <day>
    or business_key in (from falling) or lot_id in (from named)
"""


def dates_looked_at(rated: DataFrame, inputs: "Inputs", close: "Close") -> pa.Table:
    """Grain: party and effective date of a key that the close looks at."""
    dates = rated.select("party", "effective_date")
    if any(p.retroactive for p in close.ledger.programmes):
        dates = dates.union(touched_dates(inputs))
    return dates.distinct().toArrow()


def keys_looked_at(at_rest: "AtRest", dates: pa.Table, steps: Iterable[Booked]) -> DataFrame:
    """Published positions that the close may read or change: of ``dates``, in debt, of fundings, and what ``steps``
    change."""
    named = _words(key for step in steps for key in step.keys)
    return with_party(at_rest("ledger_positions", _KEYS, {"dates": dates, "named": named}))


def lots_that_may_move(
    at_rest: "AtRest",
    positions: DataFrame,
    decisions: DataFrame,
    spenders: Iterable[str],
    steps: Iterable[Booked],
    close: "Close",
) -> DataFrame:
    """Published lots that time moves today, all that is left to who falls, owes or spends, every lot of a key that
    falls, and what ``steps`` change."""
    falls = decisions.filter((F.col("change") == FALL) & (F.col("take") > 0)).select("party", "business_key")
    owing = positions.filter(F.col("debt") > 0).select("party", F.lit(None).cast("string"))
    met = falls.union(owing).toArrow()
    given = {
        "parties": _words([*met["party"].to_pylist(), *spenders]),
        "falling": _words(key for key in met["business_key"].to_pylist() if key is not None),
        "named": _words(lot for step in steps for lot in step.lots),
    }
    return with_party(at_rest("ledger_lots", _LOTS.replace("<day>", date_sql(close.day)), given))


def _words(values: Iterable[str]) -> pa.Table:
    return pa.table({"word": pa.array(sorted({*values}), pa.string())})
