"""Both roads to disk give the same table, and a pinned version is read as it was."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from delta.tables import DeltaTable as SparkDeltaTable
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import DataFrame, SparkSession

from ccare.errors import IntegrityBroken
from ccare.runtime import deltalog, storage
from ccare.runtime.meter import Meter
from ccare.runtime.outdated import fault_of
from ccare.runtime.rowstore import arrow_schema, write_rows
from ccare.runtime.spark import frame, interpreted
from ccare.runtime.trail import appended_only
from ccare.tables import table

pytestmark = pytest.mark.spark

DAYS = table("state_merchant_days")
REFUNDS = table("state_refund_days")
FIRST, SECOND = date(2024, 5, 1), date(2024, 5, 2)
UNBOUND, SMALL = None, 10


def merchant_days(spark: SparkSession, *rows: tuple[str, date, int]) -> DataFrame:
    zeros = dict.fromkeys(DAYS.column_names, 0)
    return frame(
        spark, DAYS, [zeros | {"merchant_id": m, "business_date": d, "orders": n} for m, d, n in rows]
    )


def told(df: DataFrame) -> list[tuple[Any, ...]]:
    return sorted((row["merchant_id"], row["business_date"], row["orders"]) for row in df.collect())


@pytest.mark.parametrize("at_most", [UNBOUND, SMALL], ids=["by Spark", "from the driver"])
def test_replacing_a_day_leaves_the_other(spark: SparkSession, tmp_path: Path, at_most: int | None) -> None:
    both = merchant_days(spark, ("m1", FIRST, 1), ("m1", SECOND, 2))
    storage.write(spark, tmp_path, DAYS, both, "run-1", [FIRST, SECOND], at_most)
    again = merchant_days(spark, ("m2", SECOND, 5))
    version = storage.write(spark, tmp_path, DAYS, again, "run-2", [SECOND], at_most)
    assert told(storage.read(spark, tmp_path, DAYS, version)) == [("m1", FIRST, 1), ("m2", SECOND, 5)]
    before = storage.read(spark, tmp_path, DAYS, version - 1)
    assert told(before) == [("m1", FIRST, 1), ("m1", SECOND, 2)]
    assert before.columns == list(DAYS.column_names)


def test_the_roads_may_alternate(spark: SparkSession, tmp_path: Path) -> None:
    for n, at_most in enumerate([SMALL, UNBOUND, SMALL]):
        rows = merchant_days(spark, (f"m{n}", FIRST, n))
        version = storage.write(spark, tmp_path, DAYS, rows, f"run-{n}", [FIRST], at_most)
    assert told(storage.read(spark, tmp_path, DAYS, version)) == [("m2", FIRST, 2)]
    assert deltalog.commit_metrics(tmp_path, DAYS.name, version)["rows"] == 1
    assert deltalog.partition_rows(tmp_path, DAYS.name, version, {str(FIRST)}) == 1
    assert deltalog.partition_rows(tmp_path, DAYS.name, version, {str(SECOND)}) == 0


@pytest.mark.parametrize("at_most", [UNBOUND, SMALL], ids=["by Spark", "from the driver"])
def test_state_is_replaced_whole(spark: SparkSession, tmp_path: Path, at_most: int | None) -> None:
    row = {"merchant_id": "m1", "paid_date": FIRST, "refund_date": SECOND, "refund_fen": 5, "refunds": 1}
    for payer in ("k1_a", "k1_b"):
        rows = frame(spark, REFUNDS, [row | {"user_key": payer}])
        version = storage.write(spark, tmp_path, REFUNDS, rows, payer, (), at_most)
    assert [r["user_key"] for r in storage.read(spark, tmp_path, REFUNDS, version).collect()] == ["k1_b"]


@pytest.mark.parametrize("road", ["held", "files", "spark"])
def test_rows_told_again_take_the_place_of_those_of_their_key(
    spark: SparkSession, tmp_path: Path, road: str
) -> None:
    stands = {"merchant_id": "m1", "paid_date": FIRST, "refund_date": SECOND, "refund_fen": 5, "refunds": 1}
    unknown, known = stands | {"user_key": None}, stands | {"user_key": "k1_a"}
    before = [unknown, known, known | {"merchant_id": "m2"}]
    version = write_rows(tmp_path, REFUNDS, before, "run-1")
    told = [unknown | {"refund_fen": 7}, known | {"paid_date": SECOND}]
    if road == "held":
        schema = pa.schema([pa.field(f.name, f.type) for f in arrow_schema(REFUNDS)])
        rows = pa.Table.from_pylist(told, schema=schema)
        storage.write_merged(tmp_path, REFUNDS, version, rows, "run-2")
    elif road == "files":
        frame(spark, REFUNDS, told).write.parquet(str(tmp_path / "told"))
        storage.write_merged(tmp_path, REFUNDS, version, str(tmp_path / "told" / "*.parquet"), "run-2")
    else:
        whole = storage.merged_frame(
            storage.read(spark, tmp_path, REFUNDS, version), frame(spark, REFUNDS, told), REFUNDS
        )
        storage.write(spark, tmp_path, REFUNDS, whole, "run-2")
    now = DeltaTable(str(tmp_path / REFUNDS.name)).to_pyarrow_table().to_pylist()
    expected = [*told, known, known | {"merchant_id": "m2"}]
    assert sorted(now, key=str) == sorted(
        ({n: r[n] for n in REFUNDS.column_names} for r in expected), key=str
    )


def test_a_table_of_an_older_version_gains_its_columns_on_the_large_road(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_rows(tmp_path, REFUNDS, [{"merchant_id": "m1", "refund_date": FIRST, "paid_date": FIRST}], "r")
    where = str(tmp_path / REFUNDS.name)
    older = DeltaTable(where).to_pyarrow_table().drop_columns(["refunds"])
    write_deltalake(where, older, mode="overwrite", schema_mode="overwrite")
    row = {"merchant_id": "m1", "paid_date": FIRST, "refund_date": FIRST, "refund_fen": 5, "refunds": 1}
    version = storage.write(spark, tmp_path, REFUNDS, frame(spark, REFUNDS, [row]), "r", (), None)
    assert [r["refunds"] for r in storage.read(spark, tmp_path, REFUNDS, version).collect()] == [1]
    assert not fault_of(tmp_path, REFUNDS, version)


def test_a_null_in_a_required_column_is_not_written_from_the_driver(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = frame(
        spark, REFUNDS, [{"merchant_id": "m1", "refund_date": SECOND, "refund_fen": 5, "refunds": 1}]
    )
    with pytest.raises(ValueError, match="null"):
        storage.write(spark, tmp_path, REFUNDS, rows, "run-1", (), SMALL)


def test_a_lost_data_file_names_its_table(spark: SparkSession, tmp_path: Path) -> None:
    rows = merchant_days(spark, ("m1", FIRST, 1))
    version = storage.write(spark, tmp_path, DAYS, rows, "run-1", [FIRST], SMALL)
    for path in deltalog.data_files(tmp_path, DAYS.name, version):
        Path(path).unlink()
    with pytest.raises(IntegrityBroken, match="state_merchant_days has lost data files"):
        storage.read(spark, tmp_path, DAYS, version)


TRANSFERS = table("ledger_transfers")
TRANSFER = {
    "transfer_id": "a" * 64,
    "content_hash": "b" * 64,
    "debit_account": "world:funding",
    "credit_account": "pool:p:available",
    "amount": 5,
    "asset": "POINT",
    "programme": "p",
    "code": "fund",
    "effective_date": FIRST,
    "booked_date": FIRST,
    "posted_at": datetime(2024, 5, 2, tzinfo=UTC),
    "run_id": "run-1",
    "policy_version": "1",
    "source_digest": "d",
    "business_key": "funding|p|A",
    "leg": 1,
    "revision": 1,
}


@pytest.fixture(scope="module")
def transfers(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with one transfer, in the table as the product makes it."""
    lake = tmp_path_factory.mktemp("guarded")
    storage.write(spark, lake, TRANSFERS, frame(spark, TRANSFERS, [TRANSFER]), "run-1")
    return lake


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"amount": 0}, "amount_positive"),
        ({"debit_account": "pool:p:available"}, "two_accounts"),
        ({"transfer_id": "short"}, "id_is_sha256"),
        ({"asset": "EURO"}, "known_asset"),
        ({"code": "gift"}, "known_code"),
    ],
)
def test_a_transfer_that_breaks_a_check_is_refused_by_the_table(
    spark: SparkSession, transfers: Path, wrong: dict[str, Any], check: str
) -> None:
    before = deltalog.latest_version(transfers, TRANSFERS.name)
    rows = frame(spark, TRANSFERS, [TRANSFER | {"transfer_id": "c" * 64} | wrong])
    with pytest.raises(Exception, match=f"(?i)constraint {check}"):
        rows.write.format("delta").mode("append").save(str(transfers / TRANSFERS.name))
    with pytest.raises(Exception, match=r"(?i)check|constraint|invariant"):
        write_deltalake(str(transfers / TRANSFERS.name), rows.toArrow(), mode="append")
    assert deltalog.latest_version(transfers, TRANSFERS.name) == before


