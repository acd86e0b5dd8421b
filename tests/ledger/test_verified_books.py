"""``ccare verify`` over a tiny published lake: lawful it holds, and each way to break the lake is named."""

import json
from datetime import timedelta

import pyarrow as pa
import pytest
from books_lake import LAST, copied, d, write_lake
from deltalake import DeltaTable, write_deltalake

from ccare.errors import InputMissing, IntegrityBroken
from ccare.runtime import deltalog, manifest
from ccare.runtime.books import balances_as_of, statement
from ccare.runtime.lease import save_record
from ccare.runtime.trail import appended_only
from ccare.runtime.verify import verify_lake
from ccare.tables import table


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    return write_lake(tmp_path_factory.mktemp("books"), closed=6)


@pytest.fixture
def books(closed, tmp_path):
    """A lake of the test's own."""
    return copied(closed, tmp_path)


def broken(settings):
    return {c.name: c.detail for c in verify_lake(settings, lambda line: None).checks if not c.ok}


def test_every_law_is_checked_and_holds(closed):
    checks = verify_lake(closed, lambda line: None).checks
    assert [c for c in checks if not c.ok] == []
    assert {f"L{n}" for n in range(1, 16)} <= {c.name for c in checks}


def rewrite(settings, name, change):
    """Rows of a table changed by somebody who can also write its log and publish it."""
    opened = DeltaTable(str(settings.lake / name))
    if table(name).append_only:
        opened.alter.set_table_properties({"delta.appendOnly": "false"})
    rows = opened.to_pyarrow_table()
    changed = pa.Table.from_pylist([change(dict(row)) for row in rows.to_pylist()], schema=rows.schema)
    write_deltalake(str(settings.lake / name), changed, mode="overwrite")


def republish(settings, **changes):
    """A manifest row that says what stands there now, as a forger with the lake's keys would write it."""
    last = manifest.latest(settings.lake)
    versions = {n: deltalog.latest_version(settings.lake, n) for n in last.table_versions}
    fields = (
        "run_id",
        "business_date",
        "revision",
        "kind",
        "control_totals",
        "inputs_digest",
        "code_version",
    )
    told = {n: getattr(last, n) for n in (*fields, "policy_version", "published_at")}
    told |= {"run_id": f"{last.run_id}-again", "kind": "republish", "table_versions": versions} | changes
    return manifest.append(settings.lake, last, **told)


def test_an_edited_transfer_is_found_by_its_hash_and_by_the_log(books):
    rewrite(
        books, "ledger_transfers", lambda row: row | {"amount": row["amount"] + (row["code"] == "reserve")}
    )
    assert "L14" in broken(books)
    republish(books)
    found = broken(books)
    assert "content hash" in found["L3"] and "L12" in found
    assert "ledger_transfers log" in found


def test_a_version_that_goes_back_is_l10(books):
    last = manifest.latest(books.lake)
    rewrite(books, "ledger_balances", dict)
    forward = republish(books)
    versions = dict(forward.table_versions) | {"ledger_balances": last.table_versions["ledger_balances"]}
    republish(books, table_versions=versions, run_id="back")
    assert "went back" in broken(books)["L10"]


def test_transfers_of_a_run_that_nobody_published_are_l11(books):
    rewrite(books, "ledger_transfers", lambda row: row | {"run_id": "stranger"})
    republish(books)
    assert "1 runs of transfers are not in the manifest" in broken(books)["L11"]


def test_what_nobody_published_is_l14_unless_the_open_run_wrote_it(books):
    rewrite(books, "state_user_days", lambda row: row | {"orders": 7})
    assert "state_user_days stands at version" in broken(books)["L14"]
    from ccare.runtime.lease import RunRecord

    last = manifest.latest(books.lake)
    record = RunRecord("open", LAST + timedelta(days=1), 0, "close", d(0), 7, last.published_at)
    record.versions = {"state_user_days": deltalog.latest_version(books.lake, "state_user_days")}
    save_record(books.lake, record)
    assert broken(books) == {}


