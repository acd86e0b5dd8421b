"""Laws of scores: bounded, monotone, blind to order and partitioning, unmoved by others between freezes."""

import math
import random
from datetime import date

import pytest

from ccare.metrics.definitions import METRIC_BY_ID
from ccare.runtime.settings import default_conf
from ccare.scoring.policy import load_scoring
from tests.scoring.metric_rows import DAY, market, metric_row
from tests.scoring.scored import frozen, scored

WEIGHTED = tuple(load_scoring(default_conf()).for_day(DAY).weights)
DIMENSIONS = ("scale", "activity", "potential", "efficiency", "total")


@pytest.fixture(scope="module")
def then():
    return market(11, 300)


@pytest.fixture(scope="module")
def benchmarks(then):
    return frozen(then)


def _scores(rows):
    return {row["merchant_id"]: row for row in rows}


def test_bounded(benchmarks) -> None:
    drivers, merchants = scored(market(12, 200, DAY), benchmarks)
    for row in drivers:
        assert 0 <= row["percentile_low"] <= row["percentile"] <= row["percentile_high"] <= 100
        assert math.isfinite(row["contribution"])
    for row in merchants:
        for name in DIMENSIONS:
            assert row[f"{name}_score"] is None or 0 <= row[f"{name}_score"] <= 100


def _improved(row: dict, metric_id: str, share: float) -> dict:
    """The same merchant with one value better at equal n: a count raised, a ratio's numerator moved."""
    metric, better = METRIC_BY_ID[metric_id], dict(row)
    if not metric.is_ratio:
        better[metric_id] = row[metric_id] + 1 + int(40 * share)
        return better
    top, bottom = f"{metric_id}_num", f"{metric_id}_den"
    if metric.scored_as == "part_of_whole":
        moved = int(row[bottom] * share)
        return better | {top: row[top] + moved, bottom: row[bottom] - moved}
    if not row[bottom]:
        return better
    limit = 0 if metric.lower_is_better else row[bottom] if metric.is_proportion else 10 * abs(row[top]) + 900
    better[top] = row[top] + int((limit - row[top]) * share)
    better[metric_id] = better[top] / better[bottom]
    return better


def test_a_better_value_never_lowers_a_score(benchmarks) -> None:
    """Every metric of 40 merchants, bettered a little and a lot at equal n and unchanged group."""
    rng, rows, pairs = random.Random(13), [], []
    for base in market(14, 40, DAY):
        rows.append(base)
        for metric_id in WEIGHTED:
            if metric_id == "c_mau28":  # also the n of other metrics and the tier: not one value alone
                continue
            for share in (rng.random() / 5, rng.random()):
                name = f"{base['merchant_id']}-{metric_id}-{share}"
                rows.append(_improved(base, metric_id, share) | {"merchant_id": name})
                pairs.append((base["merchant_id"], name))
    found = _scores(scored(rows, benchmarks)[1])
    raised = 0
    for base, better in pairs:
        for name in DIMENSIONS:
            before, after = found[base][f"{name}_score"], found[better][f"{name}_score"]
            if before is not None:
                assert after >= before, (better, name)
                raised += after > before
    assert raised > 300, "the pairs hardly differ: the law was not put to the test"


def test_order_and_partitioning_change_nothing(then, benchmarks) -> None:
    shuffled = random.Random(15).sample(then, len(then))
    assert frozen(shuffled) == benchmarks
    today = market(16, 120, DAY)
    again = random.Random(17).sample(today, len(today))
    assert scored(today, benchmarks) == scored(again, benchmarks[::-1])


def test_others_change_nothing_between_freezes(benchmarks) -> None:
    today = market(18, 60, DAY)
    alone = _scores(scored(today[:30], benchmarks)[1])
    giants = [row | {"merchant_id": f"x{i}", "c_mau28": 10**6} for i, row in enumerate(today[30:])]
    among = _scores(scored(today[:30] + giants, benchmarks)[1])
    assert all(among[name] == row for name, row in alone.items())


