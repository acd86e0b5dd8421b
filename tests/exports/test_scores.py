"""scores.csv and scores.parquet: every merchant, neutral cells, one manifest written last."""

import csv
import json
from datetime import date
from hashlib import sha256

import duckdb
import pyarrow as pa
import pytest

from ccare.errors import InputMissing
from ccare.exports.files import csv_bytes
from ccare.exports.scores import COLUMNS, export_scores
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings


def test_both_files_hold_every_merchant_of_the_last_day(settings: Settings, row: Published) -> None:
    summary = export_scores(settings, row)
    assert (summary.as_of_date, summary.merchants, summary.scored) == (date(2017, 12, 31), 3, 1)
    assert summary.folder == settings.exports / "2017-12-31"
    raw = (summary.folder / "scores.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [r["merchant_id"] for r in rows] == ["m1", "m2", "m3"]
    assert tuple(rows[0]) == tuple(c.name for c in COLUMNS)
    assert (
        rows[0]
        | {
            "name": "Corner <b>Bakery</b> & Söhne 面包房",
            "points_pending": "45",
            "points_active": "60",
            "points_debt": "0",
            "currency": "USD",
            "events_56d": "21",
            "simulated_events_56d": "5",
            "simulated_event_share": "0.238095",
            "origin": "mixed",
            "policy_version": "scoring-1",
        }
        == rows[0]
    )
    assert (rows[1]["points_debt"], rows[1]["origin"], rows[1]["total_score"]) == ("8", "real", "")
    assert (rows[2]["origin"], rows[2]["score_status"]) == ("none", "inactive")
    parquet = duckdb.read_parquet(str(summary.folder / "scores.parquet"))
    assert parquet.columns == [c.name for c in COLUMNS]
    assert parquet.aggregate("count(*), sum(points_active)").fetchone() == (3, 60)


def test_the_manifest_names_what_is_there_and_bytes_repeat(settings: Settings, row: Published) -> None:
    first = export_scores(settings, row)
    manifest = json.loads((first.folder / "manifest.json").read_text())
    for entry in manifest["files"]:
        content = (first.folder / entry["name"]).read_bytes()
        assert (sha256(content).hexdigest(), len(content)) == (entry["sha256"], entry["bytes"])
    assert {e["name"] for e in manifest["files"]} == {"scores.csv", "scores.parquet"}
    assert (manifest["merchants"], manifest["lake_hash"]) == (3, row.hash)
    assert manifest["simulated"].startswith("1 of 3 merchants")
    assert sorted(p.name for p in first.folder.iterdir()) == ["manifest.json", "scores.csv", "scores.parquet"]
    assert export_scores(settings, row).files == first.files


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1"])
def test_text_that_a_spreadsheet_would_run_is_neutralised(cell: str) -> None:
    written = csv_bytes(pa.table({"name": [cell, "safe = text", None], "amount": [-5, 0, None]}))
    rows = list(csv.reader(written.decode("utf-8-sig").splitlines(keepends=True)))
    assert rows[1][0].startswith("'")
    assert rows[1][1] == "-5", "a number is no text"
    assert rows[2] == ["safe = text", "0"]
    assert rows[3] == ["", ""]


def test_a_lake_without_scores_is_told_so(settings: Settings, row: Published) -> None:
    nothing = {n: v for n, v in row.table_versions.items() if n != "score_merchants"}
    empty = Published(**{**row.__dict__, "table_versions": nothing})
    with pytest.raises(InputMissing, match="no published scores"):
        export_scores(settings, empty)
    assert not settings.exports.exists()