def test_a_table_rolled_back_after_a_failed_run_is_what_was_published(books):
    from ccare.runtime.rowstore import roll_back

    before = deltalog.latest_version(books.lake, "ledger_lots")
    rewrite(books, "ledger_lots", lambda row: row | {"taken": 1})
    roll_back(books.lake, "ledger_lots", before, "run")
    assert deltalog.latest_version(books.lake, "ledger_lots") > before
    assert broken(books) == {}


def test_a_property_switched_off_is_named(books):
    DeltaTable(str(books.lake / "ledger_transfers")).alter.set_table_properties({"delta.appendOnly": "false"})
    found = broken(books)
    assert (
        "SET TBLPROPERTIES" in found["ledger_transfers log"]
        or "appendOnly off" in found["ledger_transfers log"]
    )


def commits(folder, *actions):
    folder.mkdir(parents=True)
    for version, lines in enumerate(actions):
        (folder / f"{version:020d}.json").write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ([{"commitInfo": {"operation": "MERGE"}}, {"add": {"path": "b"}}], ""),
        ([{"commitInfo": {"operation": "WRITE"}}, {"add": {"path": "b"}}], "its commit 1 is a WRITE, which"),
        ([{"commitInfo": {"operation": "UPDATE"}}], "its commit 1 is a UPDATE"),
        ([{"commitInfo": {"operation": "RESTORE"}}], "its commit 1 is a RESTORE"),
        ([{"metaData": {"configuration": {"delta.appendOnly": "false"}}}], "switched delta.appendOnly off"),
        ([{"metaData": {"configuration": {}}}], "switched delta.appendOnly off"),
        ([{"remove": {"path": "a", "dataChange": True}}], "its commit 1 took 1 file(s) of rows out"),
        ([{"commitInfo": {"operation": "OPTIMIZE"}}, {"remove": {"path": "a", "dataChange": False}}], ""),
    ],
)
def test_the_log_of_an_append_only_table_may_only_grow(tmp_path, second, said):
    first = [{"commitInfo": {"operation": "CREATE TABLE"}}]
    first.append({"metaData": {"configuration": {"delta.appendOnly": "true"}}})
    commits(tmp_path / "ledger_transfers" / "_delta_log", first, second)
    found = appended_only(tmp_path, table("ledger_transfers"))
    assert said in found and bool(said) == bool(found)


def test_a_blind_append_of_transfers_is_named_by_the_log_and_manifest_rows_are_appended(books):
    name = "ledger_transfers"
    opened = DeltaTable(str(books.lake / name))
    write_deltalake(opened, opened.to_pyarrow_table().slice(0, 1), mode="append")
    republish(books)
    found = broken(books)
    assert "is a WRITE, which no run makes" in found[f"{name} log"] and "run_manifest log" not in found


def test_a_restore_to_an_older_version_is_named(books):
    rewrite(books, "ledger_balances", lambda row: row | {"credits": 1})
    assert "ledger_balances" in broken(books)["L14"]
    newest = deltalog.latest_version(books.lake, "ledger_balances")
    deltalog.commit_file(books.lake, "ledger_balances", newest).unlink()
    deltalog.commit_file(books.lake, "ledger_balances", newest - 1).unlink()
    with pytest.raises(IntegrityBroken, match="ledger_balances"):
        manifest.check_tables(books.lake, manifest.latest(books.lake))


def test_a_foreign_vacuum_is_found_and_named(books):
    (path,) = (books.lake / "ledger_lots").glob("*.parquet")
    path.unlink()
    assert "has lost 1 data file" in broken(books)["ledger_lots"]


def test_a_data_file_that_was_cut_is_found_and_named(books):
    (path,) = (books.lake / "ledger_positions").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    assert path.name in broken(books)["ledger_positions"]


