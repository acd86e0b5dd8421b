"""Requests decided one by one: refusals in their order, what a grant costs, which hours are withheld."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccare.errors import UsageError
from ccare.events.slots import SlotMap, load_slots
from ccare.ledger import redemptions
from ccare.ledger.arms import HOLDOUT, arm
from ccare.ledger.redemption_terms import RedemptionTerms
from ccare.runtime.settings import default_conf
from ccare.tables.ledger import REFUSALS

DAY = date(2026, 3, 1)
TERMS = RedemptionTerms(blocked_merchants=("blocked",))
SLOTS = SlotMap("v", {}, {}, ("search_box", "dear", "unsold"), {"dear": 400, "unsold": 0}, 100, 1, TERMS)
POOL = {"pool": "traffic", "programme": "f", "held": 10**9}


def ask(number, points=100, merchant="m", slot="search_box", minute=0, content="a", provider=None):
    at = datetime(2026, 3, 1, 8, minute, tzinfo=UTC)
    names = {
        "request_id": number,
        "merchant_id": merchant,
        "slot": slot,
        "points": points,
        "requested_at": at,
    }
    return names | {"content_hash": content, "service_provider_id": provider}


def decide(requests, points=1_000_000, known=None, pool=POOL):
    balances = {f"merchant:{r['merchant_id']}": points for r in requests}
    return redemptions.decide(requests, known or {}, balances, SLOTS, pool, DAY)


def answers(requests, **more):
    return {
        (r["request_id"], r["content_hash"]): r["refusal"] or r["status"] for r in decide(requests, **more)
    }


def test_a_request_is_served_at_the_slots_price_and_runs_from_the_next_day():
    (row,) = decide([ask("r1", 250, slot="dear")])
    assert (row["status"], row["price"], row["impressions"]) == ("reserved", 400, 625)
    assert row["starts_on"] == date(2026, 3, 2) and row["ends_on"] == date(2026, 3, 15)
    assert row["settles_on"] == date(2026, 3, 22)
    assert (row["pool"], row["programme"], row["slots_version"]) == ("traffic", "f", "v")


def test_refusals_are_asked_in_the_documented_order():
    """Each request breaks its own rule and every rule after it; the first one is its answer."""
    worst = {"points": 7, "merchant": "blocked", "slot": "nowhere"}
    requests = [
        ask("twice", content="a"),
        ask("twice", **worst, content="b", minute=1),
        ask("slot", **worst),
        ask("unsold", slot="unsold"),
        ask("block", points=7, merchant="blocked"),
        ask("strange", points=7, merchant="poor", provider="sp1"),
        ask("low", points=99, merchant="poor"),
        ask("poor", points=500_000, merchant="poor"),
        ask("full", points=10_001, merchant="rich"),
    ]
    balances = {"merchant:m": 100, "merchant:rich": 10**6}
    found = redemptions.decide(requests, {}, balances, SLOTS, POOL, DAY, {("strange", "a")})
    said = {(r["request_id"], r["content_hash"]): r["refusal"] for r in found}
    assert said == {
        ("twice", "a"): None,
        ("twice", "b"): "duplicate_request",
        ("slot", "a"): "unknown_slot",
        ("unsold", "a"): "unknown_slot",
        ("block", "a"): "merchant_blocked",
        ("strange", "a"): "not_served",
        ("low", "a"): "below_minimum",
        ("poor", "a"): "insufficient",
        ("full", "a"): "slot_full",
    }
    assert {each for each in said.values() if each} == set(REFUSALS)
    assert all(r["status"] == "refused" for r in found if r["refusal"])


def test_the_same_request_again_leaves_no_row_whatever_became_of_it():
    assert answers([ask("r1")], known={"r1": {"a"}}) == {}
    assert answers([ask("r1", content="b")], known={"r1": {"a"}}) == {("r1", "b"): "duplicate_request"}


def test_points_are_served_in_the_order_of_asking_and_never_twice():
    requests = [ask("late", 800, minute=5), ask("b", 300, minute=1), ask("a", 300, minute=1)]
    found = answers(requests, points=900)
    assert found == {("a", "a"): "reserved", ("b", "a"): "reserved", ("late", "a"): "insufficient"}


def test_a_merchant_takes_a_tenth_of_a_slots_day_and_all_together_the_day():
    crowd = [ask(f"r{n:02}", 10_000, merchant=f"m{n}", minute=n) for n in range(11)]
    found = answers([*crowd, ask("other", 100, merchant="m0", slot="dear", minute=30)])
    assert [found[f"r{n:02}", "a"] for n in range(11)] == ["reserved"] * 10 + ["slot_full"]
    assert found["other", "a"] == "reserved", "another slot has a day of its own"
    assert answers([ask("a", 6_000), ask("b", 4_001, minute=1), ask("c", 4_000, minute=2)]) == {
        ("a", "a"): "reserved",
        ("b", "a"): "slot_full",
        ("c", "a"): "reserved",
    }


def test_impressions_that_the_pool_does_not_hold_are_not_granted():
    assert answers([ask("r1", 100)], pool=POOL | {"held": 999}) == {("r1", "a"): "slot_full"}


def test_a_provider_spends_its_own_points_within_the_merchants_share_of_the_slot():
    requests = [
        ask("own", 9_900),
        ask("for", 200, provider="sp1", minute=1),
        ask("rest", 100, provider="sp1", minute=2),
        ask("more", 100, merchant="n", provider="sp1", minute=3),
    ]
    balances = {"merchant:m": 9_900, "provider:sp1": 150}
    found = redemptions.decide(requests, {}, balances, SLOTS, POOL, DAY)
    assert [r["refusal"] for r in found] == [None, "insufficient", None, "insufficient"]
    full = redemptions.decide(requests, {}, {**balances, "provider:sp1": 400}, SLOTS, POOL, DAY)
    assert [r["refusal"] for r in full] == [None, "slot_full", None, None]


def test_lots_of_the_party_that_pays_are_taken():
    lots = [lot("own", 500, date(2026, 5, 31)), lot("theirs", 500, date(2026, 5, 31), "provider:sp1")]
    taken = redemptions.allocate([ask("r1", 80, provider="sp1"), ask("r2", 40)], lots)
    assert [(t.request["request_id"], t.lot["lot_id"]) for t in taken] == [("r1", "theirs"), ("r2", "own")]


def lot(name, active, expires, party="merchant:m"):
    day = date(2026, 1, 1)
    return {"lot_id": name, "party": party, "active": active, "expires_on": expires} | {
        "effective_date": day,
        "booked_date": day,
    }


def test_what_expires_soonest_is_taken_first():
    lots = [lot("b", 50, date(2026, 5, 31)), lot("a", 100, date(2026, 3, 31))]
    asked = [ask("r1", 80), ask("r2", 40)]
    taken = redemptions.allocate(asked, lots)
    assert [(t.request["request_id"], t.lot["lot_id"], t.leg, t.amount) for t in taken] == [
        ("r1", "a", 1, 80),
        ("r2", "a", 1, 20),
        ("r2", "b", 2, 20),
    ]


@given(st.integers(1, 10**9), st.integers(1, 10**12), st.integers(0, 2 * 10**12))
def test_what_is_settled_and_given_back_is_what_was_reserved(points, impressions, delivered):
    request = {"request_id": "r", "points": points, "impressions": impressions, "settles_on": DAY}
    sizes = {1: points // 3, 2: points - points // 3}
    parts = [{"business_key": "redemption|r", "leg": leg, "amount": size} for leg, size in sizes.items()]
    (done,), resolved = redemptions.resolve([request], {"r": delivered}, parts, DAY)
    assert done["settled"] + done["voided"] == points
    assert sum(p["settled"] for p in resolved) == done["settled"]
    assert all(p["settled"] + p["voided"] == p["amount"] for p in resolved)
    share = min(delivered, impressions) * points
    assert done["settled"] * impressions >= share > (done["settled"] - 1) * impressions - (share == 0)
    assert done["status"] == ("settled" if done["settled"] else "voided")


def test_a_grant_waits_until_it_is_full_or_its_time_is_over():
    request = {"request_id": "r", "points": 10, "impressions": 100, "settles_on": DAY + timedelta(days=2)}
    assert redemptions.resolve([request], {"r": 99}, [], DAY) == ([], [])
    assert redemptions.resolve([request], {"r": 100}, [], DAY)[0][0]["settled"] == 10
    assert redemptions.resolve([request], {"r": 99}, [], DAY + timedelta(days=2))[0][0]["settled"] == 10
    assert redemptions.resolve([request], {}, [], DAY + timedelta(days=2))[0][0]["status"] == "voided"


def test_a_tenth_of_the_hours_is_withheld_and_the_draw_never_changes():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    hours = [start + timedelta(hours=n) for n in range(4_000)]
    drawn = [arm(TERMS, "m", "search_box", hour) for hour in hours]
    assert drawn == [arm(TERMS, "m", "search_box", hour + timedelta(minutes=59)) for hour in hours]
    assert 340 <= drawn.count(HOLDOUT) <= 460
    assert drawn != [arm(TERMS, "m", "app_centre", hour) for hour in hours]
    none = RedemptionTerms(holdout_percent=0)
    assert {arm(none, "m", "search_box", hour) for hour in hours[:50]} == {"treated"}


def test_the_products_own_policy_says_what_the_documents_say():
    slots = load_slots(default_conf(), DAY)
    terms = slots.redemption
    assert (slots.price("search_box"), slots.price("private"), slots.price("nowhere")) == (100, None, None)
    assert (terms.capacity, terms.merchant_capacity, terms.minimum_points) == (1_000_000, 100_000, 100)
    assert (terms.run_days, terms.settle_days, terms.holdout_percent, terms.pool) == (14, 21, 10, "traffic")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("capacity = 0", "capacity: input should be greater than or equal to 1"),
        ("capacitee = 5", "capacitee: extra inputs are not permitted"),
        ("settle_days = 3", "settle_days 3 ends before run_days 14"),
        ("minimum_points = true", "minimum_points: input should be a valid integer"),
    ],
)
def test_a_wrong_policy_is_refused_by_name(tmp_path, line, said):
    text = (default_conf() / "slots.toml").read_text()
    name = line.split(" ")[0]
    lines = [row for row in text.splitlines() if not row.startswith(f"{name} =")]
    (tmp_path / "slots.toml").write_text("\n".join([*lines, line]))
    with pytest.raises(UsageError) as refused:
        load_slots(tmp_path, DAY)
    assert f"redemption: {said}" in refused.value.message


def test_an_hour_is_the_same_hour_in_every_zone():
    """On 8 March New York has no hour from two to three; on 1 November it has the one from one to two twice."""
    zone = ZoneInfo("America/New_York")
    utc = [datetime(2026, 3, 8, 5, tzinfo=UTC) + timedelta(hours=n) for n in range(24)]
    utc += [datetime(2026, 11, 1, 4, tzinfo=UTC) + timedelta(hours=n) for n in range(26)]
    local = [hour.astimezone(zone) for hour in utc]
    assert local[1].hour == 1 and local[2].hour == 3
    twice = [hour for hour in local if (hour.month, hour.day, hour.hour) == (11, 1, 1)]
    assert len(twice) == 2
    names = [f"m{n}" for n in range(200)]
    for here, there in zip(local, utc, strict=True):
        assert [arm(TERMS, m, "s", here) for m in names] == [arm(TERMS, m, "s", there) for m in names]
    first, second = ([arm(TERMS, m, "s", hour) for m in names] for hour in twice)
    assert first != second, "two hours are drawn for, though both are called one o'clock"
