"""metric_merchants: every metric of a merchant on the day being closed."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.merchant_metrics import merchant_metrics
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One row for each merchant valid on the day or with any event by then."""
    return merchant_metrics(inputs, AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_merchants"))
