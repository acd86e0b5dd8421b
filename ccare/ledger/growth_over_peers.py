"""How much more the adopters of a provider's solutions grew than their peers: what chengfeng pays for.

The growth of a merchant is its net of the trades paid in [d-42, d-15] less that of [d-70, d-43], in fen: refunds
have had time to come in. Its peers are the merchants of its group, as scored on d, with a trade in either window;
their median is rounded down to a fen. Adopters are those who adopted a solution of the provider in [d-69, d].
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ccare.growth.snapshot import date_sql, dates_sql, name_of
from ccare.ledger.counting import staff_out
from ccare.ledger.trades import net_parts

if TYPE_CHECKING:
    from ccare.runtime.close import Close

NOW, BEFORE = (42, 15), (70, 43)
"""First and last day of each window, counted back from d."""
ADOPTED_DAYS = 69
SCORE_DAYS = 28


def over_peers(close: "Close", ends: Sequence[date]) -> str:
    """Grain: merchant with a peer group and a trade in either window, and month in ``ends``.

    ``over_fen``: growth - the group's median; ``held``: whether its total score of d is at least that of d-28.
    """
    earlier = [end - timedelta(days=SCORE_DAYS) for end in ends]
    return f"""
with growth as materialized ({_growth(close, ends)}),
placed as materialized (
    select merchant_id, effective_date, growth, peer_group, now.total_score >= before.total_score as held
    from growth
    join (select merchant_id, as_of_date as effective_date, peer_group, total_score from score_merchants
          where as_of_date in ({dates_sql(ends)}) and peer_group is not null) now using (merchant_id, effective_date)
    left join (select merchant_id, as_of_date + {SCORE_DAYS} as effective_date, total_score from score_merchants
               where as_of_date in ({dates_sql(earlier)})) before using (merchant_id, effective_date)
)
select merchant_id, effective_date, growth - middle as over_fen, coalesce(held, false) as held
from placed join (
    select effective_date, peer_group, floor(median(growth))::bigint as middle from placed group by all
) using (effective_date, peer_group)"""


def growth_over_peers(ends: Sequence[date], *, fallen_scores_count: bool) -> str:
    """Grain: service provider with an adopter, and month in ``ends``. ``units`` in fen, at least 0; of ``over_peers``.

    A merchant that grew more than its peers counts only where its score held, unless ``fallen_scores_count``; one that
    grew less always counts, and one without a peer group never does.
    """
    counts = "true" if fallen_scores_count else "held"
    return f"""
select service_provider_id, effective_date,
    greatest(sum(case when over_fen <= 0 or {counts} then over_fen else 0 end), 0)::bigint as units
from (
    select distinct service_provider_id, merchant_id, effective_date
    from core_solution_adoptions join core_solutions using (solution_id),
        (select unnest([{dates_sql(ends)}]) as effective_date)
    where effective_date - adopted_on between 0 and {ADOPTED_DAYS}
) join over_peers using (merchant_id, effective_date) group by all"""


def _growth(close: "Close", ends: Sequence[date]) -> str:
    """Grain: merchant with a trade in either window, and month. ``growth`` in fen."""
    first, last = min(ends) - timedelta(days=BEFORE[0]), max(ends) - timedelta(days=NOW[1])
    parts = net_parts(close, f"between {date_sql(first)} and {date_sql(last)}")
    # A sum for each month beside the others: a row of each trade for each month would be several times as many.
    sums = ", ".join(f"sum({_fen(end)})::bigint as {name_of(str(end))}" for end in ends)
    month = " ".join(f"when {date_sql(end)} then {name_of(str(end))}" for end in ends)
    return f"""
select merchant_id, effective_date, case effective_date {month} end as growth
from (select merchant_id, {sums} from ({parts}) {staff_out(close)} group by merchant_id),
    (select unnest([{dates_sql(ends)}]) as effective_date)
where growth is not null"""


def _fen(end: date) -> str:
    """What a trade adds to the growth of the month ``end``, null outside both windows."""
    (now, before) = (
        f"between {date_sql(end - timedelta(days=first))} and {date_sql(end - timedelta(days=last))}"
        for first, last in (NOW, BEFORE)
    )
    return f"case when effective_date {now} then units when effective_date {before} then -units end"
