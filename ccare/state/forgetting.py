"""State without one user: what folding the core rows again, with that user taken out, would give."""

from collections.abc import Sequence
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ccare.events.forgotten import FORGOTTEN_STAFF, is_subject, renamed
from ccare.state.folds import merchant_days, refolded
from ccare.state.lifetimes import users
from ccare.state.refunds import refolded_refunds

Scope = tuple[str | None, tuple[str, ...]]
"""The merchant that it is about (None: all), and the merchants whose staff the user is."""


def user_days(days: DataFrame, subject: DataFrame, scope: Scope) -> DataFrame:
    """Pair days whole: the user's days join those of nobody known, or of forgotten staff."""
    return refolded(renamed(days, subject, *scope))


def refund_days(before: DataFrame, subject: DataFrame, scope: Scope) -> DataFrame:
    """Refund days whole, the user's joined to those of nobody known."""
    return refolded_refunds(renamed(before, subject, *scope))


def merchant_days_again(
    before: DataFrame, days: DataFrame, touched: DataFrame, staff: DataFrame
) -> DataFrame:
    """Merchant days of whole dates: those in ``touched`` counted again, the others as they were told."""
    key = ["merchant_id", "business_date"]
    again = merchant_days(days.join(F.broadcast(touched), key, "left_semi"), staff)
    kept = before.join(F.broadcast(touched), key, "left_anti")
    return kept.select(*again.columns).unionByName(again)


def lifetimes(
    before: DataFrame, days: DataFrame, subject: DataFrame, scope: Scope, dates: Sequence[date]
) -> DataFrame:
    """Users without the subject; forgotten staff of a merchant folded again from their days.

    ``days``: state_user_days as they are now; ``dates``: the first and last business date in them.
    """
    merchant, staff_of = scope
    rest = before.crossJoin(F.broadcast(subject)).where(~is_subject(merchant)).drop("_subject")
    if not staff_of:
        return rest
    theirs = F.col("merchant_id").isin(*staff_of) & (F.col("user_key") == F.lit(FORGOTTEN_STAFF))
    folded = users(None, days.where(theirs), dates[-1], dates[0])
    return rest.where(~theirs).unionByName(folded.select(*rest.columns))
