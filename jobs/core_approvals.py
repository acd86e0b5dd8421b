"""Approvals of fundings and adjustments: landing lines of stream approvals to rows with a fate."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.events.job import fates
from ccare.runtime.close import Close
from ccare.tables.streams import APPROVALS


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Every delivered line with its fate; the harness stores the accepted ones here."""
    return fates(inputs, close, APPROVALS)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("core_staff"))
