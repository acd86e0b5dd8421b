"""Falls: what is taken from lots, what lapses, and what becomes debt when entitlements go down."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.accounts import party_column, pool_column
from ccare.ledger.decisions import FALL
from ccare.ledger.frames import beside, overlap, shared
from ccare.ledger.transfers import move

PURSE = ("party", "asset")
"""One party's units of one asset pay for one another, whatever granted them."""
DEBIT_ORDER = ("lot_expires_on", "lot_effective_date", "lot_booked_date", "lot_id")
"""Debits take what expires soonest, then what was earned first, then by lot_id."""
OLDEST_FIRST = ("effective_date", "business_key")
BY_LOT = ["party", "lot_id"]
_BY_KEY = ["party", "business_key"]
_OF_FALL = ("revision", "asked", "multiplier_milli", "source_digest", "against")
_KEY = ("business_key", "programme", "pool", *PURSE, "effective_date", *_OF_FALL)
_LOT = ("effective_date", "booked_date", "matures_on", "expires_on")
_PENDING, _ACTIVE, _OTHERS, _DEBT = range(4)
"""The order in which a fall takes."""


@dataclass(frozen=True)
class Fallen:
    """``lots``: all lots with from_pending, from_active, from_others (units taken in this close).
    ``needs``: one row for each falling key, with lapse, forgiven, owed. ``debts``: what was owed and not
    found. ``moves``: the transfers."""

    lots: DataFrame
    needs: DataFrame
    debts: DataFrame
    moves: DataFrame


def fall(lots: DataFrame, decisions: DataFrame) -> Fallen:
    """Each falling key takes from its own lots; then the shortfalls share the party's other active lots.

    A shortfall under policy debt does not: it is owed whole, and paid like any debt once lots have aged.

    ``lots`` and ``decisions`` are laid out by party, and so is everything that comes back.
    """
    needs = shared(_needs(decisions, lots))
    own = shared(_take_own(lots, needs))
    of_others = F.when(F.col("on_fall") == "debt", F.lit(0)).otherwise(F.col("owed"))
    owed = needs.select(*_KEY, of_others.alias("need"))
    rooms = lot_rooms(own, F.col("active") - F.col("from_active"))
    others = shared(overlap(owed, rooms, PURSE, OLDEST_FIRST, DEBIT_ORDER))
    found = others.groupBy("party", "business_key").agg(F.sum("served").alias("found"))
    short = needs.filter(F.col("owed") > 0).join(beside(found), _BY_KEY, "left")
    short = short.withColumn("debt", F.col("owed") - F.coalesce("found", F.lit(0)))
    debts = shared(short.filter(F.col("debt") > 0).select(*_KEY, "debt"))
    by_lot = others.groupBy("party", "lot_id").agg(F.sum("served").alias("from_others"))
    lots_after = own.join(beside(by_lot), BY_LOT, "left").fillna(0, ["from_others"]).drop("fall")
    return Fallen(lots_after, needs, debts, _moves(own, others, debts))


def lot_rooms(lots: DataFrame, room: Column) -> DataFrame:
    """Lots as rooms to be served from: party, asset, lot_id, ``room``, the lot's dates as lot_*."""
    dates = (F.col(name).alias(f"lot_{name}") for name in _LOT)
    return lots.select(*PURSE, "lot_id", *dates, room.alias("room"))


def _needs(decisions: DataFrame, lots: DataFrame) -> DataFrame:
    """Grain: falling key. take = lapse (its lots had expired) + own + forgiven + owed."""
    falling = decisions.filter((F.col("change") == FALL) & (F.col("take") > 0))
    held = lots.groupBy("party", "business_key").agg(
        *(F.sum(name).alias(f"key_{name}") for name in ("expired", "pending", "active"))
    )
    only_pending = F.col("on_fall") == "only_pending"
    usable = F.col("key_pending") + F.when(only_pending, F.lit(0)).otherwise(F.col("key_active"))
    rest = F.col("take") - F.col("lapse") - F.col("own")
    needs = falling.join(beside(held), _BY_KEY, "left").fillna(
        0, ["key_expired", "key_pending", "key_active"]
    )
    return (
        needs.withColumn("lapse", F.least("take", F.col("key_expired") - F.col("lapsed_before")))
        .withColumn("own", F.least(F.col("take") - F.col("lapse"), usable))
        .withColumn("forgiven", F.when(only_pending, rest).otherwise(F.lit(0)))
        .withColumn("owed", rest - F.col("forgiven"))
        .select(*_KEY, "on_fall", "lapse", "own", "forgiven", "owed")
    )


