"""Each public slot from a scene or position in a delivered line to the transfer that its points end in."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from ledger_reference import Terms
from ledger_world import TRAFFIC, SparkBooks, World, policies
from pyspark.sql import functions as F

from ccare.events.fate import ACCEPTED
from ccare.events.slots import load_slots
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import conform, frame, held
from ccare.tables import table
from ccare.tables.streams import MINI_PROGRAM
from jobs import metric_funnels, state_changes
from tests.events.test_fates import DAY, close, judged
from tests.held_lake import held_lake

pytestmark = pytest.mark.spark
SLOTS = load_slots(default_conf(), DAY)
CODES = [
    (slot, kind, code)
    for kind, codes in (("scene", SLOTS.scenes), ("promo_position", SLOTS.positions))
    for code, slot in codes.items()
    if slot in SLOTS.public
]
PAID_AD = next(code for code, slot in SLOTS.scenes.items() if slot == "paid_ad")


@dataclass(frozen=True)
class Road:
    """What came of a launch from each code, and of a request for each slot."""

    core: dict[tuple[str, str], str]
    funnel: dict[str, int]
    requests: dict[str, dict]
    transfers: list[dict]


@pytest.fixture(scope="module")
def road(books_spark):
    core = launched(books_spark)
    books = redeemed(books_spark)
    return Road(
        {tuple(row["event_id"].split(":", 1)): row["slot"] for row in core.collect()},
        funnel_of(books_spark, core),
        {row["slot"]: row for row in books.rows("ledger_requests")},
        books.rows("ledger_transfers"),
    )


def launched(spark):
    """One user launches from each code; where a position is known, the scene says something else."""
    lines = []
    for _, kind, code in CODES:
        row = {
            "event_id": f"{kind}:{code}",
            "event_type": "launch",
            "merchant_id": "m1",
            "user_id": f"{kind}-{code}",
        }
        row |= {"occurred_at": f"{DAY}T10:00:00+08:00", "scene": PAID_AD} | {kind: code}
        lines.append(json.dumps(row))
    told = judged(spark, lines, MINI_PROGRAM)
    assert told.where(F.col("fate") != ACCEPTED).count() == 0
    return conform(told, table(MINI_PROGRAM.table)).localCheckpoint()


def funnel_of(spark, core):
    """Slot -> users active from it, by state and metric jobs."""
    streams = {name: [] for name in table("state_changes").inputs}
    with held_lake(streams | {MINI_PROGRAM.table: [row.asDict() for row in core.collect()]}) as con:
        days = state_changes.build(con, close()).to_arrow_table()
    inputs = {"state_user_days": held(spark, table("state_changes"), days)}
    inputs |= {name: frame(spark, table(name), []) for name in ("core_staff", "core_traffic_hours")}
    rows = metric_funnels.build(inputs, close()).where("step = 'active'").collect()
    return {row["slot"]: row["users"] for row in rows}


def redeemed(spark):
    """One merchant's points, asked for in every public slot on the second day and served in full on the third."""
    terms = RedemptionTerms(minimum_points=1, run_days=2, settle_days=3)
    first, asked, told = (DAY + timedelta(days=n) for n in (0, 1, 3))
    world = World()
    world.sell("m1", 1_000_000, first)
    for at, slot in enumerate(SLOTS.public):
        world.ask(slot, "m1", 10, asked, slot=slot, at=at)
        world.deliver(slot, "m1", 100, asked + timedelta(days=1), slot=slot)
    policy = policies(first, Terms(maturity=1, expiry=90), [("A-1", first, 10_000), TRAFFIC])
    books = SparkBooks(spark, policy, first)
    books.slots = replace(SLOTS, redemption=terms, promotion=None, dated=())
    for day in (first, asked, told):
        books.close(world, day)
    return books


def test_the_eight_slots_are_public():
    assert len(SLOTS.public) == 8 and {slot for slot, _, _ in CODES} == set(SLOTS.public)
    assert ("search_box", "promo_position", "search_direct") in CODES


@pytest.mark.parametrize(("slot", "kind", "code"), CODES, ids=[f"{kind} {code}" for _, kind, code in CODES])
def test_a_code_is_its_slot_in_the_core_row(road, slot, kind, code):
    assert road.core[kind, code] == slot


@pytest.mark.parametrize("slot", SLOTS.public)
def test_a_slot_from_its_users_to_its_points(road, slot):
    assert road.funnel[slot] == sum(slot == each for each, _, _ in CODES), "a user for each of its codes"
    price, request = SLOTS.price(slot), road.requests[slot]
    assert (request["status"], request["price"], request["impressions"]) == (
        "settled",
        price,
        10 * 1000 // price,
    )
    ends = {
        (t["asset"], t["amount"], t["debit_account"])
        for t in road.transfers
        if t["credit_account"] in (f"sink:redeemed:{slot}", f"sink:delivered:{slot}")
    }
    assert ends == {("POINT", 10, "merchant:m1:reserved"), ("IMPRESSION", 100, "merchant:m1:reserved")}


def test_nothing_ends_elsewhere(road):
    sinks = {t["credit_account"] for t in road.transfers if t["credit_account"].startswith("sink:")}
    assert sinks == {f"sink:{part}:{slot}" for part in ("redeemed", "delivered") for slot in SLOTS.public}
    assert set(road.funnel) == set(SLOTS.public)
