"""Which merchants a close does not score because their bills and payments differ."""

from ccare.growth.snapshot import connect_to
from ccare.reconcile.compare import MerchantDay, merchant_days
from ccare.reconcile.policy import load_reconcile
from ccare.runtime.run import Run

SHOWN = 20
_READ = ("core_bill_lines", "core_payments", "core_merchants")


def unreconciled(run: Run) -> tuple[str, ...]:
    """Merchants beyond the policy's limit, sorted; says who and by how much. Without bills it costs nothing."""
    if run.version("core_bill_lines") is None:
        return ()
    over = [m for m in _compared(run) if m.over]
    for m in over[:SHOWN]:
        run.said(
            f"  unreconciled: {m.merchant_id} is not scored: bills of {m.business_date} differ from payments by "
            f"{m.difference_fen} fen, {m.allowed_fen} are allowed; see ccare reconcile --day {m.business_date}"
        )
    merchants = tuple(sorted({m.merchant_id for m in over}))
    if len(over) > SHOWN:
        run.said(f"  unreconciled: {len(merchants)} merchants in all are not scored")
    return merchants


def _compared(run: Run) -> list[MerchantDay]:
    day = run.close.day
    with connect_to(run.settings.lake, {name: run.version(name) for name in _READ}) as con:
        return merchant_days(con, load_reconcile(run.settings.conf, day), day, known_on=day, new_on=day)
