"""The ledger's hand-checkable cases under tests/cases/ledger_transfers."""

import pytest

from tests.case_runner import cases, run_case

CASES = cases("ledger_transfers")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(books_spark, case):
    run_case(books_spark, case)
