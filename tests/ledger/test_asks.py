"""What people ask of the ledger: delivery files, approval by somebody else, adjustments decided one by one."""

import json
from datetime import date, timedelta

import pytest
from books_lake import D0, LAST, settings_of, write_lake
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import InputMissing, UsageError
from ccare.ledger.adjustments import adjust
from ccare.ledger.approvals import asked_under
from ccare.ledger.programmes import AdjustAlone
from ccare.runtime.asks import approve, ask_adjustments, ask_funding, ask_redemption, delivered_asks
from ccare.runtime.books import asked_for

FUND = {"by": "Ann", "day": None, "note": "", "dry_run": False}


@pytest.fixture
def place(tmp_path):
    """An empty lake with the product's own policy."""
    return settings_of(tmp_path).with_(conf=tmp_path / "none")


def lines(plan):
    return [json.loads(line) for line in plan.path.read_text().splitlines()]


def test_a_request_is_a_delivery_that_the_next_close_takes(tmp_path):
    settings = write_lake(tmp_path / "lake", closed=6)
    plan = ask_redemption(settings, "a", "search_box", 120, "r-77", dry_run=False)
    next_day = LAST + timedelta(days=1)
    assert plan.delivery_date == next_day + timedelta(days=1)
    assert plan.path.parent == settings.landing / "redemptions" / str(plan.delivery_date)
    (row,) = lines(plan)
    assert {k: row[k] for k in ("request_id", "merchant_id", "slot", "points")} == {
        **{"request_id": "r-77", "merchant_id": "a", "slot": "search_box", "points": 120}
    }
    assert row["requested_at"].startswith(f"{next_day}T12:00:00+08:00"), (
        "the lake is behind: its own next day"
    )
    with pytest.raises(UsageError, match="was written before"):
        ask_redemption(settings, "a", "search_box", 120, "r-77", dry_run=False)


def test_a_dry_run_writes_nothing(place):
    assert ask_redemption(place, "m", "search_box", 100, dry_run=True).path is None
    assert ask_funding(place, "fanxing", "POINT", 5, "F-1", **{**FUND, "dry_run": True}).path is None
    assert not place.landing.exists()


@pytest.mark.parametrize(
    ("merchant", "points"), [("../x", 100), ("m", 0), ("m", -5), ("m", 10**16), ("", 100)]
)
def test_what_cannot_be_meant_is_refused(place, merchant, points):
    with pytest.raises(UsageError):
        ask_redemption(place, merchant, "search_box", points, dry_run=False)
    assert not place.landing.exists()


def test_a_funding_needs_a_pool_a_free_reference_and_another_persons_approval(place):
    with pytest.raises(UsageError, match="No pool nowhere holds POINT"):
        ask_funding(place, "nowhere", "POINT", 5, "F-1", **FUND)
    with pytest.raises(UsageError, match="No pool fanxing holds FEN"):
        ask_funding(place, "fanxing", "FEN", 5, "F-1", **FUND)
    with pytest.raises(UsageError, match="DEFAULT-FANXING-1 is a funding of"):
        ask_funding(place, "fanxing", "POINT", 5, "DEFAULT-FANXING-1", **FUND)
    with pytest.raises(InputMissing, match="Nothing was asked under F-1"):
        approve(place, "F-1", "Ben", dry_run=False)
    for amount in (0, -5, 10**15 + 1, 2**63):
        with pytest.raises(UsageError, match=f"{amount} is no amount"):
            ask_funding(place, "fanxing", "POINT", amount, "F-1", **FUND)
    ask_funding(place, "fanxing", "POINT", 5, "F-1", **FUND)
    with pytest.raises(UsageError, match="F-1 is asked for already"):
        ask_funding(place, "fanxing", "POINT", 6, "F-1", **FUND)
    for same in ("Ann", " ann ", "ANN", "  "):
        with pytest.raises(UsageError, match="cannot approve F-1"):
            approve(place, "F-1", same, dry_run=False)
    plan, _ = approve(place, "F-1", "Ben", dry_run=False)
    assert plan.path is not None and delivered_asks(place)["F-1"].approved_by == "Ben"
    with pytest.raises(UsageError, match="approved already, by Ben"):
        approve(place, "F-1", "Cem", dry_run=False)
    assert [(r["approval"], r["approved_by"], r["booked"]) for r in asked_for(place, None)] == [
        ("F-1", "Ben", 0)
    ]


