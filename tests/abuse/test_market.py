"""The product's own rules on a small simulated market: cheats are withheld, honest merchants are not."""

from collections import defaultdict
from datetime import date

import pyarrow as pa
import pytest

from bench.abuse import FLAGGED, Outcome, judge, missed, outcomes, together
from bench.abuse_market import CHEATS, HARD, market
from ccare.abuse.policy import load_abuse
from ccare.runtime.settings import default_conf

pytestmark = pytest.mark.spark


def test_cheats_are_withheld_and_honest_merchants_are_not(spark) -> None:
    town = market(101, honest=5, hard=1, cheats=1)
    verdicts, evidence = judge(spark, town, load_abuse(default_conf()))
    found = outcomes(town, verdicts, evidence)
    seen = families(evidence)
    for kind in CHEATS:
        if kind != FLAGGED:
            assert len(seen[kind]) >= 2, (
                f"a pattern can withhold only where two families see it: {kind} {seen[kind]}"
            )
    for kind in CHEATS:
        if kind == FLAGGED:
            assert found[kind].withheld == 0 and found[kind].flagged == found[kind].merchants
        else:
            assert found[kind].share >= 0.9, (kind, found[kind])
    honest = together(told for kind, told in found.items() if kind not in CHEATS)
    assert honest.stake > 0 and honest.share < 0.005, honest
    assert set(HARD) <= set(found)


def families(evidence: pa.Table) -> dict[str, set[str]]:
    """Kind of merchant -> families of the rules that speak about one of it, on one and the same date."""
    of_date: dict[tuple[str, date], set[str]] = defaultdict(set)
    for row in evidence.to_pylist():
        if row["effect"] == "withhold":
            of_date[row["merchant_id"], row["effective_date"]].add(row["family"])
    most: dict[str, set[str]] = defaultdict(set)
    for (merchant, _), told in of_date.items():
        kind = merchant.split("-")[0]
        most[kind] = max(most[kind], told, key=len)
    return most


def outcome(stake: int, withheld: int) -> Outcome:
    return Outcome(stake, withheld, 1, int(withheld > 0), (), 0, 2 * stake, withheld)


def test_what_is_missed_is_said_and_ends_in_an_exit_code() -> None:
    good = {kind: [outcome(100, 90), outcome(100, 90)] for kind in CHEATS if kind != FLAGGED}
    good |= {FLAGGED: [outcome(100, 0)], "shop": [outcome(1_000, 4)]}
    assert missed(good) == [] and together(good["brushing"]).share_ever == 0.45
    one_seed_less = good | {"brushing": [outcome(100, 90), outcome(100, 89)], "shop": [outcome(1_000, 5)]}
    assert missed(one_seed_less) == [
        "brushing is recalled by 89.50%, less than 90%",
        "honest merchants lose 0.50%, not less than 0.5%",
    ]


def test_the_market_is_the_same_for_the_same_seed() -> None:
    first, second, other = (market(seed, honest=2, hard=0, cheats=1) for seed in (7, 7, 8))
    names = sorted(first.tables)
    order = {name: [(c, "ascending") for c in first.tables[name].column_names] for name in names}
    same = {n: first.tables[n].sort_by(order[n]).equals(second.tables[n].sort_by(order[n])) for n in names}
    assert all(same.values()), same
    assert not first.tables["core_payments"].equals(other.tables["core_payments"])
