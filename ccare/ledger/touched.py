"""Which merchants and effective dates a close looks at again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from ccare.abuse.spans import earlier_judged
from ccare.ledger.frames import between
from ccare.ledger.rules import USER_KINDS, TradeNet
from ccare.ledger.user_days import FOLLOWED, JOINED, follow_ups

if TYPE_CHECKING:
    from ccare.ledger.policy import LedgerPolicy
    from ccare.runtime.close import Close

Inputs = Mapping[str, DataFrame]
KEY = ["merchant_id", "effective_date"]
_RELATED = FOLLOWED | JOINED


def staff_pairs(inputs: Inputs, close: "Close") -> DataFrame:
    """Pairs of merchant and user known as staff by this close; they act on old rows too."""
    known = inputs["core_staff"].filter(F.col("taken_on") <= F.lit(close.day))
    return known.select("merchant_id", "user_key")


def touched_keys(inputs: Inputs, close: "Close") -> DataFrame:
    """Merchant and effective date of what this close looks at again; a key may come up several times.

    Dates of rows that came in and of trades refunded; all dates of users who became staff, of merchants whose record
    or enrolment came in, and of keys that another policy booked. Where users are counted by their days: also the
    later dates of users of whom a late row came in, and the dates on which a follow or joining becomes due. Where abuse
    rules are in force: earlier dates that a late row has them judge again.
    """
    policy, start = close.ledger, close.earn_start
    changes, refunds, days = inputs["state_changes"], inputs["state_refund_days"], inputs["state_user_days"]
    counts_users = bool(policy.user_rules)
    own = changes if counts_users else changes.filter(_any("orders", "gmv_fen"))
    given_back = changes.filter(_any("refunds", "refund_fen"))
    returned = given_back.select("merchant_id", F.col("business_date").alias("refund_date"))
    of_refunds = refunds.join(F.broadcast(returned), ["merchant_id", "refund_date"], "left_semi")
    booked = inputs["ledger_positions"].filter(F.col("merchant_id").isNotNull() & ~_is_fixed(policy))
    of_policy = booked.filter(~F.col("policy_version").eqNullSafe(F.lit(policy.version)))
    found = (
        own.select("merchant_id", as_effective("business_date"))
        .union(of_refunds.select("merchant_id", as_effective("paid_date")))
        .union(_of_people(inputs, close))
        .union(of_policy.select(*KEY))
    )
    if any(p.asks != "everyone" for p in policy.programmes):
        found = found.union(_of_merchants(inputs, close))
    judged_again = earlier_judged(inputs["state_changes"], close)
    if judged_again is not None:
        found = found.union(judged_again.select(*KEY))
    for n in follow_ups(policy.user_rules):
        due = days.filter(F.col("business_date") == F.lit(close.day - timedelta(days=n)))
        due = due.filter(F.col("tasks").bitwiseAND(_RELATED) != 0)
        found = found.union(due.select("merchant_id", F.lit(close.day).alias("effective_date")))
    return found.filter(between(F.col("effective_date"), start, close.day))


def _is_fixed(policy: "LedgerPolicy") -> Column:
    """Whether a position is of a rule whose keys follow no rows that come in: it is told on days of its own."""
    rules = [(f"{p.name}|{rule.name}", rule) for p in policy.programmes for rule in p.rules]
    follow = {name for name, rule in rules if rule.kind in USER_KINDS or isinstance(rule, TradeNet)}
    fixed = sorted({name for name, _ in rules} - follow)
    return F.concat_ws("|", "programme", "rule").isin(*fixed) if fixed else F.lit(False)


def dates_about(policy: "LedgerPolicy") -> Column:
    """Effective dates that a day of a user may count for, of state_user_days columns."""
    day = F.col("business_date")
    due = [F.date_add(day, n) for n in follow_ups(policy.user_rules)]
    if not due:
        return F.array(day)
    related = F.coalesce("tasks", F.lit(0)).bitwiseAND(_RELATED) != 0
    return F.when(related, F.array(day, *due)).otherwise(F.array(day))


def _of_people(inputs: Inputs, close: "Close") -> DataFrame:
    """Dates of users who became staff, and of whom a late row came in.

    A late row can change what counts on any later day of its user: who was new, when somebody had paid before.
    """
    start = close.earn_start
    longest = max(follow_ups(close.ledger.user_rules), default=0)
    since = start - timedelta(days=longest)
    staff = inputs["core_staff"].filter(F.col("taken_on") == F.lit(close.day))
    again = staff.select("merchant_id", "user_key", F.lit(since).alias("since"))
    if close.ledger.user_rules and close.day > start:
        late = inputs["state_changes"].filter(F.col("business_date") < F.lit(close.day))
        late = late.filter(F.col("user_key").isNotNull())
        again = again.union(late.select("merchant_id", "user_key", F.date_sub("business_date", longest)))
    # A user may come up several times: the earliest date that anything came in for counts.
    again = again.groupBy("merchant_id", "user_key").agg(F.min("since").alias("since"))
    recent = inputs["state_user_days"].filter(between(F.col("business_date"), since, close.day))
    theirs = recent.join(F.broadcast(again), ["merchant_id", "user_key"])
    theirs = theirs.filter(F.col("business_date") >= F.col("since"))
    return theirs.select("merchant_id", F.explode(dates_about(close.ledger)).alias("effective_date"))


def _of_merchants(inputs: Inputs, close: "Close") -> DataFrame:
    """Dates of merchants whose record or enrolment came in, each from the day that it is about."""
    came = F.col("taken_on") == F.lit(close.day)
    changed = inputs["core_merchants"].filter(came).select("merchant_id")
    if any(p.asks == "enrolled" for p in close.ledger.programmes):
        enrolled = inputs["core_enrolments"].filter(came).select(F.col("party").alias("merchant_id"))
        changed = changed.union(enrolled)
    recent = inputs["state_user_days"].filter(between(F.col("business_date"), close.earn_start, close.day))
    theirs = recent.join(F.broadcast(changed), "merchant_id", "left_semi")
    return theirs.select("merchant_id", F.explode(dates_about(close.ledger)).alias("effective_date"))


def as_effective(day: str) -> Column:
    """Date column ``day`` as the effective date."""
    return F.col(day).alias("effective_date")


def _any(*names: str) -> Column:
    found = F.lit(False)
    for name in names:
        found = found | (F.coalesce(name, F.lit(0)) != 0)
    return found
