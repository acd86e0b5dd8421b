"""What the parts of the small lake share: its days, its run, and what every row carries."""

from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

FIRST, LAST = date(2017, 12, 24), date(2017, 12, 31)
RUN = "2017-12-31-0-test"
POSTED = datetime(2018, 1, 1, 2, 0, tzinfo=UTC)
Row = dict[str, Any]


def digest(*parts: object) -> str:
    return sha256("|".join(map(str, parts)).encode()).hexdigest()


def provenance() -> Row:
    return {
        "delivery_date": date(2018, 1, 1),
        "taken_on": LAST,
        "origin": "real",
        "content_hash": digest("c"),
        "file_sha256": digest("f"),
    }
