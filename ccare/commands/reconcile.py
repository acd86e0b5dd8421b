"""``ccare reconcile --day D``: bills against payments, and exit 10 where a merchant is beyond its limit."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ccare.errors import InputMissing

if TYPE_CHECKING:
    from ccare.reconcile.compare import Reconciled

OVER_LIMIT = 10
SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="reconcile")(reconcile)


def reconcile(
    day: Annotated[datetime, typer.Option("--day", formats=["%Y-%m-%d"], help="Business day.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Compare settlement bills of a day with payments; exit 10 where a merchant is over its limit."""
    from ccare.growth.snapshot import connect
    from ccare.reconcile.compare import reconcile as compare
    from ccare.reconcile.policy import load_reconcile
    from ccare.runtime import manifest
    from ccare.runtime.settings import Settings

    settings, wanted = Settings.load(), day.date()
    row = manifest.latest(settings.lake)
    if row is None or wanted > row.business_date:
        raise InputMissing(f"{wanted} is not published.", remedy=f"Run it first: ccare run --day {wanted}.")
    manifest.check_tables(settings.lake, row)
    with connect(settings.lake, row) as con:
        found = compare(con, load_reconcile(settings.conf, wanted), wanted)
    if as_json:
        print(json.dumps(as_told(found), default=str, ensure_ascii=False))
    else:
        _print(found, settings.currency)
    if found.over:
        raise typer.Exit(OVER_LIMIT)


def as_told(found: "Reconciled") -> dict[str, Any]:
    """The result as --json prints it."""
    return {
        "day": found.day,
        "policy_version": found.policy_version,
        "within_limits": not found.over,
        "over": sorted({m.merchant_id for m in found.over}),
        "merchants": [asdict(m) | {"status": "over" if m.over else "ok"} for m in found.merchants],
        "differences": found.differences,
        "no_bill": found.no_bill,
    }


def _print(found: "Reconciled", currency: str) -> None:
    if not found.merchants:
        print(f"No bill of {found.day}; {len(found.no_bill)} merchants have payments.")
        return
    for m in found.merchants[:SHOWN] if len(found.merchants) <= SHOWN else found.over[:SHOWN]:
        told = f"; no bill of {', '.join(m.missing_channels)}" if m.missing_channels else ""
        print(
            f"{m.merchant_id}\t{'OVER' if m.over else 'ok'}\tbills {m.bill_fen} in {m.bill_lines} lines, payments "
            f"{m.payment_fen} in {m.payments}, difference {m.difference_fen} (allowed {m.allowed_fen}){told}"
        )
    for d in found.differences[:SHOWN]:
        number = d["trade_no"] + (f" refund {d['refund_no']}" if d["refund_no"] else "")
        sides = f"bill {_or_none(d['bill_amount_fen'])}, payment {_or_none(d['payment_amount_fen'])}"
        print(f"  {d['merchant_id']}\t{d['what']}\t{d['kind']} {number}\t{sides}")
    if len(found.differences) > SHOWN:
        print(f"  … and {len(found.differences) - SHOWN} more: --json lists them all")
    print(
        f"{found.day}: {len(found.merchants)} merchants with bills, {len(found.over)} over the limit, "
        f"{len(found.no_bill)} with payments and no bill (amounts in minor units of {currency}, {found.policy_version})"
    )


def _or_none(amount: int | None) -> str:
    return "none" if amount is None else str(amount)
