"""What monthly programmes count, recomputed row by row in plain Python from random trades; which months are told."""

import random
from collections import defaultdict
from datetime import date, timedelta
from statistics import median

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_world import SparkBooks, arrow, policies

from ccare.errors import UsageError
from ccare.ledger.growth_over_peers import growth_over_peers, over_peers
from ccare.ledger.months import first_paid, is_last_of_month, last_paid, told_months
from ccare.ledger.policy import load_ledger
from ccare.ledger.settled import SERVED_FEES, settled_months
from ccare.runtime.settings import default_conf

DAY = date(2024, 3, 31)  # the months told hold a leap day
START = date(2024, 1, 10)
ENDS = (date(2024, 3, 31), date(2024, 2, 29), date(2024, 1, 31))
LATE_DAYS = 30
DAYS = st.dates(date(2019, 1, 1), date(2030, 12, 31))


@given(DAYS, st.integers(0, 12))
def test_months_are_told_on_their_last_day_and_every_trade_belongs_to_one(day, again):
    ends = told_months(day, date(2019, 1, 1), again)
    assert bool(ends) == is_last_of_month(day)
    if not ends:
        return
    assert ends[0] == day and len(ends) <= again + 1 and all(map(is_last_of_month, ends))
    assert list(ends) == sorted(ends, reverse=True)
    # As the programme says it: paid in (last day of the month before - 15, d - 15].
    assert first_paid(ends[:1]) == day.replace(day=1) - timedelta(days=1 + 14)
    assert last_paid(ends) == day - timedelta(days=15)


