"""Named questions give what a person counts on the small lake; whatever is not a read is refused."""

from datetime import date
from pathlib import Path

import pytest

from ccare.errors import InputMissing, UsageError
from ccare.growth.queries import run_query
from ccare.growth.questions import folder, parse, questions
from ccare.runtime.settings import Settings

DAYS = [date(2017, 12, 24), date(2017, 12, 31)]


def asked(settings: Settings, name: str, **params: str) -> list[dict[str, object]]:
    columns, rows = run_query(settings, name, params=params)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def counted(rows: list[dict[str, object]]) -> list[tuple[object, ...]]:
    names = ("as_of_date", "active", "active_before", "new", "retained", "resurrected", "churned")
    return [tuple(row[n] for n in names) for row in rows]


def test_growth_accounting_of_the_platform_counts_a_shared_user_once(settings: Settings) -> None:
    assert counted(asked(settings, "growth_accounting")) == [
        (DAYS[0], 11, 9, 4, 6, 1, 3),
        (DAYS[1], 12, 9, 5, 6, 1, 3),
    ]


def test_growth_accounting_of_a_merchant_is_what_its_metrics_say(settings: Settings) -> None:
    rows = asked(settings, "growth_accounting", merchant_id="m1")
    assert counted(rows) == [(DAYS[0], 11, 8, 4, 6, 1, 2), (DAYS[1], 12, 8, 5, 6, 1, 2)]
    _, metrics = run_query(
        settings,
        query="""select as_of_date, c_growth_new, c_growth_retained, c_growth_resurrected, c_growth_churned
                 from metric_merchants where merchant_id = 'm1' order by 1""",
    )
    assert metrics == [
        (r["as_of_date"], r["new"], r["retained"], r["resurrected"], r["churned"]) for r in rows
    ]
    assert [r["quick_ratio"] for r in rows] == [2.5, 3.0]
    assert rows[1]["simulated_event_share"] == 0.2381


def test_growth_identities_hold_for_everyone(settings: Settings) -> None:
    for params in ({}, {"merchant_id": "m1"}, {"merchant_id": "m2"}, {"merchant_id": "m3"}):
        for _, active, before, new, retained, resurrected, churned in counted(
            asked(settings, "growth_accounting", **params)
        ):
            assert active == new + retained + resurrected  # type: ignore[operator]
            assert active - before == new + resurrected - churned  # type: ignore[operator]
    assert len(asked(settings, "growth_accounting", days="1")) == 1


def test_score_movers_names_the_driver(settings: Settings) -> None:
    (row,) = asked(settings, "score_movers", direction="up")
    assert (row["merchant_id"], row["from_day"], row["to_day"]) == ("m1", *DAYS)
    assert (row["total_from"], row["total_to"], row["change"]) == (45.9, 49.3, 3.4)
    assert (row["driver"], row["driver_dimension"], row["driver_change"]) == (
        "a_return_rate",
        "activity",
        8.75,
    )
    assert (row["policy_changed"], row["peers_changed"]) == (False, False)
    assert asked(settings, "score_movers", direction="down") == []
    assert asked(settings, "score_movers", top="0") == []
    assert asked(settings, "score_movers", to_day="2017-12-24") == [], "one day is no move"


def test_points_liability_adds_up_to_the_balances(settings: Settings) -> None:
    rows = asked(settings, "points_liability", programme="fanxing")
    assert [(r["age"], r["parties"], r["granted"], r["liability"], r["debt"]) for r in rows] == [
        ("0-6 days", 1, 105, 105, 0),
        ("7-29 days", 2, 120, 0, 8),
    ]
    parts = ("pending", "active", "reserved", "redeemed", "expired", "taken")
    for r in rows:
        assert r["granted"] == sum(r[p] for p in parts)  # type: ignore[misc]
    _, balances = run_query(
        settings,
        query="""select split_part(account, ':', 3) as part, sum(balance) from ledger_balances
                 where account like 'merchant:%' group by 1""",
    )
    sums = {p: sum(r[p] for r in rows) for p in ("pending", "active", "debt")}  # type: ignore[misc]
    assert dict(balances) == {"pending": sums["pending"], "active": sums["active"], "debt": -sums["debt"]}
    assert asked(settings, "points_liability", programme="nosuch") == []


