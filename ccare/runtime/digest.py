"""One digest over everything published, but what a replay may change: "the same lake" means this."""

from datetime import date
from hashlib import sha256
from typing import Any

from ccare.errors import InputMissing
from ccare.growth.snapshot import connect, name_of
from ccare.runtime import deltalog, manifest
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings
from ccare.tables import Table, stored_tables


def lake_digest(settings: Settings, day: date | None = None) -> dict[str, Any]:
    """``digest`` and each table's own, of the newest run, or of the newest run that published ``day``."""
    rows = manifest.published(settings.lake)
    chosen = [row for row in rows if day is None or row.business_date == day]
    if not chosen:
        what = f"{day} is not published" if day else f"Nothing is published in {settings.lake}"
        raise InputMissing(f"{what}.", remedy="See `ccare status`.")
    row = chosen[-1]
    manifest.check_tables(settings.lake, rows[-1])
    if row is not rows[-1]:
        older = {n: v for n, v in row.table_versions.items() if rows[-1].table_versions.get(n) != v}
        deltalog.require_files(settings.lake, older, f"Run {row.seq} has no digest any more")
    tables = _table_digests(settings, row)
    told = "\n".join(f"{name} {value}" for name, value in sorted(tables.items()))
    return {
        "digest": sha256(told.encode()).hexdigest(),
        "seq": row.seq,
        "business_date": row.business_date,
        "tables": tables,
    }


def _table_digests(settings: Settings, row: Published) -> dict[str, str]:
    con = connect(settings.lake, row)
    digests = {}
    for table in stored_tables():
        limit = f" where seq <= {row.seq}" if table.name == "run_manifest" else ""
        found = con.sql(_digest_sql(table) + limit).fetchone()
        assert found is not None
        if found[0]:
            digests[table.name] = "-".join(str(part) for part in found)
    return digests


def _digest_sql(table: Table) -> str:
    """Rows, and two order-free folds of a 128-bit hash over each row's durable columns."""
    columns = [name for name in table.durable_columns if not _dated_version(table, name)]
    packed = ", ".join(f"{name_of(name)} := {name_of(name)}" for name in columns)
    row_hash = f"md5(cast(struct_pack({packed}) as varchar))"
    low, high = f"('0x' || {row_hash}[1:16])::ubigint", f"('0x' || {row_hash}[17:32])::ubigint"
    return (
        f"select count(*), coalesce(sum({low}::hugeint), 0), coalesce(bit_xor({high}), 0) "
        f"from {name_of(table.name)}"
    )


def _dated_version(table: Table, name: str) -> bool:
    """Delta version numbers depend on how often a run was cut off, not on what it published."""
    return table.name == "run_manifest" and name == "table_versions"
