"""Cases of evidence, rule by rule: speaks, just misses, and whose rows do not count."""

import pytest

from tests.case_runner import Case, cases, run_case

pytestmark = pytest.mark.spark
ALL = cases("score_evidence")


@pytest.mark.parametrize("case", ALL, ids=[case.name for case in ALL])
def test_case(spark, case: Case) -> None:
    run_case(spark, case)
