"""The folds against a plain Python one, however the same events are split over closes."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any

import duckdb
import pytest
from pyspark.sql import SparkSession

from ccare.events.slots import load_slots
from ccare.ledger.policy import load_ledger
from ccare.metrics.user_facts import fact, user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close
from ccare.runtime.rowstore import arrow_rows, arrow_schema
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import held
from ccare.scoring.policy import load_scoring
from ccare.tables import table
from jobs import state_changes, state_merchant_days, state_refund_days, state_user_days, state_users
from tests.held_lake import held_lake

pytestmark = pytest.mark.spark

LAST = date(2024, 6, 30)
CORES = (
    "core_payments",
    "core_mini_program_events",
    "core_life_account_events",
    "core_voucher_events",
    "core_traffic_hours",
)


def random_events(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows of the five core tables over 200 days: late ones, refunds before their trade, anonymous ones."""
    draw = random.Random(seed)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in CORES}
    kinds = {
        "core_mini_program_events": ["launch", "page_view", "collect", "uncollect", "member_join", "refuse"],
        "core_life_account_events": ["follow", "unfollow", "expose", "view"],
        "core_voucher_events": ["received", "used", "unused"],
    }
    for number in range(400):
        at = datetime.combine(LAST, datetime.min.time(), UTC) - timedelta(
            days=draw.choice([draw.randrange(4), draw.randrange(200)]), minutes=draw.randrange(1440)
        )
        name = draw.choice(list(CORES))
        row = {
            "event_id": f"e{number}",
            "merchant_id": draw.choice(["m1", "m2"]),
            "user_key": draw.choice(["u1", "u2", "u3", None]),
            "occurred_at": at,
            "business_date": at.date(),
            "origin": draw.choice(["real", "simulated"]),
            "taken_on": max(at.date(), LAST - timedelta(days=draw.randrange(4))),
        }
        if name == "core_payments":
            row |= {"event_type": "paid", "trade_no": f"t{number}", "amount_fen": draw.randrange(5000)}
            row |= {"merchant_discount_fen": draw.choice([None, 10]), "fee_fen": 3}
            if draw.random() < 0.3:
                refunded = at + timedelta(days=draw.randrange(5))
                back = {**row, "event_id": f"r{number}", "event_type": "refunded", "amount_fen": 7}
                back |= {"occurred_at": refunded, "business_date": refunded.date()}
                back["taken_on"] = LAST - timedelta(days=draw.randrange(4))
                if refunded.date() <= LAST:
                    rows[name].append(back)
        elif name == "core_traffic_hours":
            row |= {"event_type": "delivered", "impressions": draw.randrange(50), "clicks": 1}
        else:
            row |= {"event_type": draw.choice(kinds[name])}
            if row["event_type"] == "page_view":
                row["stay_ms"] = draw.choice([None, 999, 1000])
        rows[name].append(row)
    return rows


