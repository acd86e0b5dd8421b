"""The caches that a close leaves: positions of keys and balances of accounts, folded from the day's bookings.

What a close adds is folded first; what was published is then met once, where it lies.
"""

from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.ledger.decisions import SAME
from ccare.ledger.falls import Fallen
from ccare.ledger.frames import beside
from ccare.ledger.transfers import together

if TYPE_CHECKING:
    from ccare.runtime.close import Close

_ABOUT = (
    *("programme", "rule", "effective_date", "asset", "pool", "multiplier_milli"),
    *("matures_on", "expires_on"),
)
"""Constant for a key."""
_LATEST = ("revision", "asked", "policy_version", "updated_on")
_SUMS = ("granted", "net", "lapsed", "forgiven", "cut_by_pool", "debt", "repayments")
_KEY = ("party", "business_key")


def fold_positions(
    positions: DataFrame,
    decisions: DataFrame,
    fallen: Fallen,
    paid: DataFrame,
    grants: DataFrame,
    funded: DataFrame,
    close: "Close",
) -> DataFrame:
    """ledger_positions after this close: the new revision of every key looked at, and what moved since."""
    version, today = F.lit(close.ledger.version), F.lit(close.day)
    cut = F.col("extra") - F.col("granted")
    looked_at = {
        "net": -F.col("take"),
        "policy_version": version,
        "updated_on": F.when(F.col("change") != SAME, today),
    }
    parts = [
        decisions.select(*_KEY, *_ABOUT, "revision", "asked", *_named(looked_at)),
        _delta(fallen.needs, lapsed=F.col("lapse"), forgiven=F.col("forgiven")),
        _delta(fallen.debts, debt=F.col("debt")),
        _delta(paid, debt=-F.col("served"), repayments=F.lit(2), updated_on=today),
        _delta(grants, granted=F.col("granted"), net=F.col("granted"), cut_by_pool=cut),
    ]
    # Of the rows of one key only the decision's holds what is not a sum, so the greatest is the only one.
    folds = {n: F.sum(n) if n in _SUMS else F.max(n) for n in (*_ABOUT, *_SUMS, *_LATEST)}
    changes = together(parts).groupBy(*_KEY).agg(*(column.alias(f"new_{n}") for n, column in folds.items()))
    joined = positions.join(beside(changes), list(_KEY), "full")
    added = {n: F.coalesce(n, F.lit(0)) + F.coalesce(f"new_{n}", F.lit(0)) for n in _SUMS}
    kept = {n: F.coalesce(n, f"new_{n}") for n in _ABOUT}
    latest = {n: F.coalesce(f"new_{n}", n) for n in _LATEST}
    folded = joined.select(*_KEY, *_named({**kept, **added, **latest}))
    return together([folded, _new_fundings(funded, close)]).fillna(0, list(_SUMS))


def _new_fundings(funded: DataFrame, close: "Close") -> DataFrame:
    amount = F.col("funded")
    values = {
        **{"rule": F.lit("funding"), "revision": F.lit(1), "multiplier_milli": F.lit(0)},
        **{"asked": amount, "granted": amount, "net": amount},
        **{"policy_version": F.lit(close.ledger.version), "updated_on": F.lit(close.day)},
    }
    about = ("business_key", "programme", "effective_date", "asset", "pool")
    return funded.filter(F.col("booked").isNull()).select(*about, *_named(values))


def _delta(frame: DataFrame, **values: Column) -> DataFrame:
    """Sums to add to a key; everything else about it stands in its other rows."""
    return frame.select(*_KEY, *_named(values))


def _named(values: dict[str, Column]) -> list[Column]:
    return [column.alias(name) for name, column in values.items()]


def fold_balances(balances: DataFrame, transfers: DataFrame, close: "Close") -> DataFrame:
    """ledger_balances after ``transfers``; of large books those of the accounts that they move."""
    zero = F.lit(0).cast("bigint")
    sides = F.inline(
        F.array(
            F.struct(
                F.col("credit_account").alias("account"),
                F.col("amount").alias("credits"),
                zero.alias("debits"),
            ),
            F.struct(
                F.col("debit_account").alias("account"),
                zero.alias("credits"),
                F.col("amount").alias("debits"),
            ),
        )
    )
    one = F.lit(1).cast("bigint").alias("transfers")
    day = F.col("booked_date").alias("folded_to")
    new = transfers.select("asset", one, day, sides)
    before = balances.select(*new.columns[:3], "account", "credits", "debits")
    folded = before.unionByName(new).groupBy("account", "asset")
    after = folded.agg(
        (F.sum("credits") - F.sum("debits")).alias("balance"),
        F.sum("credits").alias("credits"),
        F.sum("debits").alias("debits"),
        F.sum("transfers").alias("transfers"),
        F.max("folded_to").alias("folded_to"),
    )
    # What no transfer of the day moves was folded to an earlier one.
    return after.filter(F.col("folded_to") == F.lit(close.day)) if close.large_books else after
