"""A merchant's folder: its own rows only, sums that hold, neutral cells, a manifest that comes last."""

import csv
import json
import re
import zipfile
from collections import defaultdict
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest

from ccare.errors import IntegrityBroken, UsageError
from ccare.exports import merchant_files, statement
from ccare.exports.merchants import export_merchants
from ccare.exports.statement import Span, statement_rows
from ccare.growth.snapshot import connect
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

DAY = date(2017, 12, 31)
Row = dict[str, str]


def read(path: Path) -> list[Row]:
    raw = path.read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))


@pytest.fixture
def everyone(settings: Settings, row: Published) -> Path:
    made = export_merchants(settings, row, everyone=True)
    assert (made.merchants, made.files, made.as_of_date) == (3, 12, DAY)
    return settings.exports / "merchants"


def test_each_folder_holds_its_merchant_alone_and_its_manifest_tells_all(
    everyone: Path, row: Published
) -> None:
    assert sorted(p.name for p in everyone.iterdir()) == ["m1", "m2", "m3"]
    for merchant in ("m1", "m2", "m3"):
        folder = everyone / merchant / str(DAY)
        manifest = json.loads((folder / "manifest.json").read_text())
        assert (manifest["merchant_id"], manifest["lake_hash"]) == (merchant, row.hash)
        assert {f["name"] for f in manifest["files"]} == {"scores.csv", "drivers.csv", "statement.csv"}
        assert {p.name for p in folder.iterdir()} == {
            "manifest.json",
            *(f["name"] for f in manifest["files"]),
        }
        for entry in manifest["files"]:
            content = (folder / entry["name"]).read_bytes()
            assert (sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
            rows = read(folder / entry["name"])
            assert {r["merchant_id"] for r in rows} <= {merchant}
            assert len(rows) == manifest["rows"][entry["name"]]
    drivers = read(everyone / "m1" / str(DAY) / "drivers.csv")
    assert len(drivers) == 10 and {r["since"] for r in drivers} == {"2017-12-24"}
    assert [r["origin"] for r in read(everyone / "m1" / str(DAY) / "scores.csv")] == ["mixed"] * 2
    assert read(everyone / "m2" / str(DAY) / "scores.csv")[0]["origin"] == "real"


def test_a_statement_adds_up_line_by_line_and_to_the_ledger(everyone: Path) -> None:
    rows = read(everyone / "m1" / str(DAY) / "statement.csv")
    by = defaultdict(list)
    for r in rows:
        by[r["section"]].append(r)
    assert {s: len(found) for s, found in by.items()} == {
        **{"opening": 1, "transfer": 7, "closing": 1, "lot": 2, "expiring": 2}
    }
    running = {part: int(by["opening"][0][part]) for part in ("pending", "active", "reserved", "debt")}
    assert running == {"pending": 0, "active": 0, "reserved": 0, "debt": 0}
    for r in by["transfer"]:
        for part in running:
            running[part] += int(r[part])
        assert int(r["balance"]) == running["pending"] + running["active"]
    closing = {part: int(by["closing"][0][part]) for part in running}
    assert running == closing == {"pending": 45, "active": 60, "reserved": 0, "debt": 0}
    assert {(r["day"], r["amount"]) for r in by["expiring"]} == {("2017-12-31", "60"), ("2018-01-06", "45")}
    (owed,) = [r for r in read(everyone / "m2" / str(DAY) / "statement.csv") if r["section"] == "closing"]
    assert (owed["debt"], owed["active"], owed["balance"]) == ("8", "0", "0")


def test_small_counts_are_hidden_in_the_files_too(everyone: Path) -> None:
    rows = {r["metric_id"]: r for r in read(everyone / "m1" / str(DAY) / "drivers.csv")}
    shown = {m: tuple(rows[m][n] for n in ("value", "numerator", "denominator", "n")) for m in rows}
    assert shown["c_mau28"] == ("12", "12", "", "12")
    assert shown["c_new_users"] == ("<10", "<10", "", "<10")
    assert shown["a_return_rate"] == ("withheld", "<10", "<10", "<10")
    assert shown["r_pay_conversion"] == ("<0.833333", "<10", "12", "12")
    assert shown["r_arpu"] == ("2500", "30000", "12", "12")
    assert shown["e_discount_rate"] == ("withheld", "withheld", "35000", "14")
    assert {r["peers"] for r in rows.values()} == {"64"}


def test_few_peers_tell_no_place(settings: Settings, row: Published, small_lake: object) -> None:
    from ccare.exports.drivers import driver_table, read_drivers

    with connect(settings.lake, row) as con:
        con.execute("create temp table scored as select * replace (19 as peers) from score_merchants")
        con.execute("create or replace view score_merchants as from scored")
        rows = driver_table(read_drivers(con, Span("m1", "m1", DAY)), DAY).to_pylist()
    assert rows and all(r["peers"] == "<20" for r in rows)
    hidden = ("percentile", "target", "contribution", "contribution_change")
    assert all(r[n] is None for r in rows for n in hidden)
    assert {r["driver_status"] for r in rows} == {"withheld"}


def test_a_cell_hidden_once_stays_hidden_when_written_again(
    everyone: Path, settings: Settings, row: Published
) -> None:
    path = everyone / "m1" / str(DAY) / "manifest.json"
    before = json.loads(path.read_text())
    assert before["suppressed"]["c_new_users"] == "few" and "c_mau28" not in before["suppressed"]
    path.write_text(json.dumps(before | {"suppressed": before["suppressed"] | {"c_mau28": "few"}}))
    export_merchants(settings, row, everyone=True)
    rows = {r["metric_id"]: r for r in read(path.parent / "drivers.csv")}
    assert rows["c_mau28"]["value"] == "withheld" and rows["r_arpu"]["value"] == "withheld"
    assert rows["r_pay_conversion"]["denominator"] == "withheld"
    assert json.loads(path.read_text())["suppressed"]["c_mau28"] == "held"


def test_named_merchants_get_card_and_workbook_which_a_later_run_keeps(
    settings: Settings, row: Published
) -> None:
    made = export_merchants(settings, row, named=["m2"], top=1)
    assert [f.parts[-2] for f in made.folders] == ["m2", "m1"]
    first = {p.name: p.read_bytes() for p in made.folders[0].iterdir()}
    assert set(first) == {
        "card.html",
        "report.xlsx",
        "scores.csv",
        "drivers.csv",
        "statement.csv",
        "manifest.json",
    }
    export_merchants(settings, row, everyone=True)
    assert {p.name: p.read_bytes() for p in made.folders[0].iterdir()} == first, (
        "one version, one set of bytes"
    )
    (made.folders[0] / "manifest.json").write_text(
        json.dumps({"lake_hash": "of another version", "files": []})
    )
    export_merchants(settings, row, everyone=True)
    assert not (made.folders[0] / "card.html").exists(), "a card of another version would contradict the rest"


def test_nothing_in_a_file_is_run_by_a_spreadsheet(settings: Settings, row: Published) -> None:
    (folder,) = export_merchants(settings, row, named=["m2"]).folders
    assert read(folder / "scores.csv")[0]["name"] == '\'=HYPERLINK("http://x")'
    with zipfile.ZipFile(folder / "report.xlsx") as book:
        sheets = [n for n in book.namelist() if n.startswith("xl/worksheets/sheet")]
        assert len(sheets) == 4
        for name in sheets:
            assert not re.search(rb"<f[ >]|hyperlink", book.read(name)), name
        texts = re.findall(r"<t[^>]*>([^<]*)", book.read("xl/sharedStrings.xml").decode())
        assert "'=HYPERLINK(&quot;http://x&quot;)" in texts or '\'=HYPERLINK("http://x")' in texts
        assert not [t for t in texts if re.match(r"[=+\-@\t\r]", t)]
        assert sum(n.startswith("xl/charts/chart") for n in book.namelist()) == 2


def test_a_broken_ledger_writes_nothing(settings: Settings, row: Published) -> None:
    with connect(settings.lake, row) as con:
        con.execute(
            "create temp table changed as select * replace (balance + 1 as balance) from ledger_balances"
        )
        con.execute("create or replace view ledger_balances as from changed")
        with pytest.raises(IntegrityBroken, match="Active POINT units of merchant m1 do not add up"):
            statement_rows(con, Span("m1", "m1", DAY))


def test_a_file_that_reads_back_otherwise_gets_no_manifest(
    settings: Settings, row: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = merchant_files._put

    def torn(folder: Path, name: str, content: bytes, **how: bool) -> None:
        put(folder, name, content, **how)
        if name == "statement.csv":
            (folder / name).write_bytes(content[:-9])

    monkeypatch.setattr(merchant_files, "_put", torn)
    with pytest.raises(IntegrityBroken, match="reads back otherwise"):
        export_merchants(settings, row, everyone=True)
    assert not list(settings.exports.rglob("manifest.json"))


def test_nobody_asked_for_is_an_error(settings: Settings, row: Published) -> None:
    with pytest.raises(UsageError, match="No merchant was asked for"):
        export_merchants(settings, row)


def test_traffic_orders_and_requests_stand_in_the_statement(
    settings: Settings, row: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(statement.REGISTRY, "ledger_requests", None)  # type: ignore[arg-type]
    with connect(settings.lake, row) as con:
        con.execute("""create or replace temp view core_traffic_hours as from (values
            ('m1', 'search_box', 'free', 'treated', date '2017-12-30', 100, 4),
            ('m1', 'search_box', 'free', 'treated', date '2017-12-31', 50, 1),
            ('m1', 'search_box', 'free', 'holdout', date '2017-12-31', 900, 0),
            ('m1', 'search_box', 'points', 'treated', date '2017-12-04', 7, 0),
            ('m1', 'search_box', 'free', 'treated', date '2017-12-03', 5000, 0))
            t(merchant_id, slot, source, arm, business_date, impressions, clicks)""")
        con.execute("""create or replace temp view core_payments as
            select 'm1' as merchant_id, 'paid' as event_type, date '2017-12-31' as business_date, slot,
                'u' || (i % payers) as user_key
            from (values ('search_box', 30, 15), ('app_centre', 40, 20), ('life_channel', 3, 3))
                s(slot, orders, payers),
                range(orders) t(i)""")
        con.execute("""create or replace temp view ledger_requests as
            select 'm1' as merchant_id, date '2017-12-30' as decided_on, null::varchar as programme,
                'refused' as status, 'insufficient' as refusal, 'search_box' as slot, 500 as points,
                null::bigint as impressions, 'r1' as request_id""")
        rows = statement_rows(con, Span("m1", "m1", DAY)).to_pylist()
    found = [r for r in rows if r["section"] in ("traffic", "orders", "request")]
    assert [(r["section"], r["slot"], r["source"], r["impressions"], r["clicks"]) for r in found[1:3]] == [
        ("traffic", "search_box", "free", 150, 5),
        ("traffic", "search_box", "points", 7, 0),
    ]
    assert (found[0]["section"], found[0]["what"], found[0]["reason"]) == (
        "request",
        "refused",
        "insufficient",
    )
    assert {r["slot"]: r["orders"] for r in found[3:]} == {
        "life_channel": "<10",
        "search_box": "withheld",  # with it, all public orders less the two others would tell the 3
        "app_centre": "40",
    }
