"""A metric defined a little otherwise is seen on the random lake: what the differential test leans on.

DuckDB only: the product equals the oracle there, so an oracle with the mistake is compared with the one without.
"""

from datetime import date
from typing import Any

import pytest

from tests.metrics.compared import COMPARED
from tests.metrics.definitions_otherwise import FAULTS
from tests.metrics.random_lake import FIRST, LAST, random_lake
from tests.oracle.from_core import SIDE_TABLES, Oracle

Told = dict[str, dict[Any, Any]]


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(random_lake(), FIRST)


@pytest.fixture(scope="module")
def as_defined(oracle: Oracle) -> dict[date, Told]:
    told = {}
    for day in {fault.day for fault in FAULTS.values()}:
        oracle.stand_at(day)
        told[day] = {name: of_one(oracle, name) for name in ("metrics", "lift", *SIDE_TABLES)}
    assert all(told[LAST].values()), "a table without rows would agree with anything"
    return told


def of_one(oracle: Oracle, name: str) -> dict[Any, Any]:
    if name in SIDE_TABLES:
        return dict(oracle.side(name))
    return dict(oracle.lifts() if name == "lift" else oracle.metrics())


def test_every_metric_and_table_has_a_mistake_to_be_seen() -> None:
    changed = {name for fault in FAULTS.values() for name in fault.changes}
    assert changed == {*COMPARED, *SIDE_TABLES, "lift"}


@pytest.mark.parametrize("name", FAULTS)
def test_a_metric_defined_otherwise_is_seen(oracle: Oracle, as_defined: dict[date, Told], name: str) -> None:
    fault, same = FAULTS[name], []
    oracle.stand_at(fault.day, (fault.file, fault.part, fault.instead))
    told: Told = {}
    for changed in fault.changes:
        source = changed if changed in as_defined[fault.day] else "metrics"
        if source not in told:
            told[source] = of_one(oracle, source)
        now, right = told[source], as_defined[fault.day][source]
        if source == "metrics":
            now, right = ({at: cell for at, cell in of.items() if at[1] == changed} for of in (now, right))
        assert right, f"nothing to compare for {changed}"
        same += [changed] if now == right else []
    assert not same, f"the random lake does not tell these apart: {same}"
