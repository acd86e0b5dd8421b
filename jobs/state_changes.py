"""What the day being closed adds to each merchant, user and business date."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.runtime.close import Close
from ccare.state.facts import facts
from ccare.state.folds import pair_days


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One pass over the new rows of all streams."""
    return pair_days(facts(inputs, close.day, close.first_day, close.slots))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_changes"))
