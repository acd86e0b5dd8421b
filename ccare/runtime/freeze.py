"""``ccare freeze-benchmarks``: a month's benchmarks frozen by a run of their own, before any close needs them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256

from ccare.errors import InputMissing
from ccare.growth.snapshot import connect
from ccare.runtime import deltalog
from ccare.runtime.amendments import catalogue_again, open_amendment, run_without_spark
from ccare.runtime.day import opened
from ccare.runtime.lease import FREEZE, clear_record
from ccare.runtime.settings import Settings
from ccare.runtime.steps import publish
from ccare.scoring.frozen_rows import freezing, month_frozen
from ccare.scoring.months import MONTHLY, month_of
from ccare.scoring.policy import load_scoring
from ccare.tables import table

NAME = "score_benchmarks"


@dataclass(frozen=True)
class Frozen:
    """What was frozen; ``seq`` is None where the month had benchmarks already."""

    month: str
    frozen_on: date | None = None
    policy_version: str = ""
    groups: int = 0
    seq: int | None = None
    run_id: str = ""


def freeze_month(settings: Settings, first: date, said: Callable[[str], None]) -> Frozen:
    """Freeze the month that begins on ``first``, as of the day before, and publish it; a frozen month stays as it is.

    InputMissing where that day is not closed, or too few merchants were active on it: then the month's first close
    freezes its own day. UsageError while a day's run is open.
    """
    month, before = month_of(first), first - timedelta(days=1)
    with opened(settings) as lake:
        record = open_amendment(settings, lake, FREEZE, "no benchmarks can be frozen")
        assert lake.last is not None
        pins = dict(lake.last.table_versions)
        try:
            if month in frozen_months(settings, pins):
                clear_record(settings.lake)
                return Frozen(month)
            if all(row.business_date != before for row in lake.closes):
                raise InputMissing(
                    f"{month} is frozen as of {before}, which is not closed.",
                    remedy=f"Close it first: ccare run --day {before}.",
                )
            policy = load_scoring(settings.conf).for_day(first)
            with connect(settings.lake, lake.last) as con:
                if freezing(con, first, policy)[1] != MONTHLY:
                    raise InputMissing(
                        f"Fewer than {policy.min_active_merchants} merchants were active on {before}.",
                        remedy=f"Nothing to do: the first close of {month} freezes its own day.",
                    )
                rows = month_frozen(con, first, policy)
        except InputMissing:
            clear_record(settings.lake)  # refused before anything was written
            raise
        run = run_without_spark(settings, lake, record, said)
        run.keep(FREEZE, table(NAME), rows, [month])
        record.inputs_digest = sha256(f"{FREEZE}|{month}".encode()).hexdigest()
        row = publish(run)
        catalogue_again(settings, row)
        groups = len(rows["peer_group"].unique())
        return Frozen(month, before, policy.version, groups, row.seq, row.run_id)


def frozen_months(settings: Settings, versions: dict[str, int]) -> set[str]:
    """Months that have benchmarks at these versions."""
    if NAME not in versions:
        return set()
    return {p["month"] for p in deltalog.open_table(settings.lake, NAME, versions[NAME]).partitions()}
