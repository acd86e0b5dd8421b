"""Cases of metric_merchants: window edges, bit words, staff, empty denominators."""

import pytest

from tests.case_runner import Case, cases, run_case

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("case", cases("metric_merchants"), ids=lambda case: case.name)
def test_case(spark, case: Case) -> None:
    run_case(spark, case)
