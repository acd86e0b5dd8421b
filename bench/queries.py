"""Every named question over a lake: seconds each, on an open catalogue.

Without ``--lake`` one is drawn (bench/exports.py and bench/queries_lake.py): 100,000 merchants, nothing in it real.
"""

import argparse
import tempfile
import time
from pathlib import Path

from ccare.growth.catalogue import open_snapshot
from ccare.growth.questions import questions
from ccare.runtime import manifest
from ccare.runtime.settings import Settings


def main() -> None:
    """Ask each question twice and print the second time, slowest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lake", type=Path, help="a published lake; default: one that is drawn")
    parser.add_argument("--merchants", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccare-bench-") as scratch:
        if options.lake:
            _ask(Settings.load().with_(lake=options.lake), 1)
            return
        from bench.queries_lake import build

        started = time.monotonic()
        settings = build(Path(scratch), options.merchants)
        print(f"a lake of {options.merchants:,} merchants: {time.monotonic() - started:.1f} s (not counted)")
        _ask(settings, 5)


def _ask(settings: Settings, target: float) -> None:
    row = manifest.latest(settings.lake)
    assert row is not None
    started, told = time.monotonic(), []
    with open_snapshot(settings, row) as con:
        con.execute("set threads = 2")
        opened = time.monotonic() - started
        for name, question in questions().items():
            values = {p.name: p.default for p in question.parameters}
            for _ in range(2):
                started = time.monotonic()
                rows = con.execute(question.sql, values or None).fetchall()
                seconds = time.monotonic() - started
            told.append((seconds, name, len(rows)))
    print(f"catalogue opened in {opened:.2f} s; target {target} s a question")
    for seconds, name, rows in sorted(told, reverse=True):
        print(f"{seconds:7.2f} s  {name:<22} {rows:>9,} rows")


if __name__ == "__main__":
    main()
