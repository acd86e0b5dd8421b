"""Every expectation of every table bites: rows that break all rules of a table are found by each, sound rows by none.

What one row of a stream may be is tried in tests/events/test_rules.py; these are the rules of whole tables.
"""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ccare.errors import GateRefused
from ccare.runtime import gate
from ccare.runtime.gate import Rule
from ccare.runtime.quality import Quality
from ccare.runtime.rowstore import arrow_schema
from ccare.tables import REGISTRY, Table

_SOME: dict[str, Any] = {
    "string": "0" * 64,
    "double": 0.5,
    "boolean": True,
    "date": date(2026, 3, 1),
    "timestamp": datetime(2026, 3, 1, tzinfo=UTC),
}
_FORMED = {"refund_no_in_key": "refunded|t1|r1"}
"""What a rule's pattern wants where a digest does not fit it."""
_MISSHAPEN = {"trade_no_whole": "4.2E+27"}
"""What breaks a rule's pattern where these words do not."""
JUDGED = sorted(name for name, declared in REGISTRY.items() if gate.rules(declared))
DAY = date(2026, 3, 1)


def held(declared: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows as the driver holds them before they are written: a required column may still lack its value."""
    fields = [field.with_nullable(True) for field in arrow_schema(declared)]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def sound(declared: Table) -> dict[str, Any]:
    """A row with something in every column, as the rules want it."""
    row = {
        c.name: _SOME.get(c.type, [] if c.type.startswith(("array", "map")) else 1) for c in declared.columns
    }
    for rule in gate.rules(declared):
        told = dict(rule.arguments)
        if rule.expect == "in_set":
            row[told["column"]] = told["values"][0]
        elif rule.id in _FORMED:
            row[told["column"]] = _FORMED[rule.id]
    return row


def spoilt(declared: Table, rule: Rule) -> list[dict[str, Any]]:
    """Rows that break the rule."""
    row, told = sound(declared), dict(rule.arguments)
    column = told.get("column", "")
    if rule.expect == "not_null":
        return [{**row, column: None}]
    if rule.expect == "unique":
        return [row, row]
    if rule.expect == "in_set":
        return [{**row, column: "no such word"}]
    if rule.expect == "matches":
        return [{**row, column: _MISSHAPEN.get(rule.id, "no such form")}]
    if rule.expect == "at_least":
        more = timedelta(days=1) if isinstance(row[column], date) else 1
        return [{**row, told["other"]: row[column] + more}]
    if rule.expect == "row_count":
        return []
    assert rule.expect == "between", rule.expect
    beyond = [told["min"] - 1] if "min" in told else []
    beyond += [told["max"] + 1] if "max" in told else []
    return [{**row, column: value} for value in beyond]


@pytest.mark.parametrize("name", JUDGED)
def test_sound_rows_pass_and_each_rule_finds_what_breaks_it(name: str) -> None:
    declared = REGISTRY[name]
    suite = gate.rules(declared)
    assert gate.failures(held(declared, [sound(declared)]), declared, suite) == []
    counted = [rule for rule in suite if rule.expect == "row_count"]
    rows = [row for rule in suite for row in spoilt(declared, rule)]
    found = {f.rule.id: f for f in gate.failures(held(declared, rows), declared, suite)}
    assert found.keys() == {rule.id for rule in suite} - {rule.id for rule in counted}
    for rule in counted:
        (alone,) = gate.failures(held(declared, []), declared, (rule,))
        found[rule.id] = alone
    for rule in suite:
        quality = Quality(DAY, 0, "test")
        if rule.severity == "warn":
            assert rule.id in str(quality.judge(name, suite, [found[rule.id]]))
            continue
        with pytest.raises(GateRefused, match=rf"{name}\.{rule.id}") as refused:
            quality.judge(name, suite, [found[rule.id]])
        assert rule.why in refused.value.message


def test_business_rules_stand_only_on_tables_that_are_judged() -> None:
    files = {path.stem for path in gate.expectations_dir().glob("*.toml")} - {"streams"}
    assert files <= REGISTRY.keys()
    assert {rule.severity for name in JUDGED for rule in gate.rules(REGISTRY[name])} == {"block", "warn"}


def test_judging_rows_that_the_driver_holds_starts_no_spark() -> None:
    script = (
        "import sys; sys.modules['__main__'].__file__ = 'test'  # else pyspark takes it for a doctest and ends it\n"
        "from tests.runtime.test_every_rule import JUDGED, REGISTRY, gate, held, sound\n"
        "from pyspark import SparkContext\n"
        "declared = REGISTRY[JUDGED[0]]\n"
        "gate.failures(held(declared, [sound(declared)]), declared, gate.rules(declared))\n"
        "print('a JVM' if SparkContext._gateway else 'no JVM', 'was started')\n"
    )
    path = Path(__file__).resolve().parents[2]
    ran = subprocess.run(
        [sys.executable, "-"], input=script, cwd=path, capture_output=True, text=True, check=False
    )
    assert ran.stdout.endswith("no JVM was started\n"), ran.stdout + ran.stderr[-2000:]
