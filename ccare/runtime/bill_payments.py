"""Bill lines that become payments: made of what a run took, gated as payments are, put beside its payments."""

from pyspark.sql import DataFrame

from ccare.events.bill_payments import bill_payments, bill_trades, for_gate
from ccare.events.forgotten import without_forgotten
from ccare.events.job import gated
from ccare.events.pseudonym import pads_frame
from ccare.reconcile.policy import payments_ever_from
from ccare.runtime.run import Run
from ccare.runtime.spark import conform
from ccare.runtime.storage import put_beside
from ccare.runtime.stream_gate import gate_relations, row_suite
from ccare.tables import table
from ccare.tables.streams import PAYMENTS


def known_bill_trades(run: Run) -> DataFrame | None:
    """Trades that came from bills before this run; None where the policy never made payments of bills."""
    names = ("core_bill_lines", PAYMENTS.table)
    if any(run.as_published.get(name) is None for name in names):
        return None
    if not payments_ever_from(run.settings.conf, run.close.day):
        return None
    return bill_trades(run.before(PAYMENTS.table), run.before("core_bill_lines"))


def store_payments(run: Run, lines: DataFrame, channels: tuple[str, ...]) -> None:
    """Accepted ``lines`` of ``channels`` whose trade no payments event has told of, into core_payments."""
    declared = table(PAYMENTS.table)
    meter = run.meter(declared.name)
    rows = bill_payments(lines, channels, run.read(declared.name), run.read("core_bill_lines"))
    if run.as_published.get("core_forgotten") is not None:
        pads = pads_frame(run.spark, run.settings.require_key())
        rows = without_forgotten(rows, run.before("core_forgotten"), pads, PAYMENTS)
    rows = conform(rows, declared).persist()
    if count := rows.count():
        judged = gated(for_gate(rows), PAYMENTS, run.close.timezone)
        warnings = run.gate(declared, judged, row_suite(PAYMENTS, run.close.timezone))
        alone = declared.name not in run.record.versions
        lake, day = run.settings.lake, run.close.day
        version = put_beside(lake, declared, rows, run.record.run_id, day, count, alone=alone)
        run.wrote("ingest", declared.name, version, meter, warnings)
        run.warn(gate_relations(run, PAYMENTS))
        run.said(f"  {count:,} bill lines became payments: no payments event has told of their trades")
    rows.unpersist()
