"""What people ask of the ledger, as delivery files: redemptions, fundings, adjustments and approvals.

Nothing enters the ledger except through a delivery, so a replay from genesis is whole. Each command writes one
file, whole or not at all; the close that takes it decides.
"""

import csv
import getpass
import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from ccare.errors import InputMissing, UsageError
from ccare.ledger.approvals import Asked, asked_under
from ccare.ledger.policy import load_ledger
from ccare.runtime import manifest
from ccare.runtime.day import LakeState
from ccare.runtime.manifest import write_atomically
from ccare.runtime.settings import Settings
from ccare.tables.streams import ADJUSTMENTS, APPROVALS, FUNDING, ID_PATTERN, MOST_UNITS, REDEMPTIONS

REFERENCE = re.compile(r"^[A-Za-z0-9_.:-]{1,64}$")
_ID = re.compile(ID_PATTERN)
_TRANSFER = re.compile(r"^[0-9a-f]{64}$")
_ASKING = (FUNDING.name, ADJUSTMENTS.name, APPROVALS.name)


@dataclass(frozen=True)
class Plan:
    """What a command writes: ``path`` is None where it was only asked to show it."""

    stream: str
    delivery_date: date
    rows: tuple[Mapping[str, Any], ...]
    path: Path | None
    note: str = ""


def ask_redemption(
    settings: Settings,
    merchant: str,
    slot: str,
    points: int,
    request_id: str | None = None,
    provider: str | None = None,
    *,
    dry_run: bool,
) -> Plan:
    """A request of now, or of the next day to close where the lake is behind: a merchant's, or its provider's."""
    number = request_id or f"r-{uuid.uuid4().hex[:16]}"
    asking = (("service provider", provider),) if provider is not None else ()
    for name, value in (("merchant", merchant), ("request id", number), *asking):
        if not _ID.match(value):
            raise UsageError(f"{value!r:.80} is no {name}.", remedy="Use 1 to 64 of A-Za-z0-9_-.")
    day, now = next_day(settings), datetime.now(UTC)
    zone = ZoneInfo(settings.timezone)
    at = now.astimezone(zone)
    if day is not None and at.date() > day:
        at = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
    row = {
        **{"request_id": number, "merchant_id": merchant, "requested_at": at.isoformat(timespec="seconds")},
        **{"slot": slot, "points": _whole(points, "points")},
        **({"service_provider_id": provider} if provider is not None else {}),
    }
    return _deliver(settings, REDEMPTIONS.name, number, [row], dry_run=dry_run)


def ask_funding(
    settings: Settings,
    pool: str,
    asset: str,
    amount: int,
    approval: str,
    *,
    by: str | None,
    day: date | None,
    note: str,
    dry_run: bool,
) -> Plan:
    """An amount for a pool, booked once somebody else has approved the reference."""
    policy = load_ledger(settings.conf)
    declared = {(p.name, p.asset) for p in policy.programmes_file.pools}
    if (pool, asset) not in declared:
        known = ", ".join(f"{name} {of}" for name, of in sorted(declared))
        raise UsageError(f"No pool {pool} holds {asset}.", remedy=f"Pools are: {known}.")
    _free(settings, approval)
    if any(f.approval == approval for f in policy.funding_file.fundings):
        raise UsageError(f"{approval} is a funding of conf/funding.toml.", remedy="Choose another reference.")
    starts = day or next_day(settings) or date.today()
    if not any(
        p.grants_on(starts) for p in policy.programmes_file.pools if (p.name, p.asset) == (pool, asset)
    ):
        raise UsageError(f"Pool {pool} is closed on {starts}.", remedy="Fund one that is open.")
    row = {"approval": approval, "pool": pool, "asset": asset, "amount": _whole(amount, "amount")}
    row |= {"effective_date": str(starts), "asked_by": _name(by), "note": note}
    return _deliver(settings, FUNDING.name, approval, [row], dry_run=dry_run)


def ask_adjustments(settings: Settings, file: Path, approval: str, *, by: str | None, dry_run: bool) -> Plan:
    """The adjustments of a file (CSV or JSON lines: transfer_id, amount, note), under one reference."""
    _free(settings, approval)
    told = _lines(file)
    wrong = [f"line {n}: {fault}" for n, row in enumerate(told, start=1) if (fault := _adjustment_fault(row))]
    ids = [str(row.get("transfer_id")) for row in told]
    wrong += [f"transfer {i[:12]}… stands twice" for i in sorted({i for i in ids if ids.count(i) > 1})]
    if wrong or not told:
        raise UsageError(
            f"{file.name}: {'; '.join(wrong) or 'it has no line'}.", remedy="Nothing was written."
        )
    name = _name(by)
    rows = [
        {"approval": approval, "transfer_id": row["transfer_id"], "amount": int(row["amount"])}
        | {"asked_by": name, "note": str(row["note"]).strip()}
        for row in told
    ]
    return _deliver(settings, ADJUSTMENTS.name, approval, rows, dry_run=dry_run)


