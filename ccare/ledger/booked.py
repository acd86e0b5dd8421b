"""What a step that is decided on the driver has booked, and how the laid-out books take it in.

Requests of a day, reservations that resolve and adjustments are few beside lots and keys, so their rows are
fetched; a day without any costs a look at small tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.ledger.entitlements import Inputs
from ccare.ledger.parties import with_party
from ccare.ledger.redemptions import Row
from ccare.ledger.transfers import MOVE
from ccare.runtime.spark import frame
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_PARTS = ("pending", "active", "reserved", "redeemed", "taken")
_LOT_CHANGES = pa.schema([("lot_id", pa.string()), *((f"add_{name}", pa.int64()) for name in _PARTS)])
_KEY_CHANGES = pa.schema(
    [("business_key", pa.string()), ("paid", pa.int64()), ("legs", pa.int32()), ("given_back", pa.int64())]
)


@dataclass
class Booked:
    """What one step has booked: transfers to come, changes of lots and keys, new and changed rows of tables."""

    moves: list[Row] = field(default_factory=list)
    lots: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    keys: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))
    new_lots: list[Row] = field(default_factory=list)
    rows: dict[str, list[Row]] = field(default_factory=dict)

    def on_lots(self, lots: DataFrame) -> DataFrame:
        """``lots`` with this step's new ones and changes."""
        if self.new_lots:
            new = with_party(frame(lots.sparkSession, table("ledger_lots"), self.new_lots))
            lots = lots.unionByName(new.select(*lots.columns))
        if not self.lots:
            return lots
        rows = [
            {"lot_id": lot_id, **{f"add_{name}": parts.get(name, 0) for name in _PARTS}}
            for lot_id, parts in self.lots.items()
        ]
        changes = F.broadcast(lots.sparkSession.createDataFrame(pa.Table.from_pylist(rows, _LOT_CHANGES)))
        added = {name: F.col(name) + F.coalesce(f"add_{name}", F.lit(0)) for name in _PARTS}
        return lots.join(changes, "lot_id", "left").withColumns(added).select(*lots.columns)

    def on_positions(self, positions: DataFrame, close: "Close") -> DataFrame:
        """``positions`` with debts that this step paid and what it gave back to pools."""
        if not self.keys:
            return positions
        names = [name for name in _KEY_CHANGES.names if name != "business_key"]
        rows = [{"business_key": k, **{n: v.get(n, 0) for n in names}} for k, v in self.keys.items()]
        changes = F.broadcast(
            positions.sparkSession.createDataFrame(pa.Table.from_pylist(rows, _KEY_CHANGES))
        )
        changed = {
            "debt": F.col("debt") - F.coalesce("paid", F.lit(0)),
            "repayments": F.col("repayments") + F.coalesce("legs", F.lit(0)),
            "net": F.col("net") - F.coalesce("given_back", F.lit(0)),
            "updated_on": F.when(F.col("paid").isNotNull(), F.lit(close.day)).otherwise(F.col("updated_on")),
        }
        return positions.join(changes, "business_key", "left").withColumns(changed).select(*positions.columns)

    def moved(self, like: DataFrame) -> DataFrame:
        """The moves as a frame of the session of ``like``."""
        return with_party(frame(like.sparkSession, table("ledger_transfers"), self.moves)).select(*MOVE)


def lots_after(steps: Iterable[Booked], lots: DataFrame) -> DataFrame:
    """``lots`` as ``steps`` left them, with what they made."""
    for step in steps:
        lots = step.on_lots(lots)
    return lots


def positions_after(steps: Iterable[Booked], positions: DataFrame, close: "Close") -> DataFrame:
    """``positions`` as ``steps`` left them."""
    for step in steps:
        positions = step.on_positions(positions, close)
    return positions


def whole_days(inputs: Inputs, steps: Iterable[Booked]) -> dict[str, DataFrame]:
    """Tables of decisions that change: every row of each of their days that has a changed one."""
    changed: dict[str, list[Row]] = defaultdict(list)
    for step in steps:
        for name, rows in step.rows.items():
            changed[name] += rows
    result = {}
    for name, rows in changed.items():
        if not rows:
            continue
        declared = table(name)
        (day,) = declared.partition_by
        new = frame(next(iter(inputs.values())).sparkSession, declared, rows)
        if name not in inputs:
            result[name] = new  # decided once: no row of it ever changes
            continue
        of_days = inputs[name].filter(F.col(day).isin(*sorted({row[day] for row in rows})))
        of_days = of_days.join(F.broadcast(new.select(*declared.key)), list(declared.key), "left_anti")
        result[name] = of_days.select(*declared.column_names).unionByName(new)
    return result


def among(rows: DataFrame, name: str, values: Sequence[str]) -> DataFrame:
    """Rows whose ``name`` is among ``values``."""
    if len(values) <= 200:
        return rows.filter(F.col(name).isin(*values))
    listed = rows.sparkSession.createDataFrame(pa.table({name: pa.array(values, pa.string())}))
    return rows.join(F.broadcast(listed), name, "left_semi")


def fetched(rows: DataFrame) -> list[Row]:
    """``rows`` as dicts."""
    return rows.toArrow().to_pylist()
