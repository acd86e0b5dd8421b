"""metric_merchants against a recomputation from plain facts, on seeded random worlds and as-of days."""

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest

from ccare.metrics.merchant_metrics import merchant_metrics
from ccare.metrics.user_facts import user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime.spark import frame, held
from ccare.tables import table
from tests.held_lake import held_lake
from tests.oracle.merchant_metrics import World, metrics

pytestmark = pytest.mark.spark
LAST = date(2024, 5, 31)


def _world(seed: int) -> World:
    rng, world = random.Random(seed), World()
    for m in range(12):
        start = LAST - timedelta(days=rng.randrange(300))
        end = start + timedelta(days=rng.randrange(200)) if rng.random() < 0.3 else None
        world.merchants[f"m{m}"] = (start, end, rng.choice(["cafe", "bar"]))
        for u in range(rng.randrange(25)):
            _user(rng, world, f"m{m}", f"u{u}")
        _trades(rng, world, f"m{m}")
    return world


def _user(rng: random.Random, world: World, merchant: str, user: str) -> None:
    pair = (merchant, user)
    if rng.random() < 0.1:
        world.staff.add(pair)
    if rng.random() < 0.4:
        world.reachable.add(pair)
    day = LAST - timedelta(days=rng.randrange(200))
    while day <= LAST:
        world.active[pair].add(day)
        if rng.random() < 0.5:
            world.paid[pair].add(day)
        # Gaps around the borders of 28, 56 and 64 days come up often.
        day += timedelta(days=rng.choice([1, 1, 2, 5, 13, 27, 28, 29, 56, 63, 64, 65]))


def _trades(rng: random.Random, world: World, merchant: str) -> None:
    for _ in range(rng.randrange(60)):
        day = LAST - timedelta(days=rng.randrange(120))
        amount = rng.choice([0, 1, 990, 12_345])
        world.trades.append((merchant, day, amount, rng.randrange(50), rng.randrange(9)))
        if amount and rng.random() < 0.4:
            refunded = day + timedelta(days=rng.randrange(40))
            world.refunds.append((merchant, day, refunded, rng.randrange(1, amount + 1)))


def _word(days: set[date], anchor: date, first: int = 0) -> int:
    bits = {(anchor - day).days - first for day in days}
    word = sum(1 << bit for bit in bits if 0 <= bit < 64)
    return word - (1 << 64) if word >= 1 << 63 else word


def _state(world: World, upto: date) -> dict[str, list[dict]]:
    """State tables as the folds leave them when the events up to ``upto`` are in."""
    users, days = [], defaultdict(lambda: defaultdict(int))
    for (m, u), all_days in world.active.items():
        active = {day for day in all_days if day <= upto}
        paid = {day for day in world.paid[m, u] if day <= upto}
        if not active:
            continue
        row = {"merchant_id": m, "user_key": u, "first_seen_date": min(active), "last_seen_date": max(active)}
        row |= {"active_bits": _word(active, max(active))}
        if paid:
            row |= {"first_paid_date": min(paid), "last_paid_date": max(paid)}
            row |= {"paid_bits": _word(paid, max(paid)), "paid_bits_older": _word(paid, max(paid), 64)}
        if (m, u) in world.reachable:
            row |= {"collect_on": True, "collect_at": datetime(2023, 1, 1, tzinfo=UTC)}
        users.append(row)
        for day in active:
            days[m, day]["active_events"] += 1
    for m, day, amount, discount, fee in world.trades:
        if day <= upto:
            sums = days[m, day]
            sums["orders"] += 1
            sums["gmv_fen"] += amount
            sums["merchant_discount_fen"] += discount
            sums["fee_fen"] += fee
    refunds = [r for r in world.refunds if r[2] <= upto]
    for m, _, day, amount in refunds:
        days[m, day]["refund_fen"] += amount
    merchant_rows = [
        {"merchant_id": m, "industry": i, "valid_from": start, "valid_to": end, "taken_on": date(2023, 1, 1)}
        for m, (start, end, i) in world.merchants.items()
    ]
    staff = [{"merchant_id": m, "user_key": u, "taken_on": date(2023, 1, 1)} for m, u in world.staff]
    return {
        "state_users": users,
        "state_merchant_days": [
            {"merchant_id": m, "business_date": day, **v} for (m, day), v in days.items()
        ],
        "state_refund_days": [
            {"merchant_id": m, "paid_date": paid, "refund_date": back, "refund_fen": amount}
            for m, paid, back, amount in refunds
        ],
        "core_merchants": merchant_rows,
        "core_staff": staff,
    }


def _built(spark, state: dict[str, list[dict]], day: date, parts: int = 0) -> dict[str, dict]:
    inputs = {name: frame(spark, table(name), rows) for name, rows in state.items()}
    if parts:
        inputs = {name: df.repartition(parts) for name, df in inputs.items()}
    as_of = AsOf(day, "Asia/Shanghai")
    with held_lake({name: state[name] for name in ("state_users", "core_staff")}) as con:
        inputs["metric_user_facts"] = held(spark, table("metric_user_facts"), user_facts(con, as_of))
    inputs["metric_merchant_facts"] = frame(spark, table("metric_merchant_facts"))
    inputs["core_voucher_events"] = frame(spark, table("core_voucher_events"))
    rows = merchant_metrics(inputs, as_of).collect()
    assert len({row.merchant_id for row in rows}) == len(rows)
    return {row.merchant_id: row.asDict() for row in rows}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_plain_recomputation(spark, seed: int) -> None:
    world = _world(seed)
    expected = metrics(world, LAST)
    found = _built(spark, _state(world, LAST), LAST)
    assert set(found) == set(expected)
    for name, row in expected.items():
        for column, value in row.items():
            assert found[name][column] == value, (seed, name, column)


def test_state_of_later_days_gives_the_same(spark) -> None:
    """Anchors up to 8 days after the day still cover P28; relations aside, a later state tells the same."""
    world, day = _world(4), LAST - timedelta(days=8)
    expected = metrics(world, day)
    found = _built(spark, _state(world, LAST), day)
    assert set(found) == set(expected)
    for name, row in expected.items():
        for column, value in row.items():
            if column != "c_reachable":
                assert found[name][column] == value, (name, column)


def test_partitioning_and_order_change_nothing(spark) -> None:
    state = _state(_world(5), LAST)
    shuffled = {name: random.Random(9).sample(rows, len(rows)) for name, rows in state.items()}
    assert _built(spark, state, LAST) == _built(spark, shuffled, LAST, parts=7)


def test_growth_accounting_adds_up(spark) -> None:
    for row in _built(spark, _state(_world(6), LAST), LAST).values():
        gained = row["c_growth_new"] + row["c_growth_resurrected"]
        assert row["c_mau28"] == gained + row["c_growth_retained"]
        assert row["c_mau28"] - row["a_return_rate_den"] == gained - row["c_growth_churned"]
