"""A lake that a test wrote with its own rows, published as a close would."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ccare.runtime import manifest
from ccare.runtime.manifest import Published

_POSTED = datetime(2026, 1, 2, tzinfo=UTC)


def publish(lake: Path, day: date, versions: dict[str, int], **told: Any) -> Published:
    """One more manifest row: the last one's table versions with these in their place; ``told`` overrides fields."""
    last = manifest.latest(lake)
    fields = {
        "run_id": f"{day}-0-test",
        "business_date": day,
        "revision": 0,
        "kind": "close",
        "table_versions": {**(last.table_versions if last else {}), **versions},
        "control_totals": {},
        "inputs_digest": "0" * 64,
        "code_version": "test",
        "policy_version": last.policy_version if last else "test",
        "published_at": last.published_at if last else _POSTED,
    }
    return manifest.append(lake, last, **(fields | told))
