"""What systems get in bulk: three datasets with columns, key and a version that changes with their meaning."""

from dataclasses import dataclass
from typing import Any

from ccare.metrics.definitions import DIMENSIONS
from ccare.tables import table
from ccare.tables.model import Column

_SCORES, _DRIVERS, _TRANSFERS = table("score_merchants"), table("score_drivers"), table("ledger_transfers")


@dataclass(frozen=True)
class Dataset:
    """One bulk export: ``sql`` reads one partition of it ($part), its columns cast and in order.

    ``version`` is raised when a column is renamed, dropped or changes its meaning; a new column keeps it.
    """

    name: str
    version: int
    about: str
    grain: str
    key: tuple[str, ...]
    partition: str
    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    sql: str

    @property
    def schema(self) -> str:
        """Name and version, as every file says it."""
        return f"ccare.bulk.{self.name}/{self.version}"


def _of(source: Any, *names: str) -> tuple[Column, ...]:
    return tuple(source.column(name) for name in names)


SCORES = Dataset(
    "scores",
    1,
    "C-CARE scores of every merchant, with their intervals.",
    "one row for each merchant and as-of date",
    ("merchant_id", "as_of_date"),
    "as_of_date",
    ("score_merchants", "metric_merchants"),
    (
        *_of(_SCORES, "merchant_id", "as_of_date"),
        table("metric_merchants").column("industry"),
        *_of(
            _SCORES,
            *(f"{d}_score{bound}" for d in (*DIMENSIONS, "total") for bound in ("", "_low", "_high")),
            *(f"{d}_coverage" for d in DIMENSIONS),
            *("score_status", "peer_group", "peers", "benchmark_status", "policy_version"),
        ),
        Column("events_56d", "bigint", "Paid, active or relation events in the last 56 days.", unit="events"),
        Column(
            "simulated_events_56d",
            "bigint",
            "Events of any kind with origin simulated in 56 days.",
            unit="events",
        ),
    ),
    """
select s.*, m.industry, m.events_56d, m.simulated_events_56d
from score_merchants s left join metric_merchants m using (merchant_id, as_of_date)
where s.as_of_date = $part::date
""",
)
DRIVERS = Dataset(
    "drivers",
    1,
    "Why each score is what it is, metric by metric, in account-health form.",
    "one row for each merchant, as-of date and metric",
    ("merchant_id", "as_of_date", "metric_id"),
    "as_of_date",
    ("score_drivers",),
    _of(
        _DRIVERS,
        *("merchant_id", "as_of_date", "metric_id", "dimension", "value", "numerator", "denominator", "n"),
        *("shrunk_value", "percentile", "percentile_low", "percentile_high", "weight", "contribution"),
        *("target", "target_condition", "target_status", "driver_status", "window_days", "peer_group"),
        "policy_version",
    ),
    "from score_drivers where as_of_date = $part::date",
)
STATEMENTS = Dataset(
    "statements",
    1,
    "Every movement on a merchant's or provider's accounts; the changes of an account add up to its balance.",
    "one row for each transfer and account of a merchant or provider that it touches",
    ("transfer_id", "party", "party_id", "part"),
    "booked_date",
    ("ledger_transfers",),
    (
        Column("party", "string", "merchant or provider.", nullable=False),
        Column("party_id", "string", "Merchant or provider whose account it is.", nullable=False),
        Column("part", "string", "Account: pending, active, reserved or debt.", nullable=False),
        Column("change", "bigint", "Units added to the account; below 0 where it gives.", nullable=False),
        Column("other_account", "string", "Account on the other side.", nullable=False),
        *_of(
            _TRANSFERS,
            *("transfer_id", "booked_date", "effective_date", "asset", "programme", "code", "reason"),
            *("lot_id", "matures_on", "expires_on", "business_key", "leg", "revision", "policy_version"),
        ),
    ),
    """
select split_part(account, ':', 1) as party, split_part(account, ':', 2) as party_id,
    split_part(account, ':', 3) as part, moved.*
from (
    select credit_account as account, debit_account as other_account, amount as change, t.*
    from ledger_transfers t where booked_date = $part::date
    union all
    select debit_account, credit_account, -amount, t.* from ledger_transfers t where booked_date = $part::date
) moved
where account like 'merchant:%' or account like 'provider:%'
""",
)
DATASETS = (SCORES, DRIVERS, STATEMENTS)

_FRICTIONLESS = {
    "string": "string",
    "bigint": "integer",
    "int": "integer",
    "double": "number",
    "date": "date",
}
_JSON = {"string": "string", "bigint": "integer", "int": "integer", "double": "number", "date": "string"}


def data_package(dataset: Dataset, paths: dict[str, list[str]], facts: dict[str, Any]) -> dict[str, Any]:
    """Frictionless Data Package: one tabular resource for each format in ``paths`` (parquet, csv)."""
    fields = [
        {"name": c.name, "type": _FRICTIONLESS[c.type], "description": c.description}
        | ({"unit": c.unit} if c.unit else {})
        | ({"constraints": {"required": True}} if not c.nullable else {})
        for c in dataset.columns
    ]
    schema = {"fields": fields, "primaryKey": list(dataset.key), "missingValues": [""]}
    media = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
    extra: dict[str, dict[str, Any]] = {"csv": {"encoding": "utf-8", "compression": "gz"}, "parquet": {}}
    return {
        "name": f"ccare-bulk-{dataset.name}",
        "title": dataset.about,
        "description": f"{dataset.grain[0].upper()}{dataset.grain[1:]}.",
        "version": f"{dataset.version}.0.0",
        **facts,
        "resources": [
            {"name": f"{dataset.name}-{kind}", "path": listed, "format": kind, "mediatype": media[kind]}
            | extra[kind]
            | {"schema": schema}
            for kind, listed in paths.items()
            if listed
        ],
    }


def row_schema(dataset: Dataset) -> dict[str, Any]:
    """JSON Schema (2020-12) of one row, dates as ISO text."""

    def told(c: Column) -> dict[str, Any]:
        kind: Any = _JSON[c.type] if not c.nullable else [_JSON[c.type], "null"]
        return (
            {"type": kind, "description": c.description}
            | ({"unit": c.unit} if c.unit else {})
            | ({"format": "date"} if c.type == "date" else {})
        )

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{dataset.schema.replace('/', ':').replace('.', ':')}",
        "title": dataset.about,
        "type": "object",
        "properties": {c.name: told(c) for c in dataset.columns},
        "required": [c.name for c in dataset.columns],
        "additionalProperties": False,
    }
