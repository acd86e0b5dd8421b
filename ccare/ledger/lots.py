"""What time does to lots in a close: activation, repayment of debt from it, expiry."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.accounts import EXPIRED, party_column, pool_column
from ccare.ledger.deliveries import IMPRESSION, REPORTED_DAYS
from ccare.ledger.falls import BY_LOT, DEBIT_ORDER, OLDEST_FIRST, PURSE, Fallen, lot_rooms
from ccare.ledger.frames import beside, overlap, shared
from ccare.ledger.parties import IDS
from ccare.ledger.transfers import move
from ccare.tables import table

if TYPE_CHECKING:
    from ccare.runtime.close import Close

LOT = ("party", *(name for name in table("ledger_lots").column_names if name not in IDS))
"""Columns of ledger_lots within a close."""
_OWING = ("business_key", "programme", "pool", *PURSE, "effective_date")


@dataclass(frozen=True)
class Aged:
    """``lots``: all old lots as they stand after expiry, columns LOT. ``paid``: one row for each debt
    and lot that met, with units ``served``. ``moves``: the transfers."""

    lots: DataFrame
    paid: DataFrame
    moves: tuple[DataFrame, ...]


def age(fallen: Fallen, positions: DataFrame, close: "Close") -> Aged:
    """Activates what matured, pays debt out of it, oldest first, then expires what is past its last day.

    Where falls may owe beside usable lots (policy debt), those pay in the same close too: elsewhere who owes has none.
    """
    today = F.lit(close.day)
    left = F.col("pending") - F.col("from_pending")
    ripe = F.when(F.col("matures_on") <= today, left).otherwise(F.lit(0))
    lots = fallen.lots.withColumn("ripe", ripe)
    pays = F.col("ripe")
    if any(p.on_fall == "debt" for p in close.ledger.programmes):
        pays = pays + F.col("active") - F.col("from_active") - F.col("from_others")
    paid = shared(_pay(_debts(positions, fallen.debts), lots, pays))
    by_lot = paid.groupBy(*BY_LOT).agg(F.sum("served").alias("repaid"))
    lots = lots.join(beside(by_lot), BY_LOT, "left").fillna(0, ["repaid"])
    taken_active = F.col("from_active") + F.col("from_others") + F.col("repaid")
    usable = F.col("active") + F.col("ripe") - taken_active
    lapsing = F.when(last_counted() < today, F.col("usable")).otherwise(F.lit(0))
    lots = shared(lots.withColumn("usable", usable).withColumn("lapsing", lapsing))
    after = lots.withColumns(
        {
            "pending": F.col("pending") - F.col("from_pending") - F.col("ripe"),
            "active": F.col("usable") - F.col("lapsing"),
            "expired": F.col("expired") + F.col("lapsing"),
            "taken": F.col("taken") + F.col("from_pending") + taken_active,
        }
    )
    moves = (_activations(lots), _repayments(paid), _expiries(lots, close))
    return Aged(after.select(*LOT), paid, moves)


LAST_COUNTED = f"expires_on + if(asset = '{IMPRESSION}', {REPORTED_DAYS}, 0)"
"""What ``last_counted`` says, for DuckDB."""


def last_counted() -> Column:
    """Last day on which a lot is usable: what was delivered of impressions is told after theirs."""
    told_late = F.when(F.col("asset") == IMPRESSION, F.lit(REPORTED_DAYS)).otherwise(F.lit(0))
    return F.date_add("expires_on", told_late)


def _debts(positions: DataFrame, new: DataFrame) -> DataFrame:
    """Grain: key in debt, old debt and this close's together; ``legs`` = repayments booked so far."""
    old = positions.filter(F.col("debt") > 0).select(*_OWING, "revision", "debt", "repayments")
    before = positions.select("party", "business_key", "repayments")
    since = new.join(beside(before), ["party", "business_key"], "left")
    both = old.unionByName(since.select(*old.columns))
    return both.groupBy(*_OWING).agg(
        F.sum("debt").alias("need"), F.max("revision").alias("revision"), F.max("repayments").alias("legs")
    )


def _pay(debts: DataFrame, lots: DataFrame, pays: Column) -> DataFrame:
    """Each meeting of a debt and a lot, which ``pays`` so much; ``place`` counts a debt's lots from 1."""
    met = overlap(debts, lot_rooms(lots, pays), PURSE, OLDEST_FIRST, DEBIT_ORDER)
    return met.withColumn(
        "place", F.row_number().over(Window.partitionBy("party", "business_key").orderBy(*DEBIT_ORDER))
    )


def _activations(lots: DataFrame) -> DataFrame:
    return move(
        lots.filter(F.col("ripe") > 0),
        F.lit(codes.ACTIVATE),
        debit_account=party_column("pending"),
        credit_account=party_column("active"),
        amount=F.col("ripe"),
        reason=F.lit("matured"),
        leg=F.lit(1),
    )


def _expiries(lots: DataFrame, close: "Close") -> DataFrame:
    """A lot expires again when a reservation gives back to it: leg counts the days since its last one."""
    return move(
        lots.filter(F.col("lapsing") > 0),
        F.lit(codes.EXPIRE),
        debit_account=party_column("active"),
        credit_account=F.lit(EXPIRED),
        amount=F.col("lapsing"),
        reason=F.lit("expired unused"),
        leg=F.datediff(F.lit(close.day), "expires_on"),
    )


def _repayments(paid: DataFrame) -> DataFrame:
    """Two moves for each meeting: the points go back to the pool, and the claim on the party goes down."""
    sides = F.explode(F.array(F.lit(0), F.lit(1))).alias("side")
    rows = paid.select("*", sides)
    gives = F.col("side") == 0
    pool = F.col("pool")
    return move(
        rows,
        F.lit(codes.REPAY),
        debit_account=F.when(gives, party_column("active")).otherwise(pool_column(pool, "receivable")),
        credit_account=F.when(gives, pool_column(pool, "available")).otherwise(party_column("debt")),
        amount=F.col("served"),
        reason=F.when(gives, F.lit("repays debt")).otherwise(F.lit("debt goes down")),
        lot_id=F.when(gives, F.col("lot_id")),
        matures_on=F.when(gives, F.col("lot_matures_on")),
        expires_on=F.when(gives, F.col("lot_expires_on")),
        leg=F.col("legs") + 2 * F.col("place") - 1 + F.col("side"),
    )
