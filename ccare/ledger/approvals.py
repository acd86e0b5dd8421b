"""What was asked under a reference, and whether somebody else has approved exactly that.

An approval names the digest of what it approves, so nothing can be added to a reference afterwards.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

Row = Mapping[str, Any]


@dataclass
class Asked:
    """Everything that stands under one reference. ``since`` is the close from which it is approved, if it is."""

    approval: str
    fundings: list[Row] = field(default_factory=list)
    adjustments: list[Row] = field(default_factory=list)
    approved_by: str = ""
    since: date | None = None

    @property
    def asked_by(self) -> tuple[str, ...]:
        """Everybody who asked."""
        return tuple(sorted({row["asked_by"] for row in (*self.fundings, *self.adjustments)}))

    @property
    def digest(self) -> str:
        """SHA-256 of one line a row, sorted: its kind and everything that moves units."""
        lines = [
            f"funding|{r['pool']}|{r['asset']}|{r['amount']}|{r['effective_date']}" for r in self.fundings
        ]
        lines += [f"adjustment|{r['transfer_id']}|{r['amount']}" for r in self.adjustments]
        return sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def may_be_approved_by(self, name: str) -> bool:
        """Whether ``name`` is nobody who asked."""
        return _same(name) not in {_same(asker) for asker in self.asked_by} and bool(_same(name))


def _same(name: str) -> str:
    return " ".join(name.split()).casefold()


def asked_under(
    fundings: Iterable[Row], adjustments: Iterable[Row], approvals: Iterable[Row]
) -> dict[str, Asked]:
    """Reference -> what was asked under it. Rows that carry taken_on tell from which close it is approved."""
    found: dict[str, Asked] = defaultdict(lambda: Asked(""))
    for kind, rows in (("fundings", fundings), ("adjustments", adjustments)):
        for row in rows:
            asked = found[row["approval"]]
            asked.approval = row["approval"]
            getattr(asked, kind).append(row)
    for row in sorted(approvals, key=lambda r: (str(r.get("taken_on")), r["approved_by"])):
        asked = found.get(row["approval"])  # type: ignore[assignment]
        if asked is None or asked.approved_by:
            continue
        if row["digest"] == asked.digest and asked.may_be_approved_by(row["approved_by"]):
            asked.approved_by = row["approved_by"]
            taken = [r["taken_on"] for r in (row, *asked.fundings, *asked.adjustments) if r.get("taken_on")]
            asked.since = max(taken, default=None)
    return dict(found)