def fold_in_python(rows: Mapping[str, list[dict[str, Any]]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Users as the definitions say, from all events at once."""
    off = {"unfollow": "follow", "uncollect": "collect", "member_leave": "member", "refuse": "subscription"}
    on = {"follow": "follow", "collect": "collect", "member_join": "member", "subscribe": "subscription"}
    passive = {"expose", "refunded", "uncollect", "unfollow", "member_leave", "refuse", "unused", "delivered"}
    seen, paid = defaultdict(set), defaultdict(set)
    result: dict[tuple[str, str], dict[str, Any]] = {}
    for row in (row for core in rows.values() for row in core):
        user = row.get("user_key")
        if user is None or row["event_type"] == "delivered":
            continue
        key = (row["merchant_id"], user)
        found = result.setdefault(
            key, {"orders": 0, "gmv_fen": 0, "refund_fen": 0, "changes": defaultdict(list)}
        )
        kind = row["event_type"]
        short = kind == "page_view" and row["stay_ms"] is not None and row["stay_ms"] < 1000
        if kind not in passive and not short:
            seen[key].add(row["business_date"])
        if kind == "paid":
            paid[key].add(row["business_date"])
            found["orders"] += 1
            found["gmv_fen"] += row["amount_fen"]
        if kind == "refunded":
            found["refund_fen"] += row["amount_fen"]
        if kind in on or kind in off:
            relation = on.get(kind) or off[kind]
            found["changes"][relation].append((row["occurred_at"], row["event_id"], kind in on))
    for key, found in result.items():
        found["seen"], found["paid"] = seen[key], paid[key]
    return result


def bits(days: set[date], skip: int = 0) -> int:
    """Days counted back from the last one as a signed 64-bit word."""
    word = 0
    for d in days:
        position = (max(days) - d).days - skip
        if 0 <= position < 64:
            word |= 1 << position
    return word - (1 << 64) if word >> 63 else word


def close_on(day: date, first_day: date) -> Close:
    conf = default_conf()
    return Close(
        day=day,
        first_day=first_day,
        run_id="test",
        posted_at=datetime(2024, 7, 1, tzinfo=UTC),
        timezone="UTC",
        scoring=load_scoring(conf).for_day(day),
        ledger=load_ledger(conf).for_day(day),
        slots=load_slots(conf, day),
    )


def fold(
    rows: Mapping[str, list[dict[str, Any]]],
    days: list[date],
    staff: Sequence[tuple[str, str]] = (),
) -> dict[str, list[Any]]:
    """Close ``days`` one after another with the real jobs; the state at the end, as sorted rows.

    ``staff`` are known from the first close on.
    """
    workers = [{"merchant_id": m, "user_key": u, "taken_on": days[0]} for m, u in staff]
    names = ("state_user_days", "state_merchant_days", "state_users", "state_refund_days")
    state: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for day in days:
        close = close_on(day, days[0])
        taken = {name: [r for r in core if r["taken_on"] <= day] for name, core in rows.items()}
        with held_lake({**state, **taken, "core_staff": workers}) as con:
            changes = told_by(con, state_changes, close)
            touched = tuple(sorted({row["business_date"] for row in changes}))
            close = replace(close, touched=touched, changes=len(changes))
            con.register("state_changes", arrow_rows(table("state_changes"), changes))
            for job in (state_users, state_refund_days):
                state[name_of(job)] = told_by(con, job, close)
            for job in (state_user_days, state_merchant_days):
                name = name_of(job)
                kept = [r for r in state[name] if r["business_date"] not in touched]
                state[name] = kept + told_by(con, job, close)
                con.register(name, arrow_rows(table(name), state[name]))
    return {name: sorted(map(str, kept)) for name, kept in state.items()} | {"users": state["state_users"]}


def told_by(con: duckdb.DuckDBPyConnection, job: ModuleType, close: Close) -> list[dict[str, Any]]:
    """What a job gives, in the columns and types of its table."""
    made = table(name_of(job))
    rows = job.build(con, close).to_arrow_table().select(made.column_names).cast(arrow_schema(made))
    assert len({tuple(row[part] for part in made.key) for row in rows.to_pylist()}) == rows.num_rows
    return rows.to_pylist()


def name_of(job: ModuleType) -> str:
    """The table that a job makes."""
    return job.__name__.rsplit(".", 1)[-1]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_split_deliveries_and_one_pass_end_in_the_same_state(seed: int) -> None:
    rows = random_events(seed)
    days = [LAST - timedelta(days=n) for n in (3, 2, 1, 0)]
    split = fold(rows, days)
    at_once = {name: [{**r, "taken_on": LAST} for r in core] for name, core in rows.items()}
    one_pass = fold(at_once, [LAST])
    for name in ("state_user_days", "state_merchant_days", "state_users", "state_refund_days"):
        assert split[name] == one_pass[name], f"{name} depends on how the events were delivered (seed {seed})"
    users = {(r["merchant_id"], r["user_key"]): r for r in one_pass["users"]}
    expected = fold_in_python(rows)
    assert users.keys() == expected.keys()
    for key, wanted in expected.items():
        got = users[key]
        for name in ("orders", "gmv_fen", "refund_fen"):
            assert got[name] == wanted[name], (key, name)
        for prefix, kind in (("seen", "active_bits"), ("paid", "paid_bits")):
            dates = wanted[prefix]
            assert got[f"first_{prefix}_date"] == (min(dates) if dates else None), (key, prefix)
            assert got[f"last_{prefix}_date"] == (max(dates) if dates else None), (key, prefix)
            assert got[kind] == bits(dates), (key, kind)
        assert got["paid_bits_older"] == bits(wanted["paid"], 64), key
        for relation, changes in wanted["changes"].items():
            assert got[f"{relation}_on"] == max(changes)[2], (key, relation)


STAFF = (("m1", "u1"), ("m2", "u3"))


@pytest.fixture(scope="module")
def at_once() -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[Any]]]:
    """Events, and the state after one close that takes them all."""
    rows = {name: [{**r, "taken_on": LAST} for r in core] for name, core in random_events(3).items()}
    return rows, fold(rows, [LAST], staff=STAFF)


@pytest.mark.slow
@pytest.mark.parametrize("draw", range(5))
def test_any_assignment_of_rows_to_closes_ends_in_the_same_state(
    at_once: tuple[dict[str, list[dict[str, Any]]], dict[str, list[Any]]], draw: int
) -> None:
    """Each row comes with any close from its own date on, so days are filled in parts and in any order."""
    rows, one_pass = at_once
    chance, days = random.Random(f"assignment {draw}"), [LAST - timedelta(days=n) for n in (2, 1, 0)]
    drawn = {
        name: [{**r, "taken_on": chance.choice([d for d in days if d >= r["business_date"]])} for r in core]
        for name, core in rows.items()
    }
    found = fold(drawn, days, staff=STAFF)
    for name in ("state_user_days", "state_merchant_days", "state_users", "state_refund_days"):
        assert found[name] == one_pass[name], f"{name} depends on which close took a row (draw {draw})"


def test_staff_are_kept_by_user_and_left_out_of_counts(
    at_once: tuple[dict[str, list[dict[str, Any]]], dict[str, list[Any]]],
) -> None:
    rows, with_staff = at_once
    without = fold(rows, [LAST])
    assert with_staff["state_users"] == without["state_users"]
    assert with_staff["state_user_days"] == without["state_user_days"]
    assert with_staff["state_merchant_days"] != without["state_merchant_days"]


def test_a_backfill_of_old_days_never_makes_an_old_user_new(spark: SparkSession) -> None:
    """Whether W28 holds a user's first day is asked of the first day ever, whichever close told it."""

    def launch(user: str, back: int, taken: date) -> dict[str, Any]:
        dated = LAST - timedelta(days=back)
        at = datetime.combine(dated, datetime.min.time(), UTC)
        told = {"event_id": f"{user}{back}", "event_type": "launch", "merchant_id": "m1", "user_key": user}
        return told | {"occurred_at": at, "business_date": dated, "taken_on": taken, "origin": "real"}

    before, days = LAST - timedelta(days=1), [LAST - timedelta(days=1), LAST]
    events = [
        *(launch(user, 200, before) for user in ("old", "old, then lately", "old, then older")),
        *(launch("young", back, before) for back in (5, 3)),
        launch("not so young", 5, before),
        # The backfill: old days, in W28 and out of it, that the first close did not have.
        *(launch("old", back, LAST) for back in (100, 60, 29)),
        *(launch("old, then lately", back, LAST) for back in (27, 10)),
        launch("old, then older", 300, LAST),
        launch("young", 20, LAST),
        launch("not so young", 150, LAST),
    ]
    rows = {name: events if name == "core_mini_program_events" else [] for name in CORES}
    state = fold(rows, days)["users"]
    first = {row["user_key"]: (LAST - row["first_seen_date"]).days for row in state}
    assert first == {
        **{"old": 200, "old, then lately": 200, "old, then older": 300},
        **{"young": 20, "not so young": 150},
    }
    with held_lake({"state_users": state, "core_staff": []}) as con:
        told = held(spark, table("metric_user_facts"), user_facts(con, AsOf(LAST, "UTC")))
    assert [
        row.users for row in told.where(fact("new") == 1).groupBy().sum("users").toDF("users").collect()
    ] == [1]
