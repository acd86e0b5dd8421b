"""``make bench-score``, the part of explanations: seconds to derive a published score again, on a closed lake.

The lake is the demo's (``make demo``) where none is named: nothing is drawn here, for only rows that add up explain.
"""

import argparse
import time
from pathlib import Path

from ccare.demo import demo_settings
from ccare.growth.snapshot import connect
from ccare.runtime import manifest
from ccare.runtime.settings import Settings
from ccare.scoring.explain import explain

TARGET_SECONDS = 3
_PICKED = """
with ranked as (
    select merchant_id, c_mau28, row_number() over (order by c_mau28 desc, merchant_id) as place, count(*) over () as of
    from metric_merchants join score_merchants using (merchant_id, as_of_date)
    where as_of_date = $day and total_score is not null
)
select merchant_id, c_mau28 from ranked where place in (1, (of + 1) // 2, of) order by place
"""


def main() -> None:
    """Explain the merchant with most users, a middling one and the smallest; print the first and the warm seconds."""
    parser = argparse.ArgumentParser(description="Seconds of an explanation.")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="folder of a finished `ccare demo`")
    settings = demo_settings(parser.parse_args().folder)
    row = manifest.latest(settings.lake)
    if row is None:
        print(f"explanations: no demo in {settings.lake.parent}; run `make demo` first")
        return
    for merchant, users in _picked(settings, row):
        took = []
        for _ in range(3):
            started = time.monotonic()
            explained = explain(settings, merchant, row.business_date)
            took.append(time.monotonic() - started)
        print(
            f"merchant {merchant} with {users:,} users in 28 days: {took[0]:.2f} s first, {min(took[1:]):.2f} s warm "
            f"(target {TARGET_SECONDS} s warm), {explained.values_checked} values derived again and equal"
        )


def _picked(settings: Settings, row: manifest.Published) -> list[tuple[str, int]]:
    with connect(settings.lake, row) as con:
        return con.execute(_PICKED, {"day": row.business_date}).fetchall()


if __name__ == "__main__":
    main()
