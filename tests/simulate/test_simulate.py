"""The simulator on a small made-up panel: shape, order, caps and determinism."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from ccare import simulate as simulator
from ccare.simulate import life_account, mini_program, traffic
from ccare.simulate.draws import thinning_limit
from ccare.sources import landing_lines
from ccare.sources.zone_macros import create_zone_macros
from ccare.tables.streams import STREAMS

LAST_DAY = date(2017, 12, 31)
TABLES = ("sim_mini_program", "sim_life_account", "sim_traffic", "sim_refunds")


def panel(threads: int = 2, seed: int = 7, last_day: date = LAST_DAY) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:")
    con.execute(f"SET threads = {threads}")
    create_zone_macros(con, "America/New_York", datetime(2016, 12, 1), datetime(2018, 1, 31))
    con.execute("""
        CREATE TABLE trades AS
        SELECT 't' || n AS trade_no, CAST(1 + (n * n) % 37 AS VARCHAR) AS merchant_id,
               CAST(n % 191 AS VARCHAR) AS user_id, CAST(n % 5 AS VARCHAR) AS store_id,
               TIMESTAMP '2017-01-01 14:00:00' + to_seconds(n * 1571) AS at_utc,
               local_date(TIMESTAMP '2017-01-01 14:00:00' + to_seconds(n * 1571)) AS business_date,
               CAST((n * 7919) % 5000 AS BIGINT) AS amount_fen
        FROM (SELECT unnest(range(20000)) AS n)""")
    con.execute("UPDATE trades SET merchant_id = 'unknown' WHERE trade_no LIKE '%77'")
    con.execute("CREATE TABLE merchants AS SELECT merchant_id, min(business_date) AS first_date FROM trades "
                "WHERE merchant_id <> 'unknown' GROUP BY ALL")  # fmt: skip
    simulator.simulate(con, seed=seed, last_day=last_day)
    return con


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    con = panel()
    yield con
    con.close()


def everything(con: duckdb.DuckDBPyConnection) -> dict[str, list[tuple]]:
    return {
        table: con.execute(f"SELECT * FROM {table} ORDER BY event_id, at_utc").fetchall() for table in TABLES
    }


def number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def test_threads_and_row_order_change_nothing(con: duckdb.DuckDBPyConnection) -> None:
    with panel(threads=1) as other:
        assert everything(other) == everything(con)


def test_another_seed_gives_other_rows(con: duckdb.DuckDBPyConnection) -> None:
    with panel(seed=8) as other:
        for table in TABLES:
            ids = {row[0] for row in con.execute(f"SELECT event_id FROM {table}").fetchall()}
            others = {row[0] for row in other.execute(f"SELECT event_id FROM {table}").fetchall()}
            assert ids and others and not ids & others


def test_an_earlier_last_day_only_cuts(con: duckdb.DuckDBPyConnection) -> None:
    with panel(last_day=date(2017, 6, 30)) as other:
        for table in TABLES:
            kept = f"SELECT * FROM {table} WHERE local_date(at_utc) <= '2017-06-30' ORDER BY event_id"
            assert other.execute(kept).fetchall() == con.execute(kept).fetchall()
            assert number(other, f"SELECT count(*) FROM {table} WHERE local_date(at_utc) > '2017-06-30'") == 0


@pytest.mark.parametrize("stream", ["mini_program", "life_account", "traffic"])
def test_events_are_unique_known_and_within_the_panel(con: duckdb.DuckDBPyConnection, stream: str) -> None:
    table = f"sim_{stream}"
    rows = number(con, f"SELECT count(*) FROM {table}")
    assert rows > 1000
    assert number(con, f"SELECT count(DISTINCT event_id) FROM {table}") == rows
    kinds = {row[0] for row in con.execute(f"SELECT DISTINCT event_type FROM {table}").fetchall()}
    assert kinds == set(STREAMS[stream].event_types)
    outside = (
        f"SELECT count(*) FROM {table} e LEFT JOIN merchants m USING (merchant_id) "
        "WHERE m.merchant_id IS NULL OR local_date(e.at_utc) NOT BETWEEN m.first_date AND '2017-12-31'"
    )
    assert number(con, outside) == 0
    if stream != "traffic":
        pairs = (
            f"SELECT count(*) FROM (SELECT DISTINCT merchant_id, user_id FROM {table}) "
            "ANTI JOIN trades USING (merchant_id, user_id) WHERE user_id IS NOT NULL"
        )
        assert number(con, pairs) == 0


@pytest.mark.parametrize(
    ("table", "on", "off"),
    [
        ("sim_mini_program", "collect", "uncollect"),
        ("sim_mini_program", "member_join", "member_leave"),
        ("sim_life_account", "follow", "unfollow"),
    ],
)
def test_relations_alternate(con: duckdb.DuckDBPyConnection, table: str, on: str, off: str) -> None:
    chains: dict[tuple[str, str], list[str]] = {}
    query = f"SELECT merchant_id, user_id, event_type FROM {table} WHERE event_type IN (?, ?) ORDER BY at_utc"
    for merchant_id, user_id, kind in con.execute(query, [on, off]).fetchall():
        chains.setdefault((merchant_id, user_id), []).append(kind)
    assert max(map(len, chains.values())) > 1
    for chain in chains.values():
        assert chain == [on, off, on, off][: len(chain)]


def test_refunds_return_at_most_what_was_paid_within_two_weeks(con: duckdb.DuckDBPyConnection) -> None:
    refunds = con.execute("""
        SELECT r.amount_fen, t.amount_fen, r.at_utc - t.at_utc > INTERVAL 0 SECOND,
               local_date(r.at_utc) - t.business_date, r.user_id = t.user_id
        FROM sim_refunds r JOIN trades t USING (trade_no, merchant_id)""").fetchall()
    assert len(refunds) == number(con, "SELECT count(*) FROM sim_refunds") > 20
    for refunded, paid, later, days, same_user in refunds:
        assert 1 <= refunded <= paid and later and 0 <= days <= 14 and same_user
    assert {refunded == paid for refunded, paid, *_ in refunds} == {True, False}
    assert number(con, "SELECT count(DISTINCT (merchant_id, trade_no)) FROM sim_refunds") == len(refunds)


def test_visits_gather_before_purchases(con: duckdb.DuckDBPyConnection) -> None:
    submitted = "SELECT count(*) FROM sim_mini_program WHERE event_type = 'order_submit'"
    paid_soon = submitted + (
        " AND EXISTS (SELECT 1 FROM trades t WHERE t.merchant_id = sim_mini_program.merchant_id"
        " AND t.user_id = sim_mini_program.user_id"
        " AND t.at_utc BETWEEN sim_mini_program.at_utc AND sim_mini_program.at_utc + INTERVAL 3 HOUR)"
    )
    assert number(con, paid_soon) > 0.8 * number(con, submitted)


def test_traffic_is_one_hour_a_merchant_slot_and_day(con: duckdb.DuckDBPyConnection) -> None:
    rows = number(con, "SELECT count(*) FROM sim_traffic")
    cells = "SELECT count(DISTINCT (merchant_id, slot, local_date(at_utc))) FROM sim_traffic"
    assert number(con, cells) == rows
    assert number(con, "SELECT count(*) FROM sim_traffic WHERE clicks > impressions OR clicks < 0") == 0
    assert number(con, "SELECT count(*) FROM sim_traffic WHERE at_utc <> date_trunc('hour', at_utc)") == 0


def test_thinning_keeps_each_stream_under_its_limit() -> None:
    for module in (mini_program, life_account, traffic):
        assert module.TARGET_ROWS < module.MAX_ROWS
    assert thinning_limit(99, 100) == 65536
    assert 2_000_000 * thinning_limit(2_000_000, 1_240_000) // 65536 <= 1_240_000


def written(con: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, bytes]:
    """The simulated streams as the files of a landing that goes live on 1 December."""
    go_live = date(2017, 12, 1)
    landing_lines.create_line_macros(con, go_live, date(2017, 1, 1))
    for stream in simulator.STREAMS:
        landing_lines.create_lines(con, landing_lines.SIMULATED[stream], plant=True)
        for file in list(landing_lines.line_files(con, stream, go_live)):
            landing_lines.copy_lines(con, file.file_no, folder / file.name)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_files_have_the_same_bytes_whatever_the_threads(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    with panel(threads=1) as con, panel(threads=2) as other:
        files = written(con, one)
        assert files == written(other, two)
    assert sum(name.startswith("traffic-history") for name in files) == 4
    assert b'"event_id":"bad-' in b"".join(files.values())
