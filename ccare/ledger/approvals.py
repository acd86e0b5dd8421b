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
NOTHING_ASKED, STALE, BY_ASKER = "nothing_asked", "stale_approval", "approved_by_asker"
"""Why an approval counts for nothing: no such reference, other rows than it names, or its asker's own."""


@dataclass(frozen=True)
class Ignored:
    """An approval that counts for nothing, why, and the close that finds it so (None where nothing took it yet)."""

    approved_by: str
    why: str
    since: date | None
    taken_on: date | None


@dataclass
class Asked:
    """Everything that stands under one reference. ``since`` is the close from which it is approved, if it is."""

    approval: str
    fundings: list[Row] = field(default_factory=list)
    adjustments: list[Row] = field(default_factory=list)
    approved_by: str = ""
    since: date | None = None
    ignored: list[Ignored] = field(default_factory=list)

    @property
    def is_asked(self) -> bool:
        """Whether anything stands under the reference but approvals."""
        return bool(self.fundings or self.adjustments)

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
    """Reference -> what was asked under it, or only approved. Rows with taken_on tell from which close it is approved.

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
        under = found[row["approval"]]
        under.approval = row["approval"]
        if under.approved_by:
            continue
        since = _last_taken(row, *under.fundings, *under.adjustments)
        if why := _why_ignored(row, under):
            under.ignored.append(Ignored(row["approved_by"], why, since, row.get("taken_on")))
        else:
            under.approved_by, under.since = row["approved_by"], since
    return dict(found)


def _why_ignored(approval: Row, under: Asked) -> str | None:
    if not under.is_asked:
        return NOTHING_ASKED
    if approval["digest"] != under.digest:
        return STALE
    return None if under.may_be_approved_by(approval["approved_by"]) else BY_ASKER


def _last_taken(*rows: Row) -> date | None:
    return max((row["taken_on"] for row in rows if row.get("taken_on")), default=None)
