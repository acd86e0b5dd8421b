"""Refunds by the day their trade was paid."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.runtime.close import Close
from ccare.state.refunds import matched_refunds, merged_refunds


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Refund days of the pairs that became whole in this close."""
    pairs = matched_refunds(inputs["core_payments"], close.day, close.first_day, close.refunds_wait)
    return merged_refunds(inputs["state_refund_days"], pairs)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("state_refund_days"))
