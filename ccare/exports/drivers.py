"""Drivers of many merchants as they may be told: figures by the suppression rules, places only among enough peers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ccare.exports import words
from ccare.exports.cells import columns, protected
from ccare.exports.figures import EXACT, LESS, RANGE, WITHHELD, Figures, Told, figures
from ccare.exports.orders import Orders, read_orders
from ccare.exports.statement import Span
from ccare.exports.suppression import MIN_PEERS, Protected, hidden_before
from ccare.metrics.definitions import METRIC_BY_ID, METRICS, Metric
from ccare.scoring.months import month_of
from ccare.scoring.places import MIDDLE
from ccare.tables import table
from ccare.tables.model import Column

SCHEMA = "ccare.drivers/1"
_DRIVERS = table("score_drivers")
_FIGURE = "A number; <x where only a bound may be told, a..b where two, withheld where none."
COLUMNS: tuple[Column, ...] = (
    *(_DRIVERS.column(name) for name in ("merchant_id", "as_of_date", "dimension", "metric_id")),
    Column("metric", "string", "What the metric is called."),
    Column("metric_zh", "string", "The same in Chinese."),
    Column("unit", "string", "Unit of value and target; of a share 1 is 100 %."),
    _DRIVERS.column("window_days"),
    Column("value", "string", f"The metric as measured. {_FIGURE}"),
    Column("numerator", "string", f"Numerator. {_FIGURE}"),
    Column("denominator", "string", f"Denominator; empty where the metric is a count. {_FIGURE}"),
    Column("n", "string", f"People or orders behind a ratio. {_FIGURE}"),
    _DRIVERS.column("target"),
    _DRIVERS.column("target_condition"),
    Column(
        "driver_status",
        "string",
        "good, watch, bad, none without data, withheld where the dimension's places are, or no_peers where no peer has "
        f"data: it counts as the middle, {MIDDLE:.0f}, for everyone.",
    ),
    _DRIVERS.column("percentile"),
    Column(
        "peers",
        "string",
        f"Merchants that it is compared with; <{MIN_PEERS} tells no place and no target, 0 the middle.",
    ),
    _DRIVERS.column("weight"),
    _DRIVERS.column("contribution"),
    Column("contribution_change", "double", "Change of contribution since the day in since.", unit="points"),
    Column("since", "date", "As-of day that it is compared with: a week before, or the nearest there is."),
    _DRIVERS.column("policy_version"),
    _DRIVERS.column("run_id"),
)
NO_PEERS = "no_peers"
NUMBERS = ("value", "numerator", "denominator", "n")
"""Text columns that hold numbers: a minus sign in them is no formula."""

_SQL = """
with scored as (
    select merchant_id, as_of_date, peers, if(benchmark_status = 'last_frozen', m.earlier, m.own) as month
    from score_merchants join (select unnest([$day::date, $since::date]) as as_of_date,
        unnest([$month, $month_since]) as own, unnest([$earlier, $earlier_since]) as earlier) m using (as_of_date)
    where merchant_id between $first and $last
), placed as (
    select d.*, coalesce(b.peers, s.peers, 0) as compared,
        coalesce(b.peers = 0 and b.quantiles is null and d.percentile = $middle, false) as alone
    from score_drivers d
    left join scored s using (merchant_id, as_of_date)
    left join score_benchmarks b on b.month = s.month and b.peer_group = d.peer_group and b.metric_id = d.metric_id
    where d.as_of_date in ($day, $since) and d.merchant_id between $first and $last
)
select d.*, e.contribution as contribution_before,
    coalesce(e.compared, d.compared) as compared_before, coalesce(e.alone, d.alone) as alone_before