def test_one_lucky_order_does_not_reach_the_top(benchmarks) -> None:
    """One user of one who paid is 100 %, 400 of 500 are 80 %: shrinkage puts the second above."""

    def payers(name: str, paid: int, users: int) -> dict:
        return metric_row(
            name, DAY, c_mau28=users, r_pay_conversion_num=paid, r_pay_conversion_den=users, events_56d=users
        )

    lucky, proven = payers("lucky", 1, 1), payers("proven", 400, 500)
    group = [{"merchant_id": m, "as_of_date": DAY, "peer_group": "cafe/large"} for m in ("lucky", "proven")]
    drivers, _ = scored([lucky, proven], benchmarks, previous=group)
    place = {r["merchant_id"]: r["percentile"] for r in drivers if r["metric_id"] == "r_pay_conversion"}
    assert place["lucky"] < place["proven"]


def test_without_events_there_is_nothing_rather_than_0(benchmarks) -> None:
    drivers, merchants = scored([metric_row("quiet", DAY), metric_row("seen", DAY, events_56d=1)], benchmarks)
    found = _scores(merchants)
    assert {found["quiet"][f"{name}_score"] for name in DIMENSIONS} == {None}
    assert found["quiet"]["score_status"] == "inactive"
    assert {row["driver_status"] for row in drivers if row["merchant_id"] == "quiet"} == {"none"}
    assert {row["value"] for row in drivers if row["denominator"] == 0} == {None}


def test_without_merchants_there_are_no_rows(benchmarks) -> None:
    """A lake whose first days bring nobody closes all the same."""
    assert frozen([]) == []
    assert scored([], []) == scored([], benchmarks) == ([], [])


def test_a_month_without_benchmarks_compares_with_the_last_frozen(benchmarks) -> None:
    """Byte for byte what April's benchmarks give, under April's groups; only the status says so."""
    april, may = date(2024, 4, 9), date(2024, 5, 2)
    first = scored(market(21, 60, april), benchmarks, april)
    rows = [row | {"as_of_date": may} for row in market(21, 60, april)]
    again = scored(rows, benchmarks, may, first[1], benchmarks_of="2024-04")
    dated = {"as_of_date": april}
    assert [row | dated for row in again[0]] == first[0]
    assert {row["benchmark_status"] for row in again[1]} == {"last_frozen"}
    assert [row | dated | {"benchmark_status": "monthly"} for row in again[1]] == first[1]
    _, none = scored(rows, benchmarks, may, first[1])
    assert {row["total_score"] for row in none} == {None}


def test_extreme_amounts_give_finite_scores(benchmarks) -> None:
    most = 2**62
    huge = market(22, 1, DAY)[0] | {"c_mau28": 30, "events_56d": 9, "r_orders": 4}
    for name, num, den in (("r_arpu", most, 1), ("r_arpu", -most, 1), ("e_cost_per_new_payer", most, 1)):
        huge |= {f"{name}_num": num, f"{name}_den": den, name: num / den}
        drivers, merchants = scored([huge], benchmarks)
        for row in drivers:
            assert all(math.isfinite(row[c]) for c in ("percentile", "percentile_low", "percentile_high"))
            assert row["shrunk_value"] is None or math.isfinite(row["shrunk_value"])
        told = [merchants[0][f"{name}_score"] for name in DIMENSIONS]
        assert any(score is not None for score in told)
        assert all(score is None or 0 <= score <= 100 for score in told)


def test_all_equal_metrics_stand_in_the_middle() -> None:
    """Peers that are all alike: the middle for each, whatever the metric's direction."""
    one = market(19, 1)[0] | {"c_mau28": 30, "events_56d": 9, "industry": "cafe"}
    rows = [one | {"merchant_id": f"m{i}"} for i in range(60)]
    frozen_rows = frozen(rows)
    drivers, _ = scored([row | {"as_of_date": DAY} for row in rows], frozen_rows)
    assert {row["percentile"] for row in drivers} == {50.0}
    assert {row["target"] for row in drivers} == {None}
