"""Whether rows of a small pass clash: share a key or a trade among themselves, or with rows taken before.

Asked of DuckDB over rows that the driver holds and files that stand: who of two that clash stays is the stream's
own job to say, and on most days nobody has to ask it.
"""

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from ccare.events import job as events
from ccare.events.fate import ACCEPTED
from ccare.growth.snapshot import view_sql
from ccare.runtime.run import Run
from ccare.tables import table
from ccare.tables.streams import Stream

_SOUND = f"create view sound as from held where fate = '{ACCEPTED}'"
_RECENT = """
create view recent as from known
where taken_on >= getvariable('taken') and business_date >= getvariable('dated')
"""
_IDS = """
select exists (select 1 from sound group by event_id having count(*) > 1)
    or exists (select 1 from recent semi join sound using (event_id))
"""
_TRADES = """
select exists (select 1 from sound where event_type = 'paid' group by merchant_id, trade_no having count(*) > 1)
    or exists (select 1 from recent r semi join (from sound where event_type = 'paid') s
               on r.merchant_id = s.merchant_id and r.trade_no = s.trade_no where r.event_type = 'paid')
"""


def clashes(run: Run, stream: Stream, held: pa.Table) -> bool:
    """Whether any two of the stream's sound rows (``held``, judged alone) and those taken before may clash.

    Entities' records clash within a pass only: a later delivery takes the place of what was taken before.
    """
    if not stream.is_event:
        return _records_clash(stream, held)
    taken, dated = events.lookup_since(run.close)
    names = ["event_id", "event_type", "merchant_id", "fate"]
    names += ["trade_no"] if stream.name == "payments" else []
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        con.register("held", held.select(names))
        version = run.as_published.get(stream.table)
        con.execute(f"create view known as {view_sql(run.settings.lake, table(stream.table), version)}")
        con.execute(_SOUND)
        con.execute("set variable taken = $1", [taken])
        con.execute("set variable dated = $1", [dated])
        con.execute(_RECENT)
        questions = [_IDS, _TRADES] if stream.name == "payments" else [_IDS]
        return any(row[0] for question in questions if (row := con.execute(question).fetchone()))


def _records_clash(stream: Stream, held: pa.Table) -> bool:
    # Null is a value here: two records without it have one key.
    key = [*dict.fromkeys((*stream.key, "delivery_date"))]
    sound = held.filter(pc.equal(held["fate"], ACCEPTED)).select(key)
    return sound.group_by(key).aggregate([]).num_rows < sound.num_rows
