"""run_manifest: the commit point across tables. Read without a JVM; every reader goes through it."""

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ccare.errors import IntegrityBroken
from ccare.runtime import deltalog
from ccare.runtime.failpoint import reach
from ccare.runtime.rowstore import write_rows
from ccare.tables import REGISTRY, table

MANIFEST = "run_manifest"
LAKE_FORMAT = 1
"""Raised when an older ccare could no longer read the lake."""
_HASHED = (
    "seq",
    "run_id",
    "business_date",
    "revision",
    "kind",
    "table_versions",
    "rows",
    "log_sha256",
    "control_totals",
    "inputs_digest",
    "code_version",
    "policy_version",
    "prev_hash",
)


@dataclass(frozen=True)
class Published:
    """One row of run_manifest."""

    seq: int
    run_id: str
    business_date: date
    revision: int
    kind: str
    table_versions: dict[str, int]
    rows: dict[str, int]
    log_sha256: dict[str, str]
    control_totals: dict[str, int]
    inputs_digest: str
    code_version: str
    policy_version: str
    prev_hash: str
    hash: str
    published_at: datetime | None = None

    def content(self) -> dict[str, Any]:
        """What ``hash`` covers."""
        return {name: getattr(self, name) for name in _HASHED}


def row_hash(content: dict[str, Any]) -> str:
    """SHA-256 over canonical JSON (sorted keys, ISO dates)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def head_file(lake: Path) -> Path:
    """Where the digest of run_manifest's own newest commit stands."""
    return lake / "_head.json"


def read_head(lake: Path) -> dict[str, Any]:
    """The head: seq, hash, version and log_sha256 of run_manifest; empty where nothing is published."""
    path = head_file(lake)
    if not path.exists():
        return {}
    try:
        head: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        raise _broken(MANIFEST, "the lake's _head.json is not readable") from None
    if head.get("lake_format", 1) > LAKE_FORMAT:
        raise IntegrityBroken(
            f"This lake has format {head['lake_format']}; this ccare reads up to {LAKE_FORMAT}.",
            remedy="Install the ccare that wrote it, or a newer one.",
        )
    return head


def published(lake: Path) -> list[Published]:
    """Every published run in order, chain checked; IntegrityBroken where the manifest does not hold."""
    head = read_head(lake)
    version = deltalog.latest_version(lake, MANIFEST)
    if version is None:
        if head:
            raise _broken(MANIFEST, "the head names a published run and the table is gone")
        return []
    if head and version < head["version"]:
        raise _broken(MANIFEST, f"its newest commit is {version} and the head names {head['version']}")
    if head and deltalog.commit_sha256(lake, MANIFEST, head["version"]) != head["log_sha256"]:
        raise _broken(MANIFEST, f"its commit {head['version']} is not the one that was published")
    result = sorted((_published(row) for row in deltalog.rows(lake, MANIFEST)), key=lambda p: p.seq)
    _check_chain(result, head)
    return result


def _published(row: dict[str, Any]) -> Published:
    for name in ("table_versions", "rows", "log_sha256", "control_totals"):
        row[name] = dict(row[name])
    return Published(**row)


def _check_chain(rows: list[Published], head: dict[str, Any]) -> None:
    previous = ""
    for position, row in enumerate(rows, start=1):
        if row.seq != position or row.prev_hash != previous or row_hash(row.content()) != row.hash:
            raise _broken(MANIFEST, f"row {position} does not continue the chain")
        previous = row.hash
    if head and (len(rows) < head["seq"] or rows[head["seq"] - 1].hash != head["hash"]):
        raise _broken(MANIFEST, f"the head names run {head['seq']}, which is not there as it was published")


def latest(lake: Path) -> Published | None:
    """The newest published run; None on a new lake."""
    rows = published(lake)
    return rows[-1] if rows else None


def check_tables(lake: Path, last: Published) -> None:
    """Compare every published table's commit file with the manifest; the first that differs is named."""
    for name in sorted(last.table_versions):
        version = last.table_versions[name]
        newest = deltalog.latest_version(lake, name)
        if newest is None or newest < version:
            raise _broken(name, f"its newest commit is {newest} and {version} was published")
        if deltalog.commit_sha256(lake, name, version) != last.log_sha256[name]:
            raise _broken(name, f"its commit {version} is not the one that was published")


def append(
    lake: Path,
    last: Published | None,
    *,
    run_id: str,
    business_date: date,
    revision: int,
    kind: str,
    table_versions: dict[str, int],
    control_totals: dict[str, int],
    inputs_digest: str,
    code_version: str,
    policy_version: str,
    published_at: datetime,
) -> Published:
    """Publish: one row at seq = previous + 1, then the head. Readers see the run from here on."""
    unknown = sorted(set(table_versions) - set(REGISTRY))
    assert not unknown, f"undeclared tables {unknown}"
    content: dict[str, Any] = {
        "seq": last.seq + 1 if last else 1,
        "run_id": run_id,
        "business_date": business_date,
        "revision": revision,
        "kind": kind,
        "table_versions": table_versions,
        "rows": {n: deltalog.row_count(lake, n, v) for n, v in table_versions.items()},
        "log_sha256": {n: deltalog.commit_sha256(lake, n, v) for n, v in table_versions.items()},
        "control_totals": control_totals,
        "inputs_digest": inputs_digest,
        "code_version": code_version,
        "policy_version": policy_version,
        "prev_hash": last.hash if last else "",
    }
    row = Published(**content, hash=row_hash(content), published_at=published_at)
    stored = {**content, "hash": row.hash, "published_at": published_at.astimezone(UTC)}
    for name in ("table_versions", "rows", "log_sha256", "control_totals"):
        stored[name] = sorted(stored[name].items())
    reach("manifest.appending")
    write_rows(lake, table(MANIFEST), [stored], run_id)
    reach("manifest.appended")
    write_head(lake, row)
    reach("head.written")
    return row


def write_head(lake: Path, row: Published) -> None:
    """Name the newest published run and its commit's digest outside the log, atomically."""
    version = deltalog.latest_version(lake, MANIFEST)
    assert version is not None
    closed = read_head(lake).get("last_closed", "")
    head = {
        "lake_format": LAKE_FORMAT,
        "last_closed": max(closed, row.business_date.isoformat()),
        "seq": row.seq,
        "hash": row.hash,
        "version": version,
        "log_sha256": deltalog.commit_sha256(lake, MANIFEST, version),
    }
    write_atomically(head_file(lake), json.dumps(head, sort_keys=True, indent=1))


def heal_head(lake: Path) -> None:
    """After a stop between a manifest commit and its head: follow the chain one run on."""
    rows = published(lake)
    head = read_head(lake)
    if rows and (not head or head["seq"] < rows[-1].seq):
        write_head(lake, rows[-1])


def write_atomically(path: Path, text: str) -> None:
    """Write beside, sync, rename: a reader sees the old or the new file, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with temporary.open("w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)


def _broken(name: str, what: str) -> IntegrityBroken:
    return IntegrityBroken(
        f"Table {name} is not what was published: {what}.",
        remedy="Stop writing, restore its files from a backup, then run `ccare verify` again.",
    )
