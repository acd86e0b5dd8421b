"""What a table is: columns, grain, key, inputs and how it is written. No engine is imported here."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

LAYERS = ("raw", "core", "state", "metric", "score", "ledger", "run")
"""Left to right: on the same day a table reads only from its own layer or one before it."""

TYPES = frozenset(
    {"string", "bigint", "int", "double", "boolean", "date", "timestamp", "array<string>", "array<double>"}
    | {"map<string,bigint>", "map<string,string>"}
)


class WriteStyle(StrEnum):
    """The only ways a table reaches disk."""

    REPLACE_DAY = "replace_day"  # whole partitions in one commit
    MERGE_NEW = "merge_new"  # insert only, by key
    MERGE_STATE = "merge_state"  # update or insert, by key
    PUBLISH_FILES = "publish_files"  # files with a manifest written last
    TRANSIENT = "transient"  # lives in the run's session only


@dataclass(frozen=True)
class Column:
    """One column. ``volatile`` marks what a replay may change (file, line, run, wall clock)."""

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = True
    personal: bool = False
    volatile: bool = False

    def required(self) -> "Column":
        """The same column where null is a defect."""
        return replace(self, nullable=False)


@dataclass(frozen=True)
class Table:
    """A table's declaration: the Spark schema, the baseline gate, the Asset, the view and the docs derive from it.

    ``engine``: what a job's build is given, frames by name or a DuckDB connection with a view for each input.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    inputs: tuple[str, ...] = ()
    previous: tuple[str, ...] = ()
    partition_by: tuple[str, ...] = ()
    write: WriteStyle = WriteStyle.REPLACE_DAY
    owner: str = "data-engineering"
    producer: str = ""
    append_only: bool = False
    checks: dict[str, str] = field(default_factory=dict, hash=False)
    caveats: str = ""
    engine: Literal["spark", "duckdb"] = "spark"

    @property
    def layer(self) -> str:
        """The prefix of the name."""
        return self.name.split("_", 1)[0]

    @property
    def job(self) -> str:
        """The file under jobs/ that makes this table; a side table names the table it is made beside."""
        return self.producer or self.name

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in stored order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """The column called ``name``; KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name}")

    @property
    def durable_columns(self) -> tuple[str, ...]:
        """Columns that a replay must reproduce: what a digest covers."""
        return tuple(column.name for column in self.columns if not column.volatile)


def required(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Each column as non-nullable."""
    return tuple(column.required() for column in columns)
