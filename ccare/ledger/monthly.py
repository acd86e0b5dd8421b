"""What programmes that pay by the month count, on a month's last day and never else.

Each of their keys is told whole from what is known by then, its own month's and those told again, so late rows,
refunds and restated peers come out as rises and falls like anything else.
"""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import duckdb

from ccare.growth.snapshot import dates_sql, quoted
from ccare.ledger.growth_over_peers import growth_over_peers, over_peers
from ccare.ledger.months import told_months
from ccare.ledger.rules import GrowthOverPeers, Monthly, ServedFees, SettledFees
from ccare.ledger.settled import SERVED_FEES, settled_months

if TYPE_CHECKING:
    from ccare.runtime.close import Close


def monthly(con: duckdb.DuckDBPyConnection, close: "Close") -> Iterator[str]:
    """Queries of measure, the two ids, effective_date, units and refusal; none on any other day.

    What several rules count from is made once, of the most months that any of them tells.
    """
    rules = {r.measure: r for r in close.ledger.rules if isinstance(r, Monthly)}
    told = {name: told_months(close.day, close.earn_start, rule.told_again) for name, rule in rules.items()}
    grown = [ends for name, ends in told.items() if isinstance(rules[name], GrowthOverPeers)]
    settled = [ends for name, ends in told.items() if not isinstance(rules[name], GrowthOverPeers)]
    if most := max(grown, key=len, default=()):
        con.execute(f"create temp table over_peers as {over_peers(close, most)}")
    if most := max(settled, key=len, default=()):
        con.execute(f"create temp table settled as {settled_months(close, most)}")
    for name, ends in told.items():
        if ends:
            yield _with_booked(_counts(close, rules[name], ends), close, name, ends)


def _counts(close: "Close", rule: Monthly, ends: tuple[date, ...]) -> str:
    """merchant_id, service_provider_id, effective_date, units, refusal."""
    if isinstance(rule, GrowthOverPeers):
        return _placed(close, rule, ends)
    if isinstance(rule, ServedFees):
        return f"select null as merchant_id, *, null as refusal from ({SERVED_FEES})"
    units = "fee_fen" if isinstance(rule, SettledFees) else "net_fen"
    return f"""
select merchant_id, null as service_provider_id, effective_date, {units} as units, null as refusal from settled"""


def _placed(close: "Close", rule: GrowthOverPeers, ends: tuple[date, ...]) -> str:
    """Growth of providers, with ``refusal`` where one came after the last place.

    Whoever joins later, or registers a first solution, takes no place away from one that has earned.
    """
    grown = growth_over_peers(ends, fallen_scores_count=rule.fallen_scores_count)
    return f"""
select null as merchant_id, service_provider_id, effective_date, units,
    case when place > {rule.most_providers} then 'providers_full' end as refusal
from ({grown}) join (
    select service_provider_id, row_number() over (
        order by service_provider_id not in (
            select service_provider_id from ledger_positions
            where service_provider_id is not null and ({_is_of(close, rule.measure)})
        ), joined_on nulls last, service_provider_id) as place
    from (select distinct service_provider_id from core_solutions)
    left join core_service_providers using (service_provider_id)
) using (service_provider_id)"""


def _with_booked(counts: str, close: "Close", measure: str, ends: tuple[date, ...]) -> str:
    """``counts`` and, so that they are seen falling to nothing, the keys of its months that are booked."""
    months = f"effective_date in ({dates_sql(ends)})"
    return f"""
select {quoted(measure)} as measure, merchant_id, service_provider_id, effective_date, sum(units)::bigint as units,
    max(refusal)::varchar as refusal
from (
    from ({counts}) where {months}
    union all
    select merchant_id, service_provider_id, effective_date, 0, null from ledger_positions
    where ({_is_of(close, measure)}) and {months}
) group by all"""


def _is_of(close: "Close", measure: str) -> str:
    """Whether a position is of a rule that counts ``measure``."""
    of = (
        f"programme = {quoted(p.name)} and rule = {quoted(rule.name)}"
        for p in close.ledger.programmes
        for rule in p.rules
        if rule.measure == measure
    )
    return " or ".join(of)