def test_an_approval_is_of_what_stood_there_and_nothing_else():
    one = {
        "approval": "F",
        "pool": "p",
        "asset": "POINT",
        "amount": 5,
        "effective_date": D0,
        "asked_by": "Ann",
    }
    before = asked_under([one], [], [])["F"]
    yes = {"approval": "F", "digest": before.digest, "approved_by": "Ben"}
    assert asked_under([one], [], [yes])["F"].approved_by == "Ben"
    for changed in ({"amount": 6}, {"pool": "q"}, {"effective_date": D0 + timedelta(days=1)}):
        assert asked_under([one | changed], [], [yes])["F"].approved_by == ""
    assert asked_under([one, one | {"amount": 9}], [], [yes])["F"].approved_by == "", "nothing is added later"
    assert asked_under([one], [], [yes | {"approved_by": "ann"}])["F"].approved_by == ""


def test_an_approval_that_counts_for_nothing_says_why():
    one = {"approval": "F", "pool": "p", "asset": "POINT", "amount": 5, "effective_date": D0}
    one |= {"asked_by": "Ann", "taken_on": date(2026, 3, 2)}
    digest = asked_under([one], [], [])["F"].digest
    yes = {"approval": "F", "digest": digest, "approved_by": "Ben", "taken_on": date(2026, 3, 4)}
    found = asked_under(
        [one], [], [yes | {"approved_by": " ANN"}, yes | {"digest": "0" * 64}, yes | {"approval": "G"}]
    )
    told = sorted((each.approved_by, each.why, each.since) for each in found["F"].ignored)
    day = date(2026, 3, 4)
    assert told == [(" ANN", "approved_by_asker", day), ("Ben", "stale_approval", day)]
    assert [each.why for each in found["G"].ignored] == ["nothing_asked"] and not found["G"].is_asked
    own = yes | {"approved_by": "ann", "taken_on": date(2026, 3, 3)}
    later = asked_under([one], [], [own, yes])["F"]
    assert (later.approved_by, len(later.ignored)) == ("Ben", 1), "somebody else may approve it still"


