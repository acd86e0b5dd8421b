"""State that an older version wrote is refused in words, never read as zeros."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from ccare.errors import IntegrityBroken
from ccare.runtime import storage
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import table

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("name", ["state_users", "state_user_days", "state_merchant_days"])
def test_a_state_table_without_a_declared_column_is_refused(
    spark: SparkSession, tmp_path: Path, name: str
) -> None:
    declared = table(name)
    last = declared.column_names[-1]
    older = pa.schema([field for field in arrow_schema(declared) if field.name != last])
    write_deltalake(str(tmp_path / name), older.empty_table())
    with pytest.raises(
        IntegrityBroken, match=f"{name} at version 0 was written by an older ccare.* {last}"
    ) as told:
        storage.read(spark, tmp_path, declared, 0)
    assert told.value.exit_code == 30
    assert "rebuild" in str(told.value)


def test_the_same_columns_are_read(spark: SparkSession, tmp_path: Path) -> None:
    declared = table("state_users")
    write_deltalake(str(tmp_path / "state_users"), arrow_schema(declared).empty_table())
    assert storage.read(spark, tmp_path, declared, 0).columns == list(declared.column_names)