def test_nothing_is_updated_or_deleted_in_an_append_only_table(spark: SparkSession, transfers: Path) -> None:
    before = deltalog.latest_version(transfers, TRANSFERS.name)
    by_spark = SparkDeltaTable.forPath(spark, str(transfers / TRANSFERS.name))
    for change in (lambda: by_spark.update("amount = 5", {"amount": "6"}), by_spark.delete):
        with pytest.raises(Exception, match=r"(?i)append.?only"):
            change()
    by_delta_rs = DeltaTable(str(transfers / TRANSFERS.name))
    with pytest.raises(Exception, match=r"(?i)append.?only"):
        by_delta_rs.update({"amount": "6"})
    with pytest.raises(Exception, match=r"(?i)append.?only"):
        by_delta_rs.delete("amount = 5")
    assert deltalog.latest_version(transfers, TRANSFERS.name) == before


def test_code_is_generated_again_after_a_small_step(spark: SparkSession) -> None:
    names = ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode")
    before = [spark.conf.get(name) for name in names]
    with pytest.raises(RuntimeError), interpreted(spark):
        assert [spark.conf.get(name) for name in names] == ["false", "NO_CODEGEN"]
        raise RuntimeError
    assert [spark.conf.get(name) for name in names] == before


def test_a_meter_counts_its_own_jobs(spark: SparkSession) -> None:
    spark.range(3).collect()
    meter = Meter(spark, "one")
    spark.range(3).collect()
    assert meter.jobs == 1
    assert meter.seconds > 0