def test_what_was_written_by_hand_and_counts_for_nothing_is_shown(place):
    by_hand = {
        "funding": {"approval": "F-1", "pool": "fanxing", "asset": "POINT", "amount": 5},
        "approvals": {"approval": "F-1", "digest": "0" * 64, "approved_by": "Ben"},
    }
    by_hand["funding"] |= {"effective_date": str(D0), "asked_by": "Ann"}
    for stream, row in by_hand.items():
        folder = place.landing / stream / "2026-03-02"
        folder.mkdir(parents=True)
        rows = [row, row | {"approval": "F-2"}] if stream == "approvals" else [row]
        (folder / "by_hand.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    shown = {r["approval"]: (r["approved_by"], r["refused"]) for r in asked_for(place, None)}
    assert shown == {
        "F-1": (None, "approval of Ben: stale_approval"),
        "F-2": ("Ben", "approval of Ben: nothing_asked"),
    }
    with pytest.raises(InputMissing, match="Nothing was asked under F-2"):
        approve(place, "F-2", "Cem", dry_run=False)
    ask_funding(place, "fanxing", "POINT", 5, "F-2", **FUND)
    assert approve(place, "F-1", "Ben", dry_run=False)[0].path is not None


def up_to(units):
    return (AdjustAlone(**{"from": D0, "up_to": units}),)


def test_a_small_adjustment_needs_nobody_else_where_the_policy_says_so():
    asked = [{"approval": "J", "transfer_id": str(n), "amount": 5, "asked_by": "Ann"} for n in (1, 2)]
    asked = [row | {"taken_on": date(2026, 3, 1 + n)} for n, row in enumerate(asked)]
    assert asked_under([], asked, [], up_to(9))["J"].approved_by == "", "ten units in all"
    alone = asked_under([], asked, [], up_to(10))["J"]
    assert (alone.approved_by, alone.since) == ("policy", date(2026, 3, 2))
    yes = {"approval": "J", "digest": alone.digest, "approved_by": "Ben", "taken_on": date(2026, 3, 9)}
    assert asked_under([], asked, [yes], up_to(10))["J"].since == alone.since, "nothing comes a second time"
    assert asked_under([], asked, [yes], up_to(9))["J"].approved_by == "Ben"
    funding = {"approval": "J", "pool": "p", "asset": "POINT", "amount": 1}
    funding |= {"effective_date": D0, "asked_by": "Ann"}
    assert asked_under([funding], asked, [], up_to(100))["J"].approved_by == "", "a funding always waits"


def test_it_counts_from_the_close_that_has_taken_both():
    one = {
        "approval": "F",
        "pool": "p",
        "asset": "POINT",
        "amount": 5,
        "effective_date": D0,
        "asked_by": "Ann",
    }
    digest = asked_under([one], [], [])["F"].digest
    yes = {"approval": "F", "digest": digest, "approved_by": "Ben", "taken_on": date(2026, 3, 4)}
    assert asked_under([one | {"taken_on": date(2026, 3, 2)}], [], [yes])["F"].since == date(2026, 3, 4)


def test_an_adjustment_file_is_refused_whole(place, tmp_path):
    file = tmp_path / "adjust.csv"
    file.write_text(
        f"transfer_id,amount,note\n{'a' * 64},5,wrong day\nshort,5,x\n{'b' * 64},0,x\n{'c' * 64},1,\n"
        f"{'d' * 64},{10**15 + 1},x\n{'e' * 64},-1,x\n{'f' * 64},{10**15},x\n"
    )
    with pytest.raises(UsageError) as refused:
        ask_adjustments(place, file, "A-1", by="Ann", dry_run=False)
    for said in ("line 2: transfer_id", "line 3: amount", "line 4: note", "line 5: amount", "line 6: amount"):
        assert said in refused.value.message
    assert "line 7" not in refused.value.message
    assert not place.landing.exists()
    file.write_text(f"transfer_id,amount,note\n{'a' * 64},5,wrong day\n")
    plan = ask_adjustments(place, file, "A-1", by="Ann", dry_run=False)
    assert lines(plan) == [
        {"approval": "A-1", "transfer_id": "a" * 64, "amount": 5, "asked_by": "Ann", "note": "wrong day"}
    ]


def transfer(name, code, amount=100, lot="lot", **more):
    sides = {
        "earn": ("pool:p:available", "merchant:m:pending"),
        "fall": ("merchant:m:active", "pool:p:available"),
        "expire": ("merchant:m:active", "sink:expired"),
        "settle": ("merchant:m:reserved", "sink:redeemed:s1"),
        "activate": ("merchant:m:pending", "merchant:m:active"),
        "fund": ("world:funding", "pool:p:available"),
    }[code]
    row = {"transfer_id": name, "code": code, "amount": amount, "asset": "POINT", "programme": "f"}
    row |= dict(zip(("debit_account", "credit_account"), sides, strict=True))
    row |= {
        "service_provider_id": None,
        "merchant_id": None if code == "fund" else "m",
        "lot_id": None if code == "fund" else lot,
    }
    return row | {"business_key": f"key-{name}"} | more


LOTS = {
    "lot": {
        **{
            "lot_id": "lot",
            "merchant_id": "m",
            "service_provider_id": None,
            "pending": 0,
            "active": 60,
            "pool": "p",
        },
        **{"matures_on": D0, "expires_on": D0 + timedelta(days=9)},
    }
}


def decided(target, amount, pools=None, posted=(), lots=LOTS):
    ask = {"approval": "A", "transfer_id": target["transfer_id"], "amount": amount, "note": "n"}
    ask |= {"asked_by": "Ann", "approved_by": "Ben"}
    known = {target["transfer_id"]: target} | {row["business_key"]: row for row in posted}
    return adjust([ask], known, lots, pools or {}, {"f": 7}, LAST)


def test_what_was_earned_by_mistake_is_taken_from_its_own_lot():
    done = decided(transfer("t", "earn"), 40)
    (move,) = done.moves
    assert (move["debit_account"], move["credit_account"]) == ("merchant:m:active", "pool:p:available")
    assert (move["business_key"], move["lot_id"], move["amount"]) == ("adjustment|t", "lot", 40)
    assert done.taken == {"lot": ("active", 40)} and done.back == {"key-t": 40}
    assert done.rows[0]["status"] == "booked"
    assert decided(transfer("t", "earn"), 61).rows[0]["refusal"] == "insufficient"


@pytest.mark.parametrize("code", ["fall", "expire", "settle"])
def test_what_was_taken_by_mistake_comes_back_as_a_lot_that_is_usable_at_once(code):
    target = transfer("t", code)
    done = decided(target, 30, {("pool:p:available", "POINT"): 500})
    (move,), (lot,) = done.moves, done.lots
    assert (move["debit_account"], move["credit_account"]) == (target["credit_account"], "merchant:m:pending")
    assert lot["lot_id"] == move["lot_id"] and (lot["amount"], lot["pending"], lot["pool"]) == (30, 30, "p")
    assert lot["matures_on"] == LAST and lot["expires_on"] == LAST + timedelta(days=7)


def test_adjustments_are_refused_by_name():
    held = {("pool:p:available", "POINT"): 5}
    assert decided(transfer("t", "earn"), 101).rows[0]["refusal"] == "more_than_the_transfer"
    assert decided(transfer("t", "activate"), 1).rows[0]["refusal"] == "not_adjustable"
    assert decided(transfer("t", "settle", lot=None), 1).rows[0]["refusal"] == "not_adjustable"
    assert decided(transfer("t", "fund"), 6, held).rows[0]["refusal"] == "insufficient"
    assert decided(transfer("t", "fall"), 6, held).rows[0]["refusal"] == "insufficient"
    before = transfer("x", "fund", business_key="adjustment|t")
    assert decided(transfer("t", "earn"), 1, posted=[before]).rows[0]["refusal"] == "already_offset"
    ask = {
        "approval": "A",
        "transfer_id": "gone",
        "amount": 1,
        "note": "n",
        "asked_by": "a",
        "approved_by": "b",
    }
    assert adjust([ask], {}, {}, {}, {}, LAST).rows[0]["refusal"] == "unknown_transfer"


@given(st.lists(st.integers(1, 100), min_size=2, max_size=5), st.integers(0, 150))
def test_adjustments_of_one_close_never_take_more_than_there_is(amounts, active):
    targets = {f"t{n}": transfer(f"t{n}", "earn") for n in range(len(amounts))}
    lots = {"lot": LOTS["lot"] | {"active": active}}
    asked = [
        {
            "approval": f"A{n}",
            "transfer_id": f"t{n}",
            "amount": a,
            "note": "",
            "asked_by": "a",
            "approved_by": "b",
        }
        for n, a in enumerate(amounts)
    ]
    done = adjust(asked, targets, lots, {}, {"f": 7}, LAST)
    taken = sum(move["amount"] for move in done.moves)
    assert taken <= active and done.taken.get("lot", ("active", 0))[1] == taken
    assert len(done.rows) == len(amounts)


def test_the_commands_answer_in_json_and_leave_by_their_codes(tmp_path, monkeypatch):
    settings = write_lake(tmp_path / "lake", closed=6)
    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(settings, name)))
    run = CliRunner().invoke
    told = json.loads(run(app, ["redeem", "a", "search_box", "100", "--json"]).output)
    assert told["request_id"].startswith("r-") and told["rows"][0]["points"] == 100
    assert run(app, ["ledger", "fund", "p", "POINT", "7", "--approval", "F-9", "--by", "Ann"]).exit_code == 0
    refused = run(app, ["approve", "F-9", "--by", "ann"])
    assert isinstance(refused.exception, UsageError)
    assert json.loads(run(app, ["approve", "F-9", "--by", "Ben", "--json"]).output)["digest"]
    asked = json.loads(run(app, ["ledger", "asked", "--json"]).output)
    assert [(row["approval"], row["approved_by"], row["booked"]) for row in asked] == [("F-9", "Ben", 0)]
    statement = json.loads(run(app, ["ledger", "statement", "a", "--json"]).output)
    assert statement["merchant_id"] == "a" and statement["lines"]
    nobody = run(app, ["ledger", "statement", "a", "--provider"]).exception
    assert isinstance(nobody, InputMissing) and "Service provider a has no transfer" in str(nobody)
    asked = json.loads(run(app, ["redeem", "a", "search_box", "100", "--provider", "p1", "--json"]).output)
    assert asked["rows"][0]["service_provider_id"] == "p1"
    balances = json.loads(run(app, ["ledger", "balances", "--as-of", str(LAST), "--json"]).output)
    assert {"account", "asset", "balance"} == set(balances[0])