@pytest.fixture(scope="module")
def rows():
    """Trades, refunds and everything beside them, drawn once."""
    rng = random.Random(20_260_331)
    merchants = [f"m{n}" for n in range(24)]
    payments, trades = [], []
    for number in range(900):
        paid = DAY - timedelta(days=rng.randrange(-1, 150))
        late = rng.choice([1, 1, 1, 1, 5, 29, 30, 31, 45])
        amount = rng.choice([0, 1, 99, 1_000, rng.randrange(1, 90_000)])
        trade = {"merchant_id": rng.choice(merchants), "trade_no": f"t{number}", "business_date": paid}
        trade |= {"user_key": rng.choice(["u", "v", "boss", None]), "amount_fen": amount}
        trade |= {
            "fee_fen": rng.choice([None, 0, amount // 160, 7]),
            "delivery_date": paid + timedelta(days=late),
        }
        trades.append(trade | {"event_type": "paid", "taken_on": paid + timedelta(days=late - 1)})
        left = amount
        for n in range(rng.choice([0, 0, 0, 1, 2])):
            part = left if rng.random() < 0.3 else rng.randrange(left + 1)
            left -= part
            on = paid + timedelta(days=rng.randrange(60))
            back = {
                "event_type": "refunded",
                "merchant_id": trade["merchant_id"],
                "trade_no": trade["trade_no"],
            }
            back |= {"refund_no": f"{n}", "amount_fen": part, "business_date": on, "taken_on": max(on, paid)}
            payments.append(back | {"delivery_date": on + timedelta(days=1)})
    payments = [p for p in (*trades, *payments) if p["taken_on"] <= DAY]
    rng.shuffle(payments)
    scores = [
        {"merchant_id": m, "as_of_date": on, "peer_group": f"g{n % 3}"}
        | {"total_score": rng.choice([None, 40.0, 50.0, 50.1])}
        for n, m in enumerate(merchants[:-2])
        for end in ENDS
        for on in (end, end - timedelta(days=28))
    ]
    solutions = [{"solution_id": f"s{n}", "service_provider_id": f"p{n % 4}"} for n in range(6)]
    adoptions = [
        {"solution_id": f"s{n}", "merchant_id": m, "adopted_on": DAY - timedelta(days=rng.randrange(150))}
        for n in range(6)
        for m in rng.sample(merchants, 9)
    ]
    records = [
        {
            "merchant_id": m,
            "service_provider_id": rng.choice(["p0", "p1", None]),
            "valid_from": date(2020, 1, 1),
        }
        | {"valid_to": rng.choice([None, date(2024, 2, 29)])}
        for m in merchants
    ]
    staff = [{"merchant_id": m, "user_key": "boss", "taken_on": START} for m in merchants[:12]]
    return {
        "core_payments": payments, "score_merchants": scores, "core_solutions": solutions, "core_staff": staff,
        "core_solution_adoptions": adoptions, "core_merchants": records, **_states(payments),
    }  # fmt: skip


def _states(payments):
    """state_user_days and state_refund_days of all that was taken, late or not."""
    paid = {(p["merchant_id"], p["trade_no"]): p for p in payments if p["event_type"] == "paid"}
    days, back = defaultdict(lambda: [0, 0]), defaultdict(int)
    for p in paid.values():
        days[p["merchant_id"], p["user_key"], p["business_date"]][0] += 1
        days[p["merchant_id"], p["user_key"], p["business_date"]][1] += p["amount_fen"]
    for p in payments:
        trade = paid.get((p["merchant_id"], p["trade_no"]))
        if p["event_type"] == "refunded" and trade:
            key = (p["merchant_id"], trade["user_key"], trade["business_date"], p["business_date"])
            back[key] += p["amount_fen"]
    names = ("merchant_id", "user_key", "business_date", "orders", "gmv_fen")
    told = ("merchant_id", "user_key", "paid_date", "refund_date", "refund_fen")
    return {
        "state_user_days": [dict(zip(names, (*key, *sums))) for key, sums in days.items()],
        "state_refund_days": [dict(zip(told, (*key, fen))) for key, fen in back.items()],
    }


def kept_trades(rows):
    """[(merchant, paid on, paid fen, net fen, fee fen)] of what counts, trade by trade."""
    staff = {(s["merchant_id"], s["user_key"]) for s in rows["core_staff"]}
    back = defaultdict(int)
    for p in rows["core_payments"]:
        if p["event_type"] == "refunded":
            back[p["merchant_id"], p["trade_no"]] += p["amount_fen"]
    for p in rows["core_payments"]:
        late = (p["delivery_date"] - p["business_date"]).days > LATE_DAYS and p["business_date"] >= START
        if p["event_type"] == "paid" and not late and (p["merchant_id"], p["user_key"]) not in staff:
            net = p["amount_fen"] - back[p["merchant_id"], p["trade_no"]]
            yield p["merchant_id"], p["business_date"], p["amount_fen"], net, p["fee_fen"] or 0


@pytest.fixture(scope="module")
def counted(rows):
    """(settled months, served fees, growth) as DuckDB tells them, each as {key: units}."""
    close = SparkBooks(None, policies(START, late_days=LATE_DAYS), START).told(DAY)
    with duckdb.connect() as con:
        for name, told in rows.items():
            con.register(name, arrow(name, told))
        con.execute(f"create temp table settled as {settled_months(close, ENDS)}")
        con.execute(f"create temp table over_peers as {over_peers(close, ENDS)}")
        months = con.sql("select merchant_id, effective_date, net_fen, fee_fen from settled").fetchall()
        served = con.sql(SERVED_FEES).fetchall()
        grown = {
            fallen: con.sql(growth_over_peers(ENDS, fallen_scores_count=fallen)).fetchall()
            for fallen in (False, True)
        }
    settled = {(merchant, end): (net, fee) for merchant, end, net, fee in months}
    by_key = {fallen: {row[:2]: row[2] for row in told} for fallen, told in grown.items()}
    return settled, {row[:2]: row[2] for row in served}, by_key


def month_before(end):
    return end.replace(day=1) - timedelta(days=1)


def test_fees_and_net_of_settled_trades_are_to_the_fen(rows, counted):
    wanted = defaultdict(lambda: [0, 0])
    for merchant, on, paid, net, fee in kept_trades(rows):
        for end in ENDS:
            if month_before(end) - timedelta(days=15) < on <= end - timedelta(days=15):
                wanted[merchant, end][0] += net
                wanted[merchant, end][1] += fee * net // paid if paid else 0
    assert counted[0] == {key: tuple(sums) for key, sums in wanted.items()}
    assert len(wanted) > 50 and sum(fee for _, fee in counted[0].values()) > 1_000


def test_a_provider_has_the_fees_of_those_that_it_serves_on_the_last_day(rows, counted):
    wanted = defaultdict(int)
    for (merchant, end), (_, fee) in counted[0].items():
        record = next(r for r in rows["core_merchants"] if r["merchant_id"] == merchant)
        if record["service_provider_id"] and (record["valid_to"] or end) >= end:
            wanted[record["service_provider_id"], end] += fee
    assert counted[1] == dict(wanted) and len(wanted) == 6


@pytest.mark.parametrize("fallen", [False, True])
def test_growth_over_peers_is_to_the_fen(rows, counted, fallen):
    score = {(s["merchant_id"], s["as_of_date"]): s for s in rows["score_merchants"]}
    owner = {s["solution_id"]: s["service_provider_id"] for s in rows["core_solutions"]}
    wanted = {}
    for end in ENDS:
        growth = defaultdict(int)
        for merchant, on, _, net, _ in kept_trades(rows):
            back = (end - on).days
            if 15 <= back <= 70:
                growth[merchant] += net if back <= 42 else -net
        groups = defaultdict(list)
        for merchant, fen in growth.items():
            if (merchant, end) in score:
                groups[score[merchant, end]["peer_group"]].append(fen)
        sums = defaultdict(int)
        adopters = {
            (owner[a["solution_id"]], a["merchant_id"])
            for a in rows["core_solution_adoptions"]
            if end - timedelta(days=69) <= a["adopted_on"] <= end
        }
        for provider, merchant in adopters:
            if merchant not in growth or (merchant, end) not in score:
                continue
            now = score[merchant, end]
            over = growth[merchant] - int(median(groups[now["peer_group"]]) // 1)
            then = score[merchant, end - timedelta(days=28)]["total_score"]
            held = now["total_score"] is not None and then is not None and now["total_score"] >= then
            sums[provider, end] += over if over <= 0 or fallen or held else 0
        wanted |= {key: max(total, 0) for key, total in sums.items()}
    assert counted[2][fallen] == wanted
    assert len(wanted) > 8 and sum(fen > 0 for fen in wanted.values()) > 2


def test_the_products_own_policy_pays_providers_and_merchants_by_the_month():
    policy = load_ledger(default_conf()).for_day(date(2026, 3, 31))
    told = {
        (p.name, r.name): (
            r.party,
            p.asset_of(r),
            p.pool_of(r),
            r.points,
            r.per,
            p.multiplier,
            p.maturity_days,
        )
        for p in policy.programmes
        for r in p.rules
        if r.is_monthly
    }
    assert told == {
        ("chengfeng", "growth"): ("provider", "FEN", "chengfeng:rebate", 1, 100, "none", 0),
        ("chengfeng", "growth_traffic"): ("provider", "IMPRESSION", "chengfeng:traffic", 1, 1_000, "none", 0),
        ("resource_pack", "fee_rebate"): ("merchant", "FEN", "resource_pack:rebate", 30, 100, "none", 0),
        ("resource_pack", "served_rebate"): ("provider", "FEN", "resource_pack:rebate", 10, 100, "none", 0),
        ("resource_pack", "traffic"): ("merchant", "IMPRESSION", "resource_pack:traffic", 1, 100, "none", 0),
    }
    funded = {f.pool: f.amount for f in policy.fundings}
    assert funded["resource_pack:rebate"] == 1_000_000_000_000
    growth = next(r for p in policy.programmes for r in p.rules if r.name == "growth")
    assert growth.most_providers == 1_000 and not growth.fallen_scores_count


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("multiplier = \"none\"\n", ""), "multiplier has to be none"),
        (('eligibility = "everyone" # service', 'eligibility = "enrolled" # service'), "pays service providers"),
        (('pool = "chengfeng:traffic"\npoints', 'pool = "traffic"\npoints'), "grants IMPRESSION to fanxing"),
        (('pool = "chengfeng:traffic"\npoints', 'pool = "nowhere"\npoints'), "pool nowhere is not declared"),
        (("most_providers = 1000 # with", "most_providers = 0 # with"), "most_providers: input should be greater"),
    ],
)  # fmt: skip
def test_a_wrong_monthly_rule_is_refused_by_name(tmp_path, edit, said):
    text = (default_conf() / "programmes.toml").read_text()
    head, mark, tail = text.partition('name = "chengfeng"\ntitle')
    assert edit[0] in tail
    (tmp_path / "programmes.toml").write_text(head + mark + tail.replace(*edit, 1))
    with pytest.raises(UsageError) as refused:
        load_ledger(tmp_path)
    assert said in refused.value.message
