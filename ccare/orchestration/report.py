"""What a finished step tells: facts for its assets' events, and where its results stand."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

REJECTED = "core_rejected_events"


def event_extra(table: str, day: date, result: Mapping[str, Any]) -> dict[str, Any]:
    """day, rows, rejected (of a step that takes deliveries) and version of one table, from what a process printed.

    Of a table that it has no summary line of, rows and version are those of the day's run, where that is published:
    an earlier try of the task wrote it and was killed.
    """
    written, published = result.get("written") or (), result.get("published") or {}
    own = [line for line in written if line["table"] == table]
    extra: dict[str, Any] = {"day": str(day), "rows": sum(line["rows"] for line in own)}
    if own:
        extra["version"] = own[-1]["version"]
    elif published.get("business_date") == str(day):
        extra |= (published.get("wrote") or {}).get(table, {})
    if table.startswith(("raw_", "core_")):
        extra["rejected"] = sum(line["rows"] for line in written if line["table"] == REJECTED)
    return extra


def links(day: date, result: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """The manifest row and Data Docs of what a step has published, as far as there is something to look at."""
    told = []
    if run := result.get("published"):
        told.append(f'manifest row: ccare sql -c "from run_manifest where seq = {int(run["seq"])}"')
    exports = Path(environ.get("CCARE_EXPORTS", "").removeprefix("file://"))
    outcomes = exports / "quality"
    if exports.is_absolute() and any(outcomes.glob(f"{day}-*.json")):
        base = environ.get("CCARE_DATA_DOCS_URL") or (exports / "data_docs" / "index.html").as_uri()
        told.append(f"Data Docs: {base}")
    return told
