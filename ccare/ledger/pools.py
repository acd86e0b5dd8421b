"""Pools: approved fundings in, and this close's demand granted whole or in proportion, decided once."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ccare.ledger import codes
from ccare.ledger.accounts import FUNDING, party_column, pool_account, pool_column
from ccare.ledger.decisions import RISE
from ccare.ledger.frames import product, quotient
from ccare.ledger.transfers import earning_id, move

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.runtime.close import Close

_FUNDING_TYPES = {
    "business_key": "string",
    "programme": "string",
    "pool": "string",
    "asset": "string",
    "approval": "string",
    "effective_date": "date",
    "funded": "bigint",
}


def fundings(
    positions: DataFrame, close: "Close", delivered: Sequence[Mapping[str, object]] = ()
) -> DataFrame:
    """Grain: funding to book now, i.e. dated on or before the day and not booked with this very amount.

    ``delivered``: rows beside those of the policy.

    One whose approved amount was edited after it was booked comes up again, under the transfer_id that it
    had: the insert refuses it (same id, other content). ``booked`` is the amount booked before, null where none.
    """
    rows = [
        F.struct(*(F.lit(row[name]).cast(kind).alias(name) for name, kind in _FUNDING_TYPES.items()))
        for row in (*_rows(close.ledger), *delivered)
    ]
    none = F.array().cast(f"array<struct<{', '.join(f'{n}: {kind}' for n, kind in _FUNDING_TYPES.items())}>>")
    due = positions.sparkSession.range(1).select(F.inline(F.array(*rows) if rows else none))
    fund = positions.filter(F.col("party").isNull())
    booked = F.broadcast(fund.select("business_key", F.col("granted").alias("booked")))
    due = due.join(booked, "business_key", "left")
    return due.filter(~F.col("funded").eqNullSafe(F.col("booked")))


def funding_moves(due: DataFrame) -> DataFrame:
    """world:funding -> pool:<p>:available, once an approval."""
    return move(
        due,
        F.lit(codes.FUND),
        debit_account=F.lit(FUNDING),
        credit_account=pool_column(F.col("pool"), "available"),
        amount=F.col("funded"),
        reason=F.concat(F.lit("approved funding "), F.col("approval")),
        leg=F.lit(1),
        revision=F.lit(1),
    )


def available(balances: DataFrame, moves: DataFrame, policy: "LedgerPolicy") -> DataFrame:
    """Grain: open pool and asset. What each holds after ``moves``; out of a closed one nothing is granted."""
    granting = (pool.name for pool in policy.pools if pool.grants_on(policy.day))
    names = [pool_account(name, "available") for name in granting]
    before = balances.select("account", "asset", F.col("balance").alias("held"))
    received = moves.select(F.col("credit_account").alias("account"), "asset", F.col("amount").alias("held"))
    # An adjustment takes out of a pool, and what it takes cannot be granted in the same close.
    given = moves.select(F.col("debit_account").alias("account"), "asset", (-F.col("amount")).alias("held"))
    held = before.union(received).union(given).filter(F.col("account").isin(*names))
    pool = F.substring_index(F.substring_index("account", ":available", 1), "pool:", -1)
    return held.groupBy(pool.alias("pool"), "asset").agg(F.sum("held").alias("held"))


def bounded(held: DataFrame, lots: DataFrame, close: "Close") -> DataFrame:
    """``held``, no more than what each programme may still grant in the day's month; ``month_bound`` where that binds.

    ``lots``: every lot of before this close.
    """
    programmes = [p for p in close.ledger.programmes if p.most_a_month is not None and p.covers(close.day)]
    if not programmes:
        return held.withColumn("month_bound", F.lit(False))
    pools = {p.pool: p.most_a_month for p in programmes}
    month = F.col("booked_date") >= F.lit(close.day.replace(day=1))
    spent = lots.filter(F.col("pool").isin(*pools) & month).groupBy("pool", "asset")
    so_far = F.broadcast(spent.agg(F.sum("amount").alias("so_far")))
    most = F.lit(None).cast("bigint")
    for pool, units in pools.items():
        most = F.when(F.col("pool") == pool, units).otherwise(most)
    room = F.greatest(most - F.coalesce("so_far", F.lit(0)), F.lit(0))
    rows = held.join(so_far, ["pool", "asset"], "left").withColumn("room", room)
    bound = F.coalesce(F.col("room") < F.col("held"), F.lit(False))
    return rows.select("pool", "asset", F.least("held", "room").alias("held"), bound.alias("month_bound"))


def grant(decisions: DataFrame, held: DataFrame) -> DataFrame:
    """Grain: key that rises, with ``granted`` <= extra: all of it, or its share by largest remainder.

    Ties go by party, then business_key. A pool's grants of one close sum to min(demand, held).
    """
    demand = decisions.filter((F.col("change") == RISE) & (F.col("extra") > 0))
    rows = demand.join(F.broadcast(held), ["pool", "asset"], "left").fillna(0, ["held"]).fillna(False)
    pool = Window.partitionBy("pool", "asset")
    rows = rows.withColumn("demand", F.sum("extra").over(pool))
    wanted = product(F.col("extra"), F.col("held"))
    whole = F.col("demand").cast("decimal(38,0)")
    rows = rows.withColumns({"base": quotient(wanted, whole), "remainder": wanted % whole})
    place = F.row_number().over(pool.orderBy(F.desc("remainder"), "party", "business_key"))
    rows = rows.withColumns({"place": place, "spare": F.col("held") - F.sum("base").over(pool)})
    share = F.col("base") + (F.col("place") <= F.col("spare")).cast("int")
    short = F.col("demand") > F.col("held")
    return rows.withColumn("granted", F.when(short, share).otherwise(F.col("extra"))).drop(
        "held", "demand", "base", "remainder", "place", "spare"
    )


def earning_moves(grants: DataFrame) -> DataFrame:
    """pool:<p>:available -> the party's pending, a new lot each; nothing where nothing was granted."""
    cut = F.col("extra") - F.col("granted")
    why = F.when(F.col("revision") == 1, F.lit("earned")).otherwise(F.lit("entitlement rose"))
    by = F.when(F.col("month_bound"), F.lit(", the month's cap cut ")).otherwise(F.lit(", pool short of "))
    short = F.concat(why, by, cut.cast("string"))
    return move(
        grants.filter(F.col("granted") > 0),
        F.lit(codes.EARN),
        debit_account=pool_column(F.col("pool"), "available"),
        credit_account=party_column("pending"),
        amount=F.col("granted"),
        reason=F.when(cut > 0, short).otherwise(why),
        lot_id=earning_id(),
        leg=F.lit(1),
    )


def new_lots(grants: DataFrame, close: "Close") -> DataFrame:
    """The lots of this close's earnings, all pending."""
    rows = grants.filter(F.col("granted") > 0)
    empty = {name: F.lit(0) for name in ("active", "reserved", "redeemed", "expired", "taken")}
    amount = F.col("granted")
    booked = {"lot_id": earning_id(), "booked_date": F.lit(close.day), "amount": amount, "pending": amount}
    return rows.withColumns({**booked, **empty})


def _rows(policy: "LedgerPolicy") -> list[dict[str, object]]:
    return [
        {
            "business_key": funding.business_key,
            "programme": policy.pool(funding.pool).programme,
            "pool": funding.pool,
            "asset": policy.pool(funding.pool).asset,
            "approval": funding.approval,
            "effective_date": funding.on,
            "funded": funding.amount,
        }
        for funding in policy.fundings
    ]