def _take_own(lots: DataFrame, needs: DataFrame) -> DataFrame:
    """All lots with from_pending and from_active, taken by their key's ``fall`` (a struct; null where none).

    A lot is pending as a whole or not at all, so each has one kind of room. What policy only_pending spares
    is left out of ``own`` already, and pending lots come first.
    """
    fall_of_key = F.struct("own", *_OF_FALL).alias("fall")
    order = (F.col("pending") == 0, "expires_on", "effective_date", "booked_date", "lot_id")
    along = Window.partitionBy(*_BY_KEY).orderBy(*order).rowsBetween(Window.unboundedPreceding, 0)
    room = F.col("pending") + F.col("active")
    left = F.greatest(F.coalesce("fall.own", F.lit(0)) - (F.sum(room).over(along) - room), F.lit(0))
    served = lots.join(beside(needs.select(*_BY_KEY, fall_of_key)), _BY_KEY, "left")
    served = served.withColumn("served", F.least(room, left))
    pending = F.col("pending") > 0
    return served.withColumns(
        {
            "from_pending": F.when(pending, F.col("served")).otherwise(F.lit(0)),
            "from_active": F.when(pending, F.lit(0)).otherwise(F.col("served")),
        }
    ).drop("served")


def _moves(own: DataFrame, others: DataFrame, debts: DataFrame) -> DataFrame:
    """Falls and debts; leg = place in the fall's order: own pending, own active, other active, debt."""
    taken = own.drop("revision").withColumn("served", F.col("from_pending") + F.col("from_active"))
    taken = taken.filter(F.col("served") > 0).select("*", *(F.col(f"fall.{name}") for name in _OF_FALL))
    taken = taken.withColumns({f"lot_{name}": F.col(name) for name in _LOT})
    step = F.when(F.col("pending") > 0, F.lit(_PENDING)).otherwise(F.lit(_ACTIVE))
    no_lot = {f"lot_{name}": F.lit(None).cast("date") for name in _LOT}
    owing = debts.withColumns({**no_lot, "lot_id": F.lit(None).cast("string")})
    columns = (*_KEY, "lot_id", *(f"lot_{name}" for name in _LOT))
    rows = (
        taken.select(*columns, "served", step.alias("step"))
        .union(others.select(*columns, "served", F.lit(_OTHERS)))
        .union(owing.select(*columns, "debt", F.lit(_DEBT)))
    )
    leg = F.row_number().over(Window.partitionBy(*_BY_KEY).orderBy("step", *DEBIT_ORDER))
    rows = rows.withColumn("leg", leg)
    return _as_moves(rows)


def _as_moves(rows: DataFrame) -> DataFrame:
    pool, step = F.col("pool"), F.col("step")
    owing = step == _DEBT
    source = F.when(step == _PENDING, party_column("pending"))
    reasons = {
        _PENDING: "entitlement fell: its pending points",
        _ACTIVE: "entitlement fell: its active points",
        _OTHERS: "entitlement fell: other active units of the party",
    }
    reason = F.lit("entitlement fell: already spent, owed")
    for place, text in reasons.items():
        reason = F.when(step == place, F.lit(text)).otherwise(reason)
    values = {
        "credit_account": F.when(owing, pool_column(pool, "receivable")).otherwise(
            pool_column(pool, "available")
        ),
        "debit_account": F.when(owing, party_column("debt")).otherwise(
            F.coalesce(source, party_column("active"))
        ),
        "amount": F.col("served"),
        # Evidence of abuse is why, where there is any.
        "reason": F.coalesce(F.concat(F.lit("withheld: "), "against", F.lit("; "), reason), reason),
        "matures_on": F.col("lot_matures_on"),
        "expires_on": F.col("lot_expires_on"),
    }
    return move(rows, F.when(owing, F.lit(codes.DEBT)).otherwise(F.lit(codes.FALL)), **values)
