"""score_evidence: the abuse rules that speak against a merchant on an effective date."""

from collections.abc import Mapping

from pyspark.sql import DataFrame

from ccare.abuse.evidence import evidence
from ccare.runtime.close import Close


def build(inputs: Mapping[str, DataFrame], close: Close) -> DataFrame:
    """Whole days of the effective dates that the close judges; no rows where no rule is in force."""
    return evidence(inputs, close)


if __name__ == "__main__":
    from ccare.runtime.job import main

    raise SystemExit(main("score_evidence"))
