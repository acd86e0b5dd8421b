"""The demo's results for a browser and for a terminal. Whatever simulated rows touch is marked as such."""

from pathlib import Path

from ccare.exports import pages
from ccare.exports.files import write_aside
from ccare.exports.privacy import money
from ccare.exports.summary_data import DemoSummary, Mover, demo_summary
from ccare.exports.words import metric_name
from ccare.runtime.settings import Settings

FILE_NAME = "demo.html"
PART, WHOLE = "part simulated", "simulated"

__all__ = ["DemoSummary", "demo_summary", "render_html", "render_text", "write_html"]


def write_html(settings: Settings, summary: DemoSummary) -> Path:
    """Write ``<exports>/demo.html``, beside and renamed."""
    return write_aside(settings.exports / FILE_NAME, render_html(summary).encode())


def render_html(summary: DemoSummary) -> str:
    """One self-contained page."""
    return pages.render(
        "demo.html.j2", s=summary, money=lambda fen: money(fen, summary.currency), metric_name=metric_name
    )


def render_text(summary: DemoSummary) -> list[str]:
    """Plain lines of at most 110 characters for a terminal or a log."""
    return [
        *_deliveries(summary),
        *_amounts(summary),
        *_scores(summary),
        *_points(summary),
        *_simulated(summary),
        *_wrapped(summary.provenance),
    ]


def _deliveries(s: DemoSummary) -> list[str]:
    lines = [
        "",
        "Delivered rows",
        f"  {'stream':<20}{'read':>12}{'accepted':>12}{'duplicate':>12}{'rejected':>12}",
    ]
    for row in s.streams:
        mark = _mark(row.simulated, row.real)
        counts = (row.read, row.accepted, row.duplicate, row.rejected)
        lines.append(f"  {row.stream:<20}" + "".join(f"{n:>12,}" for n in counts) + mark)
    if s.reasons:
        lines.append("  rejected by reason (a row with several counts under each):")
        lines += [f"    {stream}: {reason} {rows:,}" for stream, reason, rows in s.reasons]
    return lines


def _mark(simulated: int, real: int) -> str:
    if not simulated:
        return ""
    return f"  [{PART}: {simulated:,} rows]" if real else f"  [{WHOLE}]"


def _amounts(s: DemoSummary) -> list[str]:
    gmv = s.gmv
    lines = [
        "",
        "Real purchases",
        f"  {s.users:,} users, {s.business_dates:,} business dates ({s.first_date} to {s.last_date}), "
        f"{s.vouchers_used:,} vouchers used",
        f"  paid {money(gmv.gmv_fen, s.currency)} + rejected {money(gmv.rejected_fen, s.currency)} "
        f"({gmv.rejected_rows:,} rows) = {money(gmv.gmv_fen + gmv.rejected_fen, s.currency)}",
    ]
    if gmv.delivered_fen is None:
        lines.append("  the landing files are gone, so the delivered total cannot be summed again")
    else:
        gap = gmv.delivered_fen - gmv.gmv_fen - gmv.rejected_fen
        told = "to the cent" if not gap else f"DIFFERENCE {money(gap, s.currency)}"
        lines.append(f"  delivered, summed from the files: {money(gmv.delivered_fen, s.currency)}: {told}")
    if gmv.state_fen != gmv.core_fen:
        gap = gmv.state_fen - gmv.core_fen
        lines.append(f"  DIFFERENCE between state_merchant_days and core_payments: {money(gap, s.currency)}")
    made_up = {"paid to simulated shops": gmv.simulated_fen, "refunds": s.refunds_simulated_fen}
    return lines + [f"  {what} {money(fen, s.currency)}  [{WHOLE}]" for what, fen in made_up.items() if fen]


def _scores(s: DemoSummary) -> list[str]:
    share = (
        f"  [{PART}: {s.simulated_event_share:.1%} of the events of 56 days]" if s.scores_simulated else ""
    )
    statuses = ", ".join(f"{n:,} {status}" for status, n in s.merchants.items())
    lines = ["", f"Merchants on {s.last_as_of}{share}", f"  {statuses}"]
    for title, movers in (("moved up", s.up), ("moved down", s.down)):
        lines.append(f"  {title} most since {s.first_as_of}:" + ("" if movers else " nobody"))
        lines += [_mover(m) for m in movers]
    return lines


def _mover(m: Mover) -> str:
    why = f"{metric_name(m.driver).en} ({m.driver_change:+.1f})" if m.driver else "no driver"
    return f"    {m.merchant_id:<12}{m.total_from:>6.1f} -> {m.total_to:>5.1f} {m.change:>+6.1f}  {why}"


def _points(s: DemoSummary) -> list[str]:
    p = s.points
    mark = f"  [{PART}: scores multiply them, refunds lower them]" if s.points_simulated else ""
    parts = ("pending", "active", "reserved", "redeemed", "expired", "taken")
    shown = " + ".join(f"{name} {p[name]:,}" for name in parts if p[name] or name in ("pending", "active"))
    lines = ["", f"Points{mark}", f"  issued {p['issued']:,} to {p['merchants']:,} merchants = {shown}"]
    if p["debt"]:
        lines.append(f"  owed by merchants {p['debt']:,}")
    if s.outcomes:
        lines.append(f"  {'programme and rule':<31}{'outcome':<22}{'parties':>10}{'amount':>14}")
    for each in s.outcomes:
        name = f"{each.programme} {each.rule}"
        lines.append(
            f"    {name:<29.28}{each.outcome:<22}{each.parties:>10,}{each.amount:>14,} {each.asset.lower()}"
        )
    return lines + ["  " + line for note in s.notes for line in _wrapped(f"note: {note}")]


def _simulated(s: DemoSummary) -> list[str]:
    made_up = [row for row in s.streams if row.simulated]
    if not made_up:
        return ["", "Simulated: nothing. Every row is as it was delivered by its source."]
    listed = ", ".join(f"{row.stream} {row.simulated:,} of {row.simulated + row.real:,}" for row in made_up)
    return ["", *_wrapped(f"Simulated rows (origin = simulated): {listed}.")]


def _wrapped(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 106)