def test_balances_as_of_a_day_and_as_known_then(closed):
    """The refund of day 5 is about day 0: as of day 4 it counts, as it was known on day 4 it did not."""
    row = manifest.latest(closed.lake)

    def of(account, **days):
        days = {n: d(k) for n, k in days.items()}
        found = balances_as_of(closed, row, days["as_of"], days.get("known_on"))
        return {r["account"]: r["balance"] for r in found if r["asset"] == "POINT"}.get(account, 0)

    assert of("merchant:a:active", as_of=2, known_on=4) == 100
    assert of("merchant:a:active", as_of=2) == 30  # 20 of the refunded day's own lot, 50 of the other
    assert of("merchant:a:pending", as_of=1) == 150
    assert of("merchant:a:reserved", as_of=3) == 80 and of("merchant:a:reserved", as_of=5) == 0
    before, since = (of("pool:p:available", as_of=4, **k) for k in ({"known_on": 4}, {}))
    assert since > before
    published = {
        r["account"]: r["balance"] for r in deltalog.rows(closed.lake, "ledger_balances") if r["balance"]
    }
    assert of("merchant:a:active", as_of=5) == published.get("merchant:a:active", 0)
    with pytest.raises(InputMissing, match="is not closed"):
        balances_as_of(closed, row, LAST + timedelta(days=1), None)


def test_a_statement_adds_up_and_says_where_it_does_not(books):
    row = manifest.latest(books.lake)
    whole = statement(books, row, "merchant:a", None, None)
    assert whole.opening == {} and len(whole.lines) > 10
    part = statement(books, row, "merchant:a", d(3), d(4))
    moved = {}
    for line in part.lines:
        name = f"{line['part']} {line['asset']}"
        moved[name] = moved.get(name, 0) + line["amount"]
    for name in {*part.opening, *part.closing, *moved}:
        assert part.opening.get(name, 0) + moved.get(name, 0) == part.closing.get(name, 0), name
    assert {"reserve"} <= {line["code"] for line in part.lines}
    last = [line for line in whole.lines if (line["part"], line["asset"]) == ("active", "POINT")][-1]
    assert last["balance"] == whole.closing["active POINT"]
    with pytest.raises(InputMissing, match="no transfer"):
        statement(books, row, "merchant:nobody", None, None)
    rewrite(books, "ledger_balances", lambda r: r | {"balance": r["balance"] + (":active" in r["account"])})
    with pytest.raises(IntegrityBroken, match="L13"):
        statement(books, republish(books), "merchant:a", None, None)


def test_the_report_is_machine_readable(closed, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from ccare.cli import app

    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(closed, name)))
    result = CliRunner().invoke(app, ["verify", "--report", str(tmp_path / "report.json"), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "report.json").read_text())
    assert all(set(check) == {"name", "ok", "detail"} for check in told)
    assert json.loads(result.stdout) == {"ok": True, "checks": told}, "progress goes beside the JSON"
    for name in ("run_manifest", "commit files", "ledger_lots", "L1", "L15"):
        assert f"s  ok  {name}: " in result.stderr, name


def test_a_broken_lake_leaves_by_30_and_the_report_says_what_is_not_ok(books, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from ccare.cli import app

    for name in ("lake", "landing", "exports", "conf"):
        monkeypatch.setenv(f"CCARE_{name.upper()}", str(getattr(books, name)))
    rewrite(books, "ledger_balances", lambda row: row | {"balance": row["balance"] + 1})
    republish(books)
    result = CliRunner().invoke(app, ["verify", "--report", str(tmp_path / "report.json")])
    assert result.exit_code == 30, result.output
    told = {check["name"]: check for check in json.loads((tmp_path / "report.json").read_text())}
    assert told["L1"]["ok"] is False and "sum to" in told["L1"]["detail"] and told["L3"]["ok"] is True
    assert "s  ok  L3: " in result.output and "BROKEN L1: " in result.output
    assert "ledger_balances is broken: ledger_balances.balance is " in result.output, "the first is named"
