"""What is lost is named; the ledger's caches are derived again and equal those that the closes kept."""

import shutil

import duckdb
import pytest
from books_lake import copied, d, write_lake
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_reference import Ledger, Shop, Terms
from ledger_world import TRAFFIC, World, arrow, as_tables
from typer.testing import CliRunner

from ccare.cli import app
from ccare.errors import IntegrityBroken, StateOutdated
from ccare.ledger.derive import QUERIES, derived, derived_positions
from ccare.runtime import deltalog, manifest
from ccare.runtime.digest import lake_digest
from ccare.runtime.outdated import require_current_state
from ccare.runtime.rebuild import Difference, Rebuilt
from ccare.runtime.repair import DERIVED, repair
from ccare.runtime.verify import verify_lake


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("books"), closed=6)


@pytest.fixture
def books(closed, tmp_path):
    return copied(closed, tmp_path)


def cut_log(lake, name):
    newest = deltalog.latest_version(lake, name)
    deltalog.commit_file(lake, name, newest).write_bytes(b"")


def lose_log(lake, name):
    newest = deltalog.latest_version(lake, name)
    deltalog.commit_file(lake, name, newest).unlink()


def lose_files(lake, name):
    for path in (lake / name).glob("**/*.parquet"):
        path.unlink()


def lose_table(lake, name):
    shutil.rmtree(lake / name)


def test_a_whole_lake_needs_nothing(books):
    before = lake_digest(books)
    assert repair(books, dry_run=False).losses == []
    assert lake_digest(books) == before


LOST = [
    *zip(DERIVED, (cut_log, lose_log, lose_files, lose_table), strict=True),
    ("ledger_positions", lose_files),
]


@pytest.mark.parametrize(("name", "lose"), LOST)
def test_a_lost_cache_is_derived_again_and_published(books, name, lose):
    before = lake_digest(books)["tables"][name]
    lose(books.lake, name)
    assert not verify_lake(books, lambda line: None).ok
    shown = repair(books, dry_run=True)
    assert [loss.table for loss in shown.losses] == [name] and shown.seq is None
    result = repair(books, dry_run=False)
    assert result.rows.keys() == {name} and result.left == []
    assert manifest.latest(books.lake).kind == "repair"
    verified = verify_lake(books, lambda line: None)
    assert verified.ok, [c for c in verified.checks if not c.ok]
    if name != "ledger_positions":
        assert lake_digest(books)["tables"][name] == before
    assert repair(books, dry_run=False).losses == []
    aside = list((books.lake / "_lost").glob("*"))
    assert len(aside) == (lose is not lose_table), "what was there is kept"


@pytest.mark.parametrize("name", ["ledger_transfers", "core_payments", "score_merchants"])
def test_what_cannot_be_derived_is_named_and_nothing_is_written(books, name):
    lose_files(books.lake, name)
    versions = dict(manifest.latest(books.lake).table_versions)
    result = repair(books, dry_run=False)
    (loss,) = result.left
    assert loss.table == name and "backup" in loss.remedy and result.seq is None
    assert manifest.latest(books.lake).table_versions == versions


def test_caches_wait_for_the_transfers_they_follow_from(books):
    lose_files(books.lake, "ledger_transfers")
    lose_files(books.lake, "ledger_lots")
    assert {loss.table for loss in repair(books, dry_run=False).left} == {"ledger_transfers", "ledger_lots"}


def test_a_broken_manifest_is_no_case_for_repair(books):
    cut_log(books.lake, "run_manifest")
    with pytest.raises(IntegrityBroken, match="run_manifest"):
        repair(books, dry_run=False)


def test_the_command_says_what_is_lost_and_leaves_by_30_while_anything_is(books, monkeypatch):
    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(books, name)))
    lose_files(books.lake, "ledger_balances")
    result = CliRunner().invoke(app, ["repair", "--json", "--dry-run"])
    assert result.exit_code == 30 and "ledger_balances" in result.output
    result = CliRunner().invoke(app, ["repair"])
    assert result.exit_code == 0 and "made again" in result.output, result.output
    assert DeltaTable(str(books.lake / "ledger_balances")).version() > 0


def test_lost_state_stands_empty_and_refused_until_the_command_has_derived_it(books, monkeypatch):
    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(books, name)))
    lose_table(books.lake, "state_user_days")
    asked = []

    def rebuilt(settings, first, reason, said):
        asked.append((first, reason))
        last = manifest.latest(settings.lake)
        with pytest.raises(StateOutdated, match="state_user_days was written by another ccare: it was lost"):
            require_current_state(settings.lake, last.table_versions)
        return Rebuilt(first, {"state_user_days": Difference(7, 0, 7, 0)}, last.seq + 1)

    monkeypatch.setattr("ccare.runtime.rebuild.rebuild", rebuilt)
    result = CliRunner().invoke(app, ["repair"])
    assert result.exit_code == 0 and "made again, 7 rows" in result.output, result.output
    assert asked == [(None, "lost: state_user_days")]


NOT_KEPT = {"updated_on", "policy_version", "folded_to"}


def kept(rows, columns):
    return sorted(str([row.get(c) for c in columns]) for row in rows)


DAYS = st.integers(0, 9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), DAYS, st.integers(0, 2), st.integers(1, 90)), max_size=10),
    st.lists(st.tuples(st.integers(0, 99), DAYS, st.integers(1, 100)), max_size=8),
    st.lists(st.tuples(st.sampled_from("ab"), DAYS, st.integers(1, 60)), max_size=4),
    st.sampled_from([{}, {"only_pending": True}, {"skips_others": True}]),
)
def test_caches_of_any_history_follow_from_its_transfers(sales, refunds, asks, policy):
    world, shop = World(), Shop(runs=2, settles=3)
    made = [world.sell(m, thousand * 1_000, d(n), d(n + late)) for m, n, late, thousand in sales]
    for index, n, percent in refunds:
        if made:
            sale = made[index % len(made)]
            left = sale.amount - sum(r.amount for r in world.refunds if r.sale is sale)
            world.refund(sale, left * percent // 100, max(d(n), sale.paid))
    for number, (m, n, points) in enumerate(asks):
        world.ask(f"r{number}", m, points, d(n))
        world.deliver(f"r{number}", m, points * 4, d(n + 1))
    ledger = Ledger(Terms(2, 3, **policy), d(0), shop=shop)
    for n in range(14):
        given_ = world.servable(d(n), d(0)), world.served(ledger, d(n))
        ledger.close(d(n), world.nets(d(n), 30), {}, [("A-1", d(0), 10_000), TRAFFIC], *given_)
    tables = as_tables(ledger)
    con = duckdb.connect()
    con.register("ledger_transfers", arrow("ledger_transfers", tables["ledger_transfers"]))
    for name in QUERIES:
        columns = [c for c in arrow(name).column_names if c not in NOT_KEPT]
        assert kept(derived(con, name), columns) == kept(tables[name], columns), name
    columns = (
        "business_key",
        "revision",
        "asked",
        "granted",
        "net",
        "lapsed",
        "forgiven",
        "debt",
        "repayments",
    )
    granted = [p for p in tables["ledger_positions"] if p["granted"]]
    seen = {p["business_key"]: p for p in derived_positions(con, [], None)}
    for p in granted:
        # A fall that took nothing from any lot leaves no transfer: what it lapsed is asked for again.
        if p["revision"] == seen[p["business_key"]]["revision"]:
            assert kept([seen[p["business_key"]]], columns) == kept([p], columns)
    assert seen.keys() == {p["business_key"] for p in granted}
