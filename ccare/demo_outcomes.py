"""What a full demo shows of every programme: declared here, compared with what its lake says at the end.

A rule of each programme is seen granting, and each programme refusing for each reason that its declaration gives it.
"""

from collections.abc import Iterable, Mapping, Sequence

from ccare.exports.summary_data import Outcome
from ccare.ledger.programmes import Programme
from ccare.ledger.reasons import Refusal
from ccare.ledger.rules import GrowthOverPeers, GuidedReturn, Monthly, TopOfPeers

GRANTED = "granted"
CUT: frozenset[Refusal] = frozenset(
    (
        "terminal_cap",
        "day_cap",
        "month_cap",
        "providers_full",
        "merchants_full",
        "industries_full",
        "cut_by_pool",
    )
)
"""Outcomes by which a cap or a pool is seen cutting."""

SHOWN: Mapping[str, tuple[Refusal, ...]] = {
    "fanxing": ("no_mini_program", "day_cap", "cut_by_pool", "too_late", "withheld"),
    "luoma": ("industry_not_admitted", "terminal_cap", "cut_by_pool", "too_late", "withheld"),
    "fuyou": ("private_share_low", "beyond_top_share", "cut_by_pool", "withheld"),
    "chengfeng": ("providers_full", "cut_by_pool"),
    "resource_pack": ("cut_by_pool", "withheld"),
    "wufu": ("not_enrolled", "merchants_full", "industries_full", "cut_by_pool", "too_late", "withheld"),
}
"""Reasons for which each programme refuses or cuts in a full demo; besides, each of its rules grants."""


def reasons_of(programme: Programme) -> set[Refusal]:
    """Every reason for which ``programme``, by its declaration, may refuse or cut."""
    found: set[Refusal] = {"cut_by_pool"}
    if programme.eligibility == "mini_program":
        found.add("no_mini_program")
    elif programme.eligibility == "trade":
        found.add("industry_not_admitted")
    elif programme.eligibility == "enrolled":
        found.add("not_enrolled")
        found |= {"merchants_full"} if programme.most_merchants else set()
        found |= {"industries_full"} if programme.most_industries else set()
    if programme.most_a_month is not None:
        found.add("month_cap")
    for rule in programme.rules:
        if rule.most_a_day is not None:
            found.add("day_cap")
        if rule.party == "merchant":
            found.add("withheld")
        if isinstance(rule, TopOfPeers):
            found.add("beyond_top_share")
            found |= {"private_share_low"} if rule.least_private_percent else set()
        elif (
            not isinstance(rule, Monthly)
            or rule.most_days_late > programme.maturity_days + programme.expiry_days
        ):
            # A month whose grants still stand when it is told for the last time refuses nothing as too late.
            found.add("too_late")
        if isinstance(rule, GuidedReturn):
            found.add("terminal_cap")
        if isinstance(rule, GrowthOverPeers):
            found.add("providers_full")
    return found


def not_seen(outcomes: Iterable[Outcome], programmes: Sequence[Programme]) -> list[str]:
    """What is declared and missing among ``outcomes``, as "programme rule: granted" or "programme: reason"."""
    told = list(outcomes)
    granted = {(o.programme, o.rule) for o in told if o.outcome == GRANTED}
    refused = {(o.programme, o.outcome) for o in told}
    rules = dict.fromkeys((p.name, rule.name) for p in programmes for rule in p.rules)
    missing = [f"{name} {rule}: {GRANTED}" for name, rule in rules if (name, rule) not in granted]
    return missing + [
        f"{name}: {reason}"
        for name, reasons in SHOWN.items()
        for reason in reasons
        if (name, reason) not in refused
    ]
