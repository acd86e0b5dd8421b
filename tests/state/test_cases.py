"""Cases of the folds under tests/cases/state_changes."""

import pytest

from tests.case_runner import cases, run_case

CASES = cases("state_changes")


@pytest.mark.spark
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(spark, case):
    run_case(spark, case)
