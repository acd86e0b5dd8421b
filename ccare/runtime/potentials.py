"""``ccare fit-potential``: a run of its own kind that publishes score_potentials as of a closed day. No Spark."""

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

import duckdb
import pyarrow as pa

from ccare.errors import CcareError, InputMissing
from ccare.growth.snapshot import connect
from ccare.potential.model import MODEL
from ccare.runtime import manifest, storage
from ccare.runtime.amendments import catalogue_again, open_amendment, run_without_spark
from ccare.runtime.day import LakeState, close_for, opened
from ccare.runtime.failpoint import reach
from ccare.runtime.lease import FIT, RunRecord, clear_record
from ccare.runtime.settings import Settings
from ccare.runtime.steps import publish
from ccare.tables import table
from jobs.score_potentials import build

POTENTIALS = "score_potentials"


@dataclass(frozen=True)
class Fitted:
    """What a fit published: merchants and how many have each status; ``seq`` is None where it stood already."""

    as_of: date
    merchants: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    seq: int | None = None
    run_id: str = ""


def fit_potentials(settings: Settings, as_of: date, said: Callable[[str], None]) -> Fitted:
    """Fit every merchant as of a closed day and publish; the same rows again publish nothing.

    Days before the first close count too: they know what that close took. InputMissing where nothing is published,
    ``as_of`` is not closed or nobody has paid by then; UsageError while a day's run is open.
    """
    with opened(settings) as lake:
        _require_closed(lake, as_of)
        record = open_amendment(settings, lake, FIT, "no model can be fitted")
        assert lake.last is not None
        try:
            with connect(settings.lake, lake.last) as con:
                rows = _built(settings, con, record, as_of)
                stands = _published(con, as_of)
            result = Fitted(as_of, rows.num_rows, _statuses(rows))
            if rows.equals(stands):
                clear_record(settings.lake)
                return result
            run = run_without_spark(settings, lake, record, said)
            for warning in run.gate(table(POTENTIALS), rows):
                said(f"  warning: {warning}")
        except CcareError:
            clear_record(settings.lake)  # refused before anything was written
            raise
        version = storage.write_held(settings.lake, table(POTENTIALS), rows, record.run_id, [as_of])
        reach(f"{POTENTIALS}.committed")
        record.versions[POTENTIALS] = version
        record.inputs_digest = sha256(f"{FIT}|{as_of}|{MODEL}".encode()).hexdigest()
        row = publish(run)
        catalogue_again(settings, row)
        return replace(result, seq=row.seq, run_id=row.run_id)


def _require_closed(lake: LakeState, as_of: date) -> None:
    if lake.last_closed is not None and as_of > lake.last_closed:
        raise InputMissing(
            f"{as_of} is not closed; the last day is {lake.last_closed}.",
            remedy=f"Close it first: ccare run --day {as_of}.",
        )


def _built(settings: Settings, con: duckdb.DuckDBPyConnection, record: RunRecord, as_of: date) -> pa.Table:
    rows = build(con, replace(close_for(settings, record), day=as_of))
    if not rows.num_rows:
        raise InputMissing(
            f"Nobody has paid by {as_of}: there is nothing to fit.", remedy="Choose a later --as-of."
        )
    return rows


def _published(con: duckdb.DuckDBPyConnection, as_of: date) -> pa.Table:
    """The rows of the day as published, in the order that they are made in."""
    names = ", ".join(table(POTENTIALS).column_names)
    asked = f"select {names} from {POTENTIALS} where as_of_date = $1 order by merchant_id"  # noqa: S608
    return con.execute(asked, [as_of]).to_arrow_table().cast(_schema())


def _schema() -> pa.Schema:
    from ccare.runtime.rowstore import arrow_schema

    return arrow_schema(table(POTENTIALS)).remove_metadata()


def _statuses(rows: pa.Table) -> dict[str, int]:
    told = Counter(rows["model_status"].to_pylist())
    told.update(f"spend {status}" for status in rows["spend_status"].to_pylist())
    return dict(told)


def show() -> int:
    """python jobs/score_potentials.py --day D: what it would build from published inputs; writes nothing."""
    parser = argparse.ArgumentParser(description=f"Build {POTENTIALS} from published inputs and show it.")
    parser.add_argument("--day", type=date.fromisoformat, required=True)
    options = parser.parse_args()
    settings = Settings.load()
    try:
        last = manifest.latest(settings.lake)
        if last is None:
            raise InputMissing(f"Nothing is published in {settings.lake}.", remedy="Close a day first.")
        first = LakeState(manifest.published(settings.lake)).first_day or options.day
        with connect(settings.lake, last) as con:
            from ccare.potential.outlooks import outlooks

            print(outlooks(con, options.day, max(options.day, first)).to_pandas().head(20).to_string())
    except CcareError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0
