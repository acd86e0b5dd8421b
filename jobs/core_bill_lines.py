"""Lines of settlement bills: parsed lines of both channels to rows with a fate."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.events.bills import bill_fates
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Every parsed line with its fate; the harness stores the accepted ones here."""
    return bill_fates(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("core_bill_lines"))
