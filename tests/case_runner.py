"""Cases are data beside a table's name: ``tests/cases/<table>/<case>.yaml``, run on frames without Delta.

A case holds ``why`` (what goes wrong without it), ``day``, ``inputs`` (table -> rows) and ``expected``
(table -> rows). Optional: ``first_day``, ``timezone`` (UTC), ``posts``, ``scoring`` (fields of the scoring
policy to replace), ``touched`` (business dates that state_changes hold; default d), ``unreconciled`` (merchants),
``benchmarks_of`` (YYYY-MM, default d's month),
``only`` (programmes: the packaged ones of these names, with their pools and fundings), ``fundings`` (in place of the
packaged ones), ``terms`` (programme -> fields to replace), ``pools`` (pool -> fields to replace), ``abuse`` (rules as
in conf/abuse.toml, of one version in force for ever; texts may be left out; none without it), ``shows`` (rules of
programmes and the situations that the case is there for: tests/ledger/test_situations.py asks for every one),
``repeat`` (input table -> a list of {count, row}; ``{i}`` in a text is the row's number).

- A date may be written ``d``, ``d-27`` or ``d+1``; a timestamp ``d-27 08:30:00`` in UTC.
- A word of bits may be written as the list of its set bits; an array of numbers as {ramp: [first, last]} (101
  evenly spaced) or {runs: [[count, value], …]}.
- Columns left out of an input row are null. Expected rows name their key and only the columns that matter.
  Rows under ``expected`` are all the rows; those under ``expected_among`` need only be among them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from pyspark.sql import DataFrame, SparkSession

from ccare.abuse.policy import AbusePolicy, parse_abuse
from ccare.events.slots import load_slots
from ccare.ledger.policy import LedgerPolicies, load_ledger
from ccare.ledger.programmes import FundingFile, ProgrammesFile
from ccare.runtime.close import Close
from ccare.runtime.settings import default_conf
from ccare.runtime.spark import conform, frame, held
from ccare.scoring.policy import load_scoring
from ccare.tables import Column, Table, WriteStyle, table
from tests.held_lake import held_lake

CASES = Path(__file__).parent / "cases"
_RELATIVE = re.compile(r"^d([+-]\d+)?(?: (\d\d:\d\d(?::\d\d)?))?$")


@dataclass(frozen=True)
class Case:
    """One case file."""

    table: str
    name: str
    content: Mapping[str, Any]

    @property
    def day(self) -> date:
        """The day being closed."""
        return self.content["day"]

    def close(self) -> Close:
        """What the job is told: the packaged policies, a fixed clock and run id."""
        conf, day = default_conf(), self.day
        policy = replace(load_scoring(conf).for_day(day), **self.content.get("scoring", {}))
        return Close(
            day=day,
            first_day=self.content.get("first_day", day),
            run_id="case",
            posted_at=datetime(day.year, day.month, day.day, 1, tzinfo=UTC),
            timezone=self.content.get("timezone", "UTC"),
            scoring=policy,
            ledger=self._ledger().for_day(day),
            slots=load_slots(conf, day),
            posts=self.content.get("posts", True),
            touched=tuple(_moved(word, day) for word in self.content.get("touched", ["d"])),
            unreconciled=tuple(self.content.get("unreconciled", ())),
            benchmarks_of=self.content.get("benchmarks_of", ""),
            abuse=self._abuse(),
            forgotten_until=_moved(word, day) if (word := self.content.get("forgotten_until")) else None,
        )

    def _abuse(self) -> AbusePolicy:
        """The case's rules; nobody is judged without any."""
        texts = {"text_en": "en", "text_zh": "zh"}
        rules = [texts | rule for rule in self.content.get("abuse", [])]
        version = {"id": "case", "from": date(2000, 1, 1), "rules": rules}
        policy, mistakes = parse_abuse({"appeal": {"en": "en", "zh": "zh"}, "version": [version]})
        assert not mistakes, mistakes
        return policy

    def _ledger(self) -> LedgerPolicies:
        """The packaged ledger policy, or what the case leaves of it."""
        packaged = load_ledger(default_conf())
        told = packaged.programmes_file.model_dump(by_alias=True)
        funded = packaged.funding_file.model_dump(by_alias=True)
        names = self.content.get("only") or [p["name"] for p in told["programmes"]]
        terms = self.content.get("terms", {})
        told["programmes"] = [
            p | _dated(terms.get(p["name"], {}), self.day) for p in told["programmes"] if p["name"] in names
        ]
        changed = self.content.get("pools", {})
        told["pools"] = [
            pool | _dated(changed.get(pool["name"], {}), self.day)
            for pool in told["pools"]
            if pool["programme"] in names
        ]
        pools = {pool["name"] for pool in told["pools"]}
        given = self.content.get("fundings", [f for f in funded["fundings"] if f["pool"] in pools])
        funded["fundings"] = [_dated(each, self.day) for each in given]
        return LedgerPolicies(ProgrammesFile.model_validate(told), FundingFile.model_validate(funded))

    def inputs(self, spark: SparkSession, job: str) -> dict[str, DataFrame]:
        """Every table that the harness would hand to the job, empty where the case gives no rows."""
        declared = table(job)
        kept = declared.layer in ("state", "score") and declared.write is not WriteStyle.TRANSIENT
        own = (job,) if kept else ()
        names = dict.fromkeys((*declared.inputs, *declared.previous, *own))
        return {name: self._input(spark, name) for name in names}

    def _input(self, spark: SparkSession, name: str) -> DataFrame:
        """The case's rows; what lives in the run only and stands in the table's own layer comes from its own job."""
        declared = table(name)
        if self._is_built(name):
            return conform(self.built(spark, name)[name], declared)
        return frame(spark, declared, self.rows(name))

    def _is_built(self, name: str) -> bool:
        declared = table(name)
        return declared.write is WriteStyle.TRANSIENT and declared.layer == table(self.table).layer

    def built(self, spark: SparkSession, name: str) -> dict[str, DataFrame]:
        """What a job makes of the case's rows, by table."""
        declared, job = table(name), import_module(f"jobs.{name}")
        if declared.engine == "duckdb":
            return {name: held(spark, declared, self._told_by_duckdb(name))}
        made = job.build(self.inputs(spark, name), self.close())
        return made if isinstance(made, dict) else {name: made}

    def _told_by_duckdb(self, name: str) -> pa.Table:
        inputs = dict.fromkeys((*table(name).inputs, *table(name).previous))
        with held_lake({each: self.rows(each) for each in inputs if not self._is_built(each)}) as con:
            for each in filter(self._is_built, inputs):
                con.register(each, self._told_by_duckdb(each))
            rows = import_module(f"jobs.{name}").build(con, self.close())
            held_rows: pa.Table = rows if isinstance(rows, pa.Table) else rows.to_arrow_table()
        return held_rows

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Rows of one input, repeated rows written out."""
        rows = list((self.content.get("inputs") or {}).get(name, []))
        for block in (self.content.get("repeat") or {}).get(name, []):
            rows += [_numbered(block["row"], i) for i in range(block["count"])]
        return [_typed(row, table(name), self.day) for row in rows]


def cases(name: str) -> list[Case]:
    """Every case of a table, by file name."""
    paths = sorted((CASES / name).glob("*.yaml"))
    return [Case(name, path.stem, yaml.safe_load(path.read_text(encoding="utf-8"))) for path in paths]


def run_case(spark: SparkSession, case: Case) -> None:
    """Build the case's table and compare; AssertionError shows the row, the column and the case's why."""
    assert case.content.get("why"), f"{case.name}: a case says why it stands"
    frames = case.built(spark, case.table)
    for exact in (True, False):
        for name, expected in (case.content.get("expected" if exact else "expected_among") or {}).items():
            rows = [row.asDict() for row in conform(frames[name], table(name)).collect()]
            wanted = [_typed(row, table(name), case.day) for row in expected]
            _compare(rows, wanted, table(name), exact, f"{case.table}/{case.name}: {case.content['why']}")


def _compare(
    rows: list[dict[str, Any]], wanted: list[dict[str, Any]], declared: Table, exact: bool, why: str
) -> None:
    full_keys = [tuple(row[k] for k in declared.key) for row in rows]
    assert len(set(full_keys)) == len(full_keys), f"{why}\nthe key {declared.key} repeats"
    key = [k for k in declared.key if all(k in row for row in wanted)]
    if not key and "business_key" in declared.column_names and all("business_key" in row for row in wanted):
        key = ["business_key"]  # nobody writes a lot's digest by hand
    found: dict[tuple[Any, ...], dict[str, Any]] = {tuple(row[k] for k in key): row for row in rows}
    for row in wanted:
        at = tuple(row[k] for k in key)
        assert at in found, f"{why}\nno row {at} among {sorted(map(str, found))[:20]}"
        for name, value in row.items():
            got = found[at][name]
            assert _same(got, value), f"{why}\n{at} {name}: expected {value!r}, found {got!r}"
    if exact:
        extra = {tuple(row[k] for k in key) for row in rows} - {tuple(row[k] for k in key) for row in wanted}
        assert len(rows) == len(wanted), f"{why}\nrows not expected: {sorted(map(str, extra))[:20]}"


def _same(got: Any, wanted: Any) -> bool:
    if isinstance(got, float) and isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(got, list) and isinstance(wanted, list):
        return len(got) == len(wanted) and all(map(_same, got, wanted))
    return got == wanted


def _numbered(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {k: v.replace("{i}", str(number)) if isinstance(v, str) else v for k, v in row.items()}


def _typed(row: Mapping[str, Any], declared: Table, day: date) -> dict[str, Any]:
    return {name: _value(value, declared.column(name), day) for name, value in row.items()}


def _dated(row: Mapping[str, Any], day: date) -> dict[str, Any]:
    return {name: _moved(value, day) for name, value in row.items()}


def _moved(value: Any, day: date) -> date:
    match = _RELATIVE.match(value) if isinstance(value, str) else None
    return day + timedelta(days=int(match[1] or 0)) if match else value


def _value(value: Any, column: Column, day: date) -> Any:
    if column.type in ("date", "timestamp") and isinstance(value, str):
        match = _RELATIVE.match(value)
        assert match, f"{column.name}: {value!r} is no date; write d-27, or an ISO date without quotes"
        moved = day + timedelta(days=int(match[1] or 0))
        if column.type == "date":
            return moved
        return datetime.fromisoformat(f"{moved}T{match[2] or '00:00'}").replace(tzinfo=UTC)
    if column.type == "bigint" and isinstance(value, list):
        word = sum(1 << bit for bit in set(value))
        return word - (1 << 64) if word >= 1 << 63 else word
    if column.type == "array<double>" and isinstance(value, Mapping):
        if "ramp" in value:
            first, last = value["ramp"]
            return [first + (last - first) * i / 100 for i in range(101)]
        return [float(x) for count, x in value["runs"] for _ in range(count)]
    if column.type == "double" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
