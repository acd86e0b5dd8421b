"""A metric that no peer has data of counts as the middle for everyone: it hides nothing and is told as what it is."""

from collections.abc import Iterator
from datetime import date

import duckdb
import pytest

from ccare.exports.advice import actions
from ccare.exports.card_data import read_card
from ccare.exports.card_view import scores
from ccare.exports.drivers import driver_table, read_drivers
from ccare.exports.statement import Span
from ccare.growth.snapshot import connect
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings, default_conf
from ccare.scoring.policy import load_scoring

DAY = date(2017, 12, 31)
ALONE, WEAK = "e_discount_rate", "e_refund_rate"


@pytest.fixture
def market(settings: Settings, row: Published) -> Iterator[duckdb.DuckDBPyConnection]:
    """m1 of the small lake: nobody has data of ALONE, WEAK stands near the bottom of 272 peers."""
    with connect(settings.lake, row) as con:
        place = f"case metric_id when '{ALONE}' then 50.0 when '{WEAK}' then 4.0 else percentile end"
        con.execute(f"""create temp table placed as select * replace ({place} as percentile,
            weight * ({place}) as contribution,
            case metric_id when '{ALONE}' then 'none' when '{WEAK}' then 'bad' else driver_status end
                as driver_status) from score_drivers""")
        con.execute("create or replace view score_drivers as from placed")
        con.execute(
            "create temp table scored as select * replace (27.0::double as efficiency_score) from score_merchants"
        )
        con.execute("create or replace view score_merchants as from scored")
        frozen(con, "2017-12", 0)
        yield con


def frozen(con: duckdb.DuckDBPyConnection, month: str, peers: int, metric: str = ALONE) -> None:
    """score_benchmarks of one month: ``peers`` for one metric, 272 for the others."""
    con.execute(f"""create or replace temp table frozen as
        select '{month}' as month, peer_group, metric_id, if(metric_id = '{metric}', {peers}, 272)::bigint as peers,
            if(metric_id = '{metric}' and {peers} = 0, null, [0.0, 1.0]) as quantiles
        from (select distinct peer_group, metric_id from score_drivers)""")
    con.execute("create or replace view score_benchmarks as from frozen")


def rows(con: duckdb.DuckDBPyConnection) -> dict[str, dict[str, object]]:
    found = driver_table(read_drivers(con, Span("m1", "m1", DAY)), DAY).to_pylist()
    return {r["metric_id"]: r for r in found}


def test_it_does_not_hide_its_dimension(market: duckdb.DuckDBPyConnection) -> None:
    found = rows(market)
    alone, weak = found[ALONE], found[WEAK]
    told = ("percentile", "contribution", "target", "driver_status", "peers")
    assert [alone[n] for n in told] == [50.0, 25.0, None, "no_peers", "0"]
    assert [weak[n] for n in told] == [4.0, 2.0, 0.01, "bad", "272"]


@pytest.mark.parametrize("peers", [1, 19])
def test_a_metric_with_few_peers_still_does(market: duckdb.DuckDBPyConnection, peers: int) -> None:
    frozen(market, "2017-12", peers)
    for metric, compared in ((ALONE, "<20"), (WEAK, "272")):
        found = rows(market)[metric]
        assert (found["driver_status"], found["peers"]) == ("withheld", compared)
        assert all(found[n] is None for n in ("percentile", "contribution", "target", "contribution_change"))


def test_advice_holds_the_largest_gain(market: duckdb.DuckDBPyConnection) -> None:
    policy = load_scoring(default_conf() / "demo").for_day(DAY)
    first = actions(read_card(market, "m1"), policy)[0]
    assert first.driver.metric_id == WEAK and first.gain > 10


def test_words_match_the_peers_beside_them(market: duckdb.DuckDBPyConnection) -> None:
    def shown() -> dict[str, tuple[str, str, str, str]]:
        _, dimensions = scores(read_card(market, "m1"), "USD")
        (efficiency,) = [d for d in dimensions if d.key == "efficiency"]
        return {
            d.name.en: (d.status_name.en, d.status_name.zh, d.peers, d.contribution)
            for d in efficiency.drivers
        }

    assert shown() == {
        "Discount rate": ("no peers: the middle", "无同行：按中位计", "0", "25.00"),
        "Refund rate": ("weak", "偏弱", "272", "2.00"),
    }
    frozen(market, "2017-12", 7)
    assert shown() == {
        "Discount rate": ("too few peers", "同行过少", "<20", "–"),
        "Refund rate": (
            "withheld for another metric",
            "因另一指标不予显示",
            "272",
            "–",
        ),
    }


def test_benchmarks_that_stand_in_count_like_the_months_own(market: duckdb.DuckDBPyConnection) -> None:
    market.execute("""create or replace view score_merchants as
        select * replace ('last_frozen' as benchmark_status) from scored""")
    frozen(market, "2017-11", 7)
    assert rows(market)[WEAK]["driver_status"] == "withheld"
    frozen(market, "2017-11", 0)
    assert rows(market)[ALONE]["driver_status"] == "no_peers"


def test_a_change_is_told_only_where_both_days_are(market: duckdb.DuckDBPyConnection) -> None:
    market.execute("""create or replace view score_merchants as select * replace (
        if(as_of_date = date '2017-12-24', 'last_frozen', benchmark_status) as benchmark_status) from scored""")
    frozen(market, "2017-12", 0)
    market.execute(f"""create or replace view score_benchmarks as from frozen union all
        select * replace ('2017-11' as month, if(metric_id = '{ALONE}', 7, peers) as peers) from frozen""")
    found = rows(market)
    assert found[WEAK]["contribution"] == 2.0 and found[WEAK]["contribution_change"] is None
    assert found["c_mau28"]["contribution_change"] is not None