from placed d
left join (from placed where as_of_date = $since) e on e.merchant_id = d.merchant_id and e.metric_id = d.metric_id
where d.as_of_date = $day
order by d.merchant_id, array_position($metrics, d.metric_id)
"""
_MONTHS = "select distinct month from score_benchmarks"
_SINCE = """
select coalesce(max(as_of_date) filter (as_of_date <= $week::date), min(as_of_date)) as since
from score_merchants where as_of_date < $day
"""


@dataclass(frozen=True)
class Drivers:
    """Rows sorted by merchant and metric; ``figures``: metric id -> its rows' places and figures.

    ``merchants``: ids in the order of the cells of ``safe``; ``placed``: whether a row's place among peers is told;
    ``moved``: whether its change since ``since`` is; ``alone``: no peer has data, so every place is the middle.
    """

    rows: pa.Table
    figures: dict[str, tuple[npt.NDArray[np.int64], Figures]]
    placed: npt.NDArray[np.bool_]
    moved: npt.NDArray[np.bool_]
    alone: npt.NDArray[np.bool_]
    safe: Protected
    merchants: list[str]
    since: date | None


def day_before(con: duckdb.DuckDBPyConnection, day: date) -> date | None:
    """The as-of day a week before ``day``, else the last before that, else the first there is; None without any."""
    found = con.execute(_SINCE, {"day": day, "week": day - timedelta(days=7)}).fetchone()
    return found[0] if found else None


def read_drivers(
    con: duckdb.DuckDBPyConnection,
    span: Span,
    hidden: Mapping[str, Mapping[str, str]] | None = None,
    orders: Orders | None = None,
) -> Drivers:
    """Drivers of every merchant of the span.

    ``hidden``: merchant -> cells that an earlier export hid; ``orders``: by slot, where they are read already.
    """
    since = day_before(con, span.day)
    order = [m.id for m in METRICS]
    asked = {"since": since, "metrics": order, "middle": MIDDLE, **_months(con, span.day, since or span.day)}
    rows = con.execute(_SQL, span.bounds | asked).to_arrow_table()
    merchants, safe = _protected(con, span, hidden or {})
    orders = orders or read_orders(con, span.bounds, hidden)
    safe = safe.beside(orders.safe.at(np.searchsorted(orders.merchants, merchants)))
    at = np.searchsorted(merchants, np.asarray(rows["merchant_id"].to_numpy(zero_copy_only=False), dtype=str))
    ids = np.asarray(rows["metric_id"].to_numpy(zero_copy_only=False), dtype=str)
    numbers = {n: _floats(rows[n]) for n in ("value", "numerator", "denominator", "n")}
    told = {}
    for name in np.unique(ids):
        metric = METRIC_BY_ID.get(name) or Metric(name, "", name, "", 0)
        places = np.flatnonzero(ids == name)
        told[str(name)] = (
            places,
            figures(metric, {n: v[places] for n, v in numbers.items()}, safe, at[places]),
        )
    alone, before = _flags(rows["alone"]), _flags(rows["alone_before"])
    placed = _placed(rows, at, "compared", alone)
    moved = placed & _placed(rows, at, "compared_before", before)
    return Drivers(rows, told, placed, moved, alone, safe, merchants.tolist(), since)


def _months(con: duckdb.DuckDBPyConnection, day: date, since: date) -> dict[str, str | None]:
    """The benchmarks' month of each day, and the last frozen before it, which stands in where it has none."""
    frozen = [row[0] for row in con.execute(_MONTHS).fetchall()]
    found: dict[str, str | None] = {}
    for name, each in (("", day), ("_since", since)):
        own = month_of(each)
        found[f"month{name}"] = own
        found[f"earlier{name}"] = max((m for m in frozen if m < own), default=None)
    return found


