"""The file beside a delivery that says its rows and digest: ``<name>.manifest.json``."""

import json
from pathlib import Path

from ccare.sources.bill_files import ENDINGS as BILL_ENDINGS

ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".csv", ".csv.gz")
"""What a delivered event file's name may end in; a bill's: BILL_ENDINGS."""
SIDECAR_MAX_BYTES = 1 << 16
"""A sidecar says two things in a hundred bytes; of one longer than this no more is read."""


def sidecar_of(path: Path) -> Path:
    """Where a delivered file's sidecar stands, if it has one."""
    stem = path.name
    for ending in sorted((*ENDINGS, *BILL_ENDINGS), key=len, reverse=True):
        stem = stem.removesuffix(ending)
    return path.with_name(f"{stem}.manifest.json")


def sidecar_fault(path: Path, sha256: str, lines: int) -> str:
    """What speaks against a file by the sidecar beside it; nothing where there is none."""
    sidecar = sidecar_of(path)
    if not sidecar.is_file():
        return ""
    try:
        with sidecar.open("rb") as handle:
            text = handle.read(SIDECAR_MAX_BYTES + 1)
        if len(text) > SIDECAR_MAX_BYTES:
            return f"its sidecar is longer than {SIDECAR_MAX_BYTES:,} bytes"
        told = json.loads(text)
        rows, digest = told["rows"], told["sha256"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "its sidecar is not readable"
    if digest != sha256:
        return "its bytes are not those that its sidecar names"
    return "" if rows == lines else f"it has {lines} lines and its sidecar says {rows}"
