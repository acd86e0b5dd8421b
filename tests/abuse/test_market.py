"""The product's own rules on a small simulated market: cheats are withheld, honest merchants are not."""

import pytest

from bench.abuse import FLAGGED, judge, outcomes, together
from bench.abuse_market import CHEATS, HARD, market
from ccare.abuse.policy import load_abuse
from ccare.runtime.settings import default_conf

pytestmark = pytest.mark.spark


def test_cheats_are_withheld_and_honest_merchants_are_not(spark) -> None:
    town = market(101, honest=5, hard=1, cheats=1)
    found = outcomes(town, *judge(spark, town, load_abuse(default_conf())))
    for kind in CHEATS:
        if kind == FLAGGED:
            assert found[kind].withheld == 0 and found[kind].flagged == found[kind].merchants
        else:
            assert found[kind].share >= 0.9, (kind, found[kind])
    honest = together(told for kind, told in found.items() if kind not in CHEATS)
    assert honest.stake > 0 and honest.share < 0.005, honest
    assert set(HARD) <= set(found)


def test_the_market_is_the_same_for_the_same_seed() -> None:
    first, second, other = (market(seed, honest=2, hard=0, cheats=1) for seed in (7, 7, 8))
    names = sorted(first.tables)
    order = {name: [(c, "ascending") for c in first.tables[name].column_names] for name in names}
    same = {n: first.tables[n].sort_by(order[n]).equals(second.tables[n].sort_by(order[n])) for n in names}
    assert all(same.values()), same
    assert not first.tables["core_payments"].equals(other.tables["core_payments"])
