"""metric_user_facts: users of each merchant counted by what is told of them on the day."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.metrics.user_facts import user_facts
from ccare.metrics.windows import AsOf
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """One pass over state_users."""
    return user_facts(inputs["state_users"], inputs["core_staff"], AsOf(close.day, close.timezone))


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("metric_user_facts"))