def transfer(name: str, amount: int = 5, booked: date = FIRST) -> dict[str, object]:
    return {
        "transfer_id": name.ljust(64, "0"),
        "content_hash": "c",
        "debit_account": "pool:p:available",
        "credit_account": "merchant:m1:pending",
        "amount": amount,
        "asset": "POINT",
        "programme": "f",
        "code": "earn",
        "effective_date": FIRST,
        "booked_date": booked,
        "business_key": name,
        "leg": 1,
        "revision": 1,
    }


@pytest.mark.parametrize("at_most", [UNBOUND, SMALL], ids=["by Spark", "from the driver"])
def test_inserts_by_key_add_what_is_new_and_commit_nothing_else(
    spark: SparkSession, tmp_path: Path, at_most: int | None
) -> None:
    declared = table("ledger_transfers")

    def insert(*rows: dict[str, object]) -> int:
        return storage.write(spark, tmp_path, declared, frame(spark, declared, rows), "r", (), at_most)

    insert(transfer("a"), transfer("b", booked=SECOND))
    version = insert(transfer("a", amount=7), transfer("c"), transfer("d", booked=SECOND))
    rows = DeltaTable(str(tmp_path / declared.name)).to_pyarrow_table().to_pylist()
    assert sorted((r["transfer_id"].rstrip("0"), r["amount"]) for r in rows) == [
        ("a", 5),
        ("b", 5),
        ("c", 5),
        ("d", 5),
    ]
    assert insert(transfer("c"), transfer("d", booked=SECOND)) == version
    assert not appended_only(tmp_path, declared)
    with pytest.raises(Exception, match=r"(?i)amount_positive|amount > 0|failed validation"):
        insert(transfer("e", amount=0))
    assert deltalog.latest_version(tmp_path, declared.name) == version