def test_every_question_says_what_it_is_and_runs_on_an_empty_lake(tmp_path: Path) -> None:
    empty = Settings(lake=tmp_path / "lake", landing=tmp_path, exports=tmp_path)
    assert len(questions()) >= 3
    for name, q in questions().items():
        assert f"ccare sql {name}" in q.run
        for parameter in q.parameters:
            assert f"${parameter.name}" in q.sql, "a declared parameter is bound"
        columns, rows = run_query(empty, name)
        assert columns and rows == [], name
    assert folder().name == "growth"


def test_values_are_bound_never_formatted(settings: Settings) -> None:
    hostile = "m1' or '1'='1"
    with pytest.raises(InputMissing, match="no merchant m1' or"):
        asked(settings, "growth_accounting", merchant_id=hostile)
    assert all(r["users"] == 0 for r in asked(settings, "slot_funnel", slot=hostile))
    assert run_query(settings, query="select $x as x", params={"x": hostile}) == (["x"], [(hostile,)])


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"merchant_id": "m9"}, "The lake has no merchant m9"),
        ({"day": "2018-05-05"}, "day is 2018-05-05; the last published day is 2017-12-31"),
    ],
)
def test_what_the_lake_does_not_have_is_told(params: dict, told: str, settings: Settings) -> None:
    """Zeros, or another day's numbers, would be an answer to another question."""
    with pytest.raises(InputMissing, match=told):
        run_query(settings, "l_ness", params=params)


def test_files_with_and_without_a_header(settings: Settings, tmp_path: Path) -> None:
    plain = tmp_path / "q.sql"
    plain.write_text("select count(*) as n from score_merchants where as_of_date = $day::date")
    assert run_query(settings, file=plain, params={"day": "2017-12-31"}) == (["n"], [(3,)])
    copied = tmp_path / "mine.sql"
    copied.write_text((folder() / "growth_accounting.sql").read_text())
    assert len(run_query(settings, file=copied, params={"days": "1"})[1]) == 1
    with pytest.raises(InputMissing, match="cannot be read"):
        run_query(settings, file=tmp_path / "none.sql")
    with pytest.raises(ValueError, match="says no grain"):
        parse("x", "-- Question: why\n-- Parameters:\n-- Run: x\nselect 1")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "growth_acounting"}, "no named query growth_acounting.*growth_accounting"),
        ({"name": "zzz"}, "no named query zzz.*from queries"),
        ({"name": "score_movers", "params": {"tp": "3"}}, "no parameter tp.*top"),
        ({"name": "score_movers", "params": {"top": "many"}}, "'many', which is no INTEGER"),
        ({"name": "score_movers", "params": {"to_day": "31.12.2017"}}, "no DATE"),
        (
            {"name": "score_movers", "params": {"direction": "sideways"}},
            "'sideways', which.*one of up, down, both",
        ),
        ({"name": "growth_accounting", "params": {"days": "-5"}}, "days is -5, which is below 0"),
        ({}, "Give one of"),
        ({"name": "score_movers", "query": "select 1"}, "Give one of"),
        ({"query": "select $a"}, "needs a value for a"),
        ({"query": "select 1", "params": {"a": "1"}}, "no parameter a"),
        (
            {"query": "select * from score_merchant"},
            'DuckDB says: Catalog Error.*Did you mean "score_merchants"',
        ),
        ({"query": "selec 1"}, "DuckDB says: Parser Error"),
        ({"query": "select 'x'::int"}, "DuckDB says: Conversion Error"),
    ],
)
def test_what_cannot_be_meant_is_told(arguments: dict, told: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=told):
        run_query(settings, **arguments)


@pytest.mark.parametrize(
    "sql",
    [
        "create table x as select 1",
        "drop view score_merchants",
        "copy (select 1) to 'x.csv'",
        "explain analyze copy (select 1) to 'x.csv'",
        "attach 'x.db'",
        "install httpfs",
        "set enable_external_access = true",
        "select 1; select 2",
        "",
    ],
)
def test_only_one_select_is_run(sql: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match="Only one query that reads"):
        run_query(settings, query=sql)


def test_only_the_lake_is_read(settings: Settings, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    with pytest.raises(UsageError, match="Permission Error"):
        run_query(settings, query="select * from read_csv($f)", params={"f": str(outside)})
