"""Bulk files: every row in both formats, described as they are, written again only where something changed."""

import csv
import gzip
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest

from ccare.exports.bulk import export_bulk
from ccare.exports.datasets import DATASETS, SCORES, STATEMENTS, Dataset
from ccare.growth.snapshot import connect
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

KINDS = {"integer": int, "number": float, "string": str, "date": str}
STABLE = {
    "scores": "merchant_id as_of_date industry scale_score scale_score_low scale_score_high activity_score "
    "activity_score_low activity_score_high potential_score potential_score_low potential_score_high "
    "efficiency_score efficiency_score_low efficiency_score_high total_score total_score_low total_score_high "
    "scale_coverage activity_coverage potential_coverage efficiency_coverage score_status peer_group peers "
    "benchmark_status policy_version events_56d simulated_events_56d",
    "drivers": "merchant_id as_of_date metric_id dimension value numerator denominator n shrunk_value percentile "
    "percentile_low percentile_high weight contribution target target_condition target_status driver_status "
    "window_days peer_group policy_version",
    "statements": "party party_id part change other_account transfer_id booked_date effective_date asset programme "
    "code reason lot_id matures_on expires_on business_key leg revision policy_version",
}
"""Columns of version 1, in order: whoever reads them by place or name relies on this. New ones go to the end."""


def folder(settings: Settings, dataset: Dataset) -> Path:
    return settings.exports / "bulk" / dataset.name


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def csv_rows(root: Path, package: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows as the data package says they are read: its paths, its packing, its types, its word for null."""
    (resource,) = [r for r in package["resources"] if r["format"] == "csv"]
    assert (resource["compression"], resource["encoding"]) == ("gz", "utf-8")
    kinds = {f["name"]: KINDS[f["type"]] for f in resource["schema"]["fields"]}
    for path in resource["path"]:
        with gzip.open(root / path, "rt", encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                assert list(row) == list(kinds)
                missing = resource["schema"]["missingValues"]
                yield {n: None if v in missing else kinds[n](v) for n, v in row.items()}


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.name)
def test_both_formats_hold_the_same_rows_and_keep_to_their_descriptors(
    dataset: Dataset, settings: Settings, row: Published
) -> None:
    export_bulk(settings, row)
    root = folder(settings, dataset)
    package = read(root / "datapackage.json")
    rows = list(csv_rows(root, package))
    schema = read(root / "schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    assert rows and [error.message for each in rows for error in validator.iter_errors(each)] == []
    names = [c.name for c in dataset.columns]
    assert names == STABLE[dataset.name].split() and dataset.version == 1
    (parquet,) = [r for r in package["resources"] if r["format"] == "parquet"]
    files = [str(root / path) for path in parquet["path"]]
    stored = duckdb.read_parquet(files, hive_partitioning=False)
    assert stored.columns == names
    told = [dict(zip(names, map(_plain, values), strict=True)) for values in stored.fetchall()]
    assert told == rows
    keys = [tuple(each[k] for k in parquet["schema"]["primaryKey"]) for each in rows]
    assert len(set(keys)) == len(keys)
    required = {f["name"] for f in parquet["schema"]["fields"] if f.get("constraints", {}).get("required")}
    assert all(each[name] is not None for each in rows for name in required)
    assert duckdb.sql(f"select decode(value) from parquet_kv_metadata('{files[0]}')").fetchall() == [
        (dataset.schema,)
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def test_statements_add_up_to_balances(settings: Settings, row: Published) -> None:
    export_bulk(settings, row)
    files = f"{folder(settings, STATEMENTS)}/*/statements.parquet"
    summed = duckdb.sql(
        f"select party || ':' || party_id || ':' || part, asset, sum(change)::bigint from '{files}' "
        "group by all order by all"
    ).fetchall()
    with connect(settings.lake, row) as con:
        balances = con.sql(
            "select account, asset, balance from ledger_balances where account not like 'pool:%' "
            "and account not like 'world:%' and account not like 'sink:%' order by all"
        ).fetchall()
    assert summed == balances


def test_the_manifest_names_every_file_and_bytes_repeat(settings: Settings, row: Published) -> None:
    first = {s.dataset: (s.partitions, s.written) for s in export_bulk(settings, row)}
    assert first == {"scores": (2, 2), "drivers": (2, 2), "statements": (5, 5)}
    told = {d.name: read(folder(settings, d) / "manifest.json") for d in DATASETS}
    for dataset in DATASETS:
        manifest = told[dataset.name]
        assert (manifest["schema"], manifest["lake_hash"]) == (dataset.schema, row.hash)
        root = folder(settings, dataset)
        named = {file["path"]: file["sha256"] for part in manifest["partitions"] for file in part["files"]}
        standing = {str(p.relative_to(root)): sha256(p.read_bytes()).hexdigest() for p in root.glob("*/*")}
        assert named == standing
    assert [s.written for s in export_bulk(settings, row)] == [0, 0, 0], "nothing changed"
    again = settings.with_(exports=settings.exports / "again")
    export_bulk(again, row)
    assert {d.name: read(folder(again, d) / "manifest.json") for d in DATASETS} == told


def test_only_what_changed_is_written_again(settings: Settings, row: Published) -> None:
    export_bulk(settings, row)
    root = folder(settings, SCORES)
    damaged, other = sorted(root.glob("*/scores.parquet"))
    before = other.stat().st_mtime_ns
    damaged.write_bytes(b"")
    assert [s.written for s in export_bulk(settings, row)] == [1, 0, 0]
    assert damaged.stat().st_size > 0 and other.stat().st_mtime_ns == before
    (root / "manifest.json").unlink()
    (root / "as_of_date=2016-01-01").mkdir()
    assert [s.written for s in export_bulk(settings, row)] == [2, 0, 0], "without a manifest all is unknown"
    assert len(list(root.glob("as_of_date=*"))) == 2, "what no longer stands in the lake goes"
