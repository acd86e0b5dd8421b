"""Cases of the metric tables: window edges, bit words, staff, empty denominators, cohorts, stages, funnels."""

import pytest

from ccare.tables.metric import TABLES
from tests.case_runner import Case, cases, run_case

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(
    "case", [case for table in TABLES for case in cases(table.name)], ids=lambda c: f"{c.table}-{c.name}"
)
def test_case(spark, case: Case) -> None:
    run_case(spark, case)