def driver_table(drivers: Drivers, day: date) -> pa.Table:
    """The rows in the order of COLUMNS."""
    rows = drivers.rows
    shown, alone = pa.array(drivers.placed), pa.array(drivers.alone)
    text: dict[str, pa.Array] = {}
    places = np.concatenate([p for p, _ in drivers.figures.values()]) if drivers.figures else np.zeros(0, int)
    back = pa.array(np.argsort(places, kind="stable"))
    for name in NUMBERS:
        parts = [_texts(getattr(f, name), metric, name) for metric, (_, f) in drivers.figures.items()]
        text[name] = pa.concat_arrays(parts).take(back) if parts else pa.array([], pa.string())
    change = pc.subtract(rows["contribution"], rows["contribution_before"])
    made = {
        "metric": _said(rows, lambda m: words.metric_name(m).en),
        "metric_zh": _said(rows, lambda m: words.metric_name(m).zh),
        "unit": _said(rows, lambda m: METRIC_BY_ID[m].unit if m in METRIC_BY_ID else ""),
        **text,
        **{n: pc.if_else(shown, rows[n], None) for n in ("target", "percentile", "contribution")},
        "driver_status": pc.if_else(alone, NO_PEERS, pc.if_else(shown, rows["driver_status"], "withheld")),
        "peers": pc.if_else(
            pc.and_(pc.less(rows["compared"], MIN_PEERS), pc.invert(alone)),
            f"<{MIN_PEERS}",
            pc.cast(rows["compared"], pa.string()),
        ),
        "contribution_change": pc.if_else(pa.array(drivers.moved), pc.round(change, 6), None),
        "since": pa.array([drivers.since] * rows.num_rows, pa.date32()),
    }
    return pa.table(
        {c.name: made.get(c.name, rows[c.name] if c.name in rows.column_names else None) for c in COLUMNS}
    )


def _said(rows: pa.Table, text: Callable[[str], str]) -> pa.Array:
    """A text of each row's metric."""
    ids = rows["metric_id"].combine_chunks().dictionary_encode()
    return pa.array([text(m) for m in ids.dictionary.to_pylist()], pa.string()).take(ids.indices)


def _protected(
    con: duckdb.DuckDBPyConnection, span: Span, hidden: Mapping[str, Mapping[str, str]]
) -> tuple[npt.NDArray[np.str_], Protected]:
    names = columns()
    found = con.execute(
        f"select merchant_id, {', '.join(f'coalesce({n}, 0)::bigint as {n}' for n in names)} from metric_merchants "
        "where as_of_date = $day and merchant_id between $first and $last order by merchant_id",
        span.bounds,
    ).fetchnumpy()
    merchants = np.asarray(found["merchant_id"], dtype=str)
    before = hidden_before(merchants, hidden)
    return merchants, protected({n: np.asarray(found[n], dtype=np.int64) for n in names}, before)


def _placed(
    rows: pa.Table, at: npt.NDArray[np.int64], compared: str, alone: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """A dimension's places are told where every metric of it has enough peers: one alone would follow from the sum.

    Where no peer has data every place is the middle, which is no secret: such a metric is told and hides no other.
    """
    few = (_floats(rows[compared]) < MIN_PEERS) & ~alone
    dimensions = rows["dimension"].to_numpy(zero_copy_only=False)
    _, number = np.unique(np.asarray(dimensions, dtype=str), return_inverse=True)
    group = at * 16 + number
    told: npt.NDArray[np.bool_] = ~np.isin(group, group[few]) | alone
    return told


def _flags(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _texts(told: Told, metric_id: str, name: str) -> pa.Array:
    """Plain numbers as text: whole where they count something, else six decimals."""
    metric = METRIC_BY_ID.get(metric_id)
    whole = name != "value" or metric is None or not metric.is_ratio

    def number(values: npt.NDArray[np.float64]) -> pa.Array:
        clean = np.nan_to_num(values, posinf=0, neginf=0)
        if whole:
            return pc.cast(pa.array(np.rint(clean).astype(np.int64)), pa.string())
        return pc.cast(pa.array(np.round(clean, 6)), pa.string())

    low, high = number(told.low), number(told.high)
    below = pc.binary_join_element_wise("<", high, "")
    between = pc.binary_join_element_wise(low, high, "..")
    kind = told.kind
    conditions = pa.StructArray.from_arrays(
        [pa.array(kind == k) for k in (EXACT, LESS, RANGE, WITHHELD)],
        names=["exact", "less", "range", "withheld"],
    )
    return pc.case_when(conditions, low, below, between, "withheld").cast(pa.string())
