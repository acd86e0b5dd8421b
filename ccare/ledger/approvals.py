"""What was asked under a reference, and whether somebody else has approved exactly that.

An approval names the digest of what it approves, so nothing can be added to a reference afterwards. Adjustments up to
the policy's limit need nobody else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from ccare.ledger.programmes import AdjustAlone, alone_up_to

Row = Mapping[str, Any]
BY_POLICY = "policy"
"""Who approved adjustments that the policy lets one person make."""


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

    def needs_nobody(self, up_to: int) -> bool:
        """Whether it is adjustments alone, of at most so many units in all."""
        units = sum(int(row["amount"]) for row in self.adjustments)
        return not self.fundings and 0 < units <= up_to

    def may_be_approved_by(self, name: str) -> bool:
        """Whether ``name`` is nobody who asked."""
        return _same(name) not in {_same(asker) for asker in self.asked_by} and bool(_same(name))


def _same(name: str) -> str:
    return " ".join(name.split()).casefold()


def asked_under(
    fundings: Iterable[Row],
    adjustments: Iterable[Row],
    approvals: Iterable[Row],
    alone: Sequence[AdjustAlone] = (),
    day: date = date.max,
) -> dict[str, Asked]:
    """Reference -> what was asked under it. Rows that carry taken_on tell from which close it is approved.

    ``alone``: what adjustments may move without a second person; rows that nothing has taken yet go by its limit of
    ``day``.
    """
    found: dict[str, Asked] = defaultdict(lambda: Asked(""))
    for kind, rows in (("fundings", fundings), ("adjustments", adjustments)):
        for row in rows:
            asked = found[row["approval"]]
            asked.approval = row["approval"]
            getattr(asked, kind).append(row)
    for asked in found.values():
        taken = _last_taken(*asked.adjustments)
        if asked.needs_nobody(alone_up_to(alone, taken or day)):
            asked.approved_by, asked.since = BY_POLICY, taken
    for row in sorted(approvals, key=lambda r: (str(r.get("taken_on")), r["approved_by"])):
        under = found.get(row["approval"])
        if under is None or under.approved_by:
            continue
        if row["digest"] == under.digest and under.may_be_approved_by(row["approved_by"]):
            under.approved_by = row["approved_by"]
            under.since = _last_taken(row, *under.fundings, *under.adjustments)
    return dict(found)


def _last_taken(*rows: Row) -> date | None:
    return max((row["taken_on"] for row in rows if row.get("taken_on")), default=None)
