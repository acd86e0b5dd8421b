"""Running one job by itself: spark-submit jobs/<table>.py --day D shows what it would build, and writes nothing."""

import argparse
import sys
from datetime import date

from ccare.errors import CcareError
from ccare.runtime.settings import Settings


def main(name: str) -> int:
    """Build the table for a day from the published inputs and show the first rows; returns an exit code."""
    parser = argparse.ArgumentParser(description=f"Build {name} from published inputs and show it.")
    parser.add_argument("--day", type=date.fromisoformat, required=True)
    parser.add_argument("--rows", type=int, default=20)
    options = parser.parse_args()
    try:
        _show(Settings.load(), name, options.day, options.rows)
    except CcareError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _show(settings: Settings, name: str, day: date, rows: int) -> None:
    from ccare.errors import InputMissing
    from ccare.runtime import manifest
    from ccare.runtime.day import LakeState, _new_record, close_for
    from ccare.runtime.run import Run
    from ccare.runtime.spark import session

    lake = LakeState(manifest.published(settings.lake))
    if lake.last is None:
        raise InputMissing(
            f"Nothing is published in {settings.lake}.", remedy=f"Run it first: ccare run --day {day}."
        )
    record = _new_record(lake, day)
    pins = dict(lake.last.table_versions)
    run = Run(settings, session(settings), record, close_for(settings, record), lake.last, print, pins)
    for key, df in run.build(name).items():
        print(key)
        df.show(rows, truncate=False)