def approve(settings: Settings, approval: str, by: str, *, dry_run: bool) -> tuple[Plan, Asked]:
    """Approve what stands under a reference, as it stands now; UsageError where ``by`` asked for it."""
    asked = delivered_asks(settings).get(approval)
    if asked is None or not asked.is_asked:
        raise InputMissing(f"Nothing was asked under {approval}.", remedy="See `ccare ledger asked`.")
    if asked.approved_by:
        raise UsageError(f"{approval} is approved already, by {asked.approved_by}.")
    if not asked.may_be_approved_by(by):
        raise UsageError(
            f"{by.strip() or 'Nobody'} cannot approve {approval}, which {', '.join(asked.asked_by)} asked for.",
            remedy="Somebody else has to: ccare approve REF --by NAME.",
        )
    row = {"approval": approval, "digest": asked.digest, "approved_by": " ".join(by.split())}
    return _deliver(settings, APPROVALS.name, approval, [row], dry_run=dry_run), asked


def delivered_asks(settings: Settings) -> dict[str, Asked]:
    """Reference -> what the landing folder says was asked under it, and who approved it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in _ASKING:
        folder = settings.landing / name
        files = sorted(folder.glob("*/*.jsonl")) if folder.is_dir() else []
        found[name] = [row for path in files for row in _lines(path)]
    alone = load_ledger(settings.conf).programmes_file.adjust_alone
    return asked_under(
        found[FUNDING.name],
        found[ADJUSTMENTS.name],
        found[APPROVALS.name],
        alone,
        next_day(settings) or date.today(),
    )


def next_day(settings: Settings) -> date | None:
    """The business day that is closed next; None on a new lake."""
    last = LakeState(manifest.published(settings.lake)).last_closed if settings.lake.is_dir() else None
    return last + timedelta(days=1) if last else None


def _deliver(
    settings: Settings, stream: str, name: str, rows: Sequence[Mapping[str, Any]], *, dry_run: bool
) -> Plan:
    """One file in the newest folder that the next close takes, today's at the latest."""
    today = datetime.now(UTC).astimezone(ZoneInfo(settings.timezone)).date()
    day = next_day(settings)
    delivered = today if day is None else min(today, day + timedelta(days=1))
    if dry_run:
        return Plan(stream, delivered, tuple(rows), None)
    folder = settings.landing / stream / delivered.isoformat()
    path = folder / f"{stream}-{re.sub('[^A-Za-z0-9_-]', '-', name)}.jsonl"
    if path.exists():
        raise UsageError(f"{path} was written before.", remedy="Ask under another number or reference.")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return Plan(stream, delivered, tuple(rows), path)


def _free(settings: Settings, approval: str) -> None:
    """One reference, one ask: an approval names what stands under it, so nothing is added later."""
    if not REFERENCE.match(approval):
        raise UsageError(f"{approval!r:.80} is no reference.", remedy="Use 1 to 64 of A-Za-z0-9_.:-.")
    asked = delivered_asks(settings).get(approval)
    if asked is not None and asked.is_asked:
        raise UsageError(f"{approval} is asked for already.", remedy="Choose another reference.")


def _whole(value: int, what: str) -> int:
    if not 1 <= value <= MOST_UNITS:
        raise UsageError(f"{value} is no {what}.", remedy="Give a whole number from 1 to 10^15.")
    return value


def _name(by: str | None) -> str:
    name = " ".join((by or getpass.getuser()).split())
    if not name or len(name) > 100:
        raise UsageError("Who asks has no name.", remedy="Add --by NAME.")
    return name


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise UsageError(f"{path} is neither JSON lines nor a .csv file.") from None
    if not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"{path} holds a line that is no JSON object.")
    return rows


def _adjustment_fault(row: Mapping[str, Any]) -> str:
    if not _TRANSFER.match(str(row.get("transfer_id"))):
        return "transfer_id is not 64 hex digits"
    amount = str(row.get("amount"))
    if not re.fullmatch(r"[1-9][0-9]{0,15}", amount) or int(amount) > MOST_UNITS:
        return "amount is no whole number from 1 to 10^15"
    return "" if str(row.get("note") or "").strip() else "note says no reason"
