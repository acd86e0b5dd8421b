"""Cases of benchmarks, drivers and scores."""

import pytest

from tests.case_runner import Case, cases, run_case

pytestmark = pytest.mark.spark
ALL = [case for name in ("score_benchmarks", "score_drivers", "score_merchants") for case in cases(name)]


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.table}-{case.name}")
def test_case(spark, case: Case) -> None:
    run_case(spark, case)
