"""ccare fit-potential publishes its table through the manifest, once, and nothing where it is refused."""

from datetime import date, timedelta

import pyarrow as pa
import pytest

from ccare.errors import InputMissing
from ccare.growth.snapshot import connect
from ccare.runtime import gate, manifest
from ccare.runtime.lease import read_record
from ccare.runtime.potentials import fit_potentials
from ccare.runtime.settings import Settings
from ccare.tables import table
from tests.potential.payers import LAST, World

START = LAST - timedelta(days=28)


def _realised(world: World, merchant: str) -> int:
    """The oracle: what users first paid by the window's start paid in it, less what was refunded in it."""
    mine = [
        r for r in world.payments if r["merchant_id"] == merchant and r["user_key"] not in (None, "staff")
    ]
    first: dict[str, date] = {}
    for row in mine:
        if row["event_type"] == "paid":
            day = row["business_date"]
            first[row["user_key"]] = min(first.get(row["user_key"], day), day)
    sign = {"paid": 1, "refunded": -1}
    return sum(
        sign[r["event_type"]] * r["amount_fen"]
        for r in mine
        if r["business_date"] > START and first[r["user_key"]] <= START
    )


def test_it_is_published_once_and_read_by_everyone(world: World, copy: Settings) -> None:
    before = manifest.latest(copy.lake)
    assert before is not None
    said: list[str] = []
    told = fit_potentials(copy, LAST, said.append)
    row = manifest.latest(copy.lake)
    assert row is not None and (row.seq, row.kind, row.business_date) == (before.seq + 1, "fit", LAST)
    assert row.table_versions.items() >= before.table_versions.items()
    assert (told.seq, told.merchants) == (row.seq, 13)
    assert read_record(copy.lake) is None
    with connect(copy.lake, row) as con:
        rows = {
            r["merchant_id"]: r for r in con.execute("from score_potentials").to_arrow_table().to_pylist()
        }
    assert len(rows) == 13
    for merchant, found in rows.items():
        assert found["as_of_date"] == LAST and found["horizon_days"] == 28
        assert found["realised_value_fen"] == _realised(world, merchant)
        assert 0 <= found["expected_orders"] <= found["expected_orders_90d"]
        assert 0 <= found["p_alive_mean"] <= 1
    some = rows["m03"]
    assert some["expected_value_fen"] == pytest.approx(some["realised_value_fen"], rel=0.5)
    assert (rows["free"]["spend_status"], rows["free"]["expected_value_fen"]) == ("none", 0)
    again = fit_potentials(copy, LAST, said.append)
    after = manifest.latest(copy.lake)
    assert again.seq is None and after is not None and after.seq == row.seq


def test_another_day_stands_beside_it_and_sees_no_later_payment(copy: Settings) -> None:
    early = LAST - timedelta(days=7)
    with connect(copy.lake, manifest.latest(copy.lake)) as con:
        known = con.execute(
            "select count(distinct user_key) from core_payments where merchant_id = 'm05' and event_type = 'paid' "
            "and business_date <= $1 and taken_on <= $1",
            [early],
        ).fetchone()
    fit_potentials(copy, early, lambda line: None)
    with connect(copy.lake, manifest.latest(copy.lake)) as con:
        found = con.execute(
            "select users, as_of_date from score_potentials where merchant_id = 'm05'"
        ).fetchall()
    assert known is not None and found == [(known[0], early)]


@pytest.mark.parametrize(
    ("as_of", "said"),
    [(LAST + timedelta(days=1), "is not closed"), (date(2016, 5, 1), "Nobody has paid by 2016-05-01")],
)
def test_refusals_publish_nothing(copy: Settings, as_of: date, said: str) -> None:
    before = manifest.latest(copy.lake)
    with pytest.raises(InputMissing, match=said):
        fit_potentials(copy, as_of, lambda line: None)
    assert manifest.latest(copy.lake) == before and read_record(copy.lake) is None


def test_an_empty_lake_is_told(tmp_path: object, copy: Settings) -> None:
    with pytest.raises(InputMissing, match="Nothing is published"):
        fit_potentials(copy.with_(lake=copy.lake / "none"), LAST, lambda line: None)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("orders_not_negative", {"expected_orders": -1.0}),
        ("alive_is_a_share", {"p_alive_mean": 1.5}),
        ("known_status", {"model_status": "guessed"}),
        ("factor_in_reach", {"calibration": 9.0}),
    ],
)
def test_each_rule_of_the_gate_can_fail(rule: str, broken: dict[str, object]) -> None:
    declared = table("score_potentials")
    row = {"expected_orders": 1.0, "p_alive_mean": 0.5, "model_status": "fitted", "calibration": 0.9} | broken
    rows = pa.table({name: [row.get(name, "m")] for name in declared.column_names})
    suite = tuple(r for r in gate.rules(declared) if r.id in (rule, "known_status"))
    assert [failure.rule.id for failure in gate.failures(rows, declared, suite)] == [rule]
