"""metric_funnels: users of the last 7 days by slot and furthest step."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.funnels import funnels
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Five rows for each merchant and slot with a user or traffic."""
    days = inputs["state_user_days"]
    return funnels(days, inputs["core_staff"], inputs["core_traffic_hours"], AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_funnels"))
