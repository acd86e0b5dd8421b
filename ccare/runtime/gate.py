"""Quality gate: a suite derived from a table's declaration and its business rules, run before the write.

Every expectation is first asked for a yes or no, so that Great Expectations fuses them into few Spark jobs;
only those that fail run again, alone, with counts and samples. Rows that the driver holds anyway, as Arrow, are
judged there: two Spark jobs over a few thousand rows take longer than all their expectations in pandas.
"""

import logging
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from ccare.errors import UsageError
from ccare.tables import Table

_KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "not_null": ("ExpectColumnValuesToNotBeNull", {"column": "column"}),
    "between": (
        "ExpectColumnValuesToBeBetween",
        {"column": "column", "min": "min_value", "max": "max_value"},
    ),
    "in_set": ("ExpectColumnValuesToBeInSet", {"column": "column", "values": "value_set"}),
    "matches": ("ExpectColumnValuesToMatchRegex", {"column": "column", "pattern": "regex"}),
    "at_least": (
        "ExpectColumnPairValuesAToBeGreaterThanB",
        {"column": "column_A", "other": "column_B", "or_equal": "or_equal"},
    ),
    "unique": ("ExpectCompoundColumnsToBeUnique", {"columns": "column_list"}),
    "unique_values": ("ExpectColumnValuesToBeUnique", {"column": "column"}),
    "measured": ("ExpectColumnMaxToBeBetween", {"column": "column", "min": "min_value", "max": "max_value"}),
    "row_count": ("ExpectTableRowCountToBeBetween", {"min": "min_value", "max": "max_value"}),
}


KINDS = frozenset(_KINDS)
_ONE_AT_A_TIME = Lock()
"""Great Expectations keeps one active batch a data source."""


@dataclass(frozen=True)
class Rule:
    """One expectation with the reason it exists. ``severity`` is block or warn."""

    id: str
    expect: str
    arguments: tuple[tuple[str, Any], ...]
    severity: str
    why: str


@dataclass(frozen=True)
class Failure:
    """A rule that did not hold: how many rows, and one sample that is never personal."""

    table: str
    rule: Rule
    unexpected: int
    sample: str
    detail: str = ""
    value: float | None = None

    def sentence(self) -> str:
        """The failure in words."""
        rows = f"{self.unexpected} rows" if self.unexpected else "the table"
        shown = f", such as {self.sample}" if self.sample else ""
        said = self.detail or f"{rows} break it{shown}"
        return f"{self.table}.{self.rule.id}: {said} ({self.rule.why})"

    @property
    def name(self) -> str:
        """The rule as a person names it: table.rule."""
        return f"{self.table}.{self.rule.id}"


def expectations_dir() -> Path:
    """The folder of business rules: expectations/ in a checkout, ccare/_expectations in a wheel."""
    package = Path(__file__).resolve().parent.parent
    packaged = package / "_expectations"
    return packaged if packaged.is_dir() else package.parent / "expectations"


def suite_of(table: Table, rows: Iterable[Rule] = (), covered: Iterable[str] = ()) -> tuple[Rule, ...]:
    """The table's own rules and those of its stream's rows, where ``covered`` names columns they look after."""
    own = {f"{name}_present" for name in covered}
    return (*(rule for rule in rules(table) if rule.id not in own), *rows)


@cache
def rules(table: Table) -> tuple[Rule, ...]:
    """The table's suite: declared columns and key first, business rules after."""
    required = [c for c in table.columns if not c.nullable]
    baseline = [
        Rule(
            f"{c.name}_present", "not_null", (("column", c.name),), "block", "the column is declared required"
        )
        for c in required
    ]
    if len(table.key) > 1:
        arguments: tuple[tuple[str, Any], ...] = (("columns", list(table.key)),)
        baseline.append(Rule("key_unique", "unique", arguments, "block", f"the grain is {table.grain}"))
    return (*baseline, *_business_rules(table))


def _business_rules(table: Table) -> list[Rule]:
    path = expectations_dir() / f"{table.name}.toml"
    if not path.is_file():
        return []
    result, mistakes = [], []
    for entry in tomllib.loads(path.read_text()).get("rule", []):
        fixed = {name: entry.pop(name, "") for name in ("id", "expect", "severity", "why")}
        if fixed["expect"] not in _KINDS or fixed["severity"] not in ("block", "warn") or not fixed["why"]:
            mistakes.append(fixed["id"] or "a rule without id")
        result.append(Rule(**fixed, arguments=tuple(sorted(entry.items()))))
    if mistakes:
        raise UsageError(
            f"expectations/{path.name}: {', '.join(mistakes)} lack a known expect, a severity or a why.",
            remedy="Mend the file and run again.",
        )
    return result


def preload() -> None:
    """Import Great Expectations beside other work: a run that gates would wait four seconds for it later.

    No more than the import: its Spark source starts a session of its own where none is there yet.
    """
    Thread(target=_library, daemon=True).start()


def failures(rows: DataFrame | pa.Table, table: Table, suite: tuple[Rule, ...]) -> list[Failure]:
    """Rules of the suite that do not hold, each with a count and one sample.

    A DataFrame should be persisted: a failing expectation reads it again.
    """
    if not suite:
        return []
    held = isinstance(rows, pa.Table)
    judged = _pandas(rows, suite) if held else rows
    with _ONE_AT_A_TIME:
        broken = _broken(judged, suite, held)
        return _examined(judged, table, broken, held) if broken else []


def _pandas(rows: pa.Table, suite: tuple[Rule, ...]) -> Any:
    """The columns that the suite looks at; whole numbers stay whole where some are null.

    Texts and dates that are only asked whether they are there, or there once, come as codes: millions of Python objects
    would be made of them, and hashed.
    """
    looked: dict[str, set[str]] = {}
    for rule in suite:
        told = dict(rule.arguments)
        for name in (told.get("column"), told.get("other"), *told.get("columns", ())):
            looked.setdefault(str(name), set()).add(rule.expect)
    shown = rows.select([name for name in rows.column_names if name in looked] or rows.column_names[:1])
    coded = [
        field.name
        for field in shown.schema
        if (pa.types.is_string(field.type) or pa.types.is_date(field.type))
        and looked.get(field.name, set()) <= {"not_null", "unique"}
    ]
    return shown.to_pandas(categories=coded, integer_object_nulls=True, split_blocks=True)


def _broken(rows: Any, suite: tuple[Rule, ...], held: bool) -> list[Rule]:
    result = _batch(rows, held).validate(_suite(suite, held), result_format="BOOLEAN_ONLY")
    by_id = {rule.id: rule for rule in suite}
    return [by_id[r.expectation_config.meta["id"]] for r in result.results if not r.success]


def _examined(rows: Any, table: Table, broken: list[Rule], held: bool) -> list[Failure]:
    results = _batch(rows, held).validate(_suite(tuple(broken), held), result_format="SUMMARY").results
    told = {r.expectation_config.meta["id"]: r.result for r in results}
    return [_failure(table, rule, told[rule.id]) for rule in broken]


def _failure(table: Table, rule: Rule, result: Mapping[str, Any]) -> Failure:
    arguments = dict(rule.arguments)
    column = arguments.get("column")
    # A helper column shows nothing but that it is false. Personal values are not shown, nor text as delivered:
    # anything may have been written into it.
    declared = table.column(str(column)) if column in table.column_names else None
    others = {arguments.get("other"), *arguments.get("columns", ())}
    personal = any(c.personal for c in table.columns if c.name in {column, *others})
    shown = declared and not personal and not (table.layer == "core" and declared.type == "string")
    sample = "" if not shown else ", ".join(str(v) for v in (result.get("partial_unexpected_list") or [])[:1])
    return Failure(table.name, rule, int(result.get("unexpected_count") or 0), sample[:120])


@cache
def _library() -> Any:
    """Great Expectations, imported only where a gate runs: it takes seconds."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return gx


@cache
def _gx() -> tuple[Any, Any]:
    """The library and a context of it."""
    gx = _library()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    return gx, context


@cache
def _whole(held: bool) -> Any:
    """The batch definition of rows that the driver holds, else of Spark frames: made when first such rows come.

    Making the latter starts a session of Spark's defaults where there is none.
    """
    _, context = _gx()
    sources = context.data_sources
    source = sources.add_pandas("held") if held else sources.add_spark("ccare", persist=False)
    return source.add_dataframe_asset("frame").add_batch_definition_whole_dataframe("whole")


def _batch(rows: Any, held: bool) -> Any:
    return _whole(held).get_batch(batch_parameters={"dataframe": rows})


def _suite(suite: tuple[Rule, ...], held: bool) -> Any:
    gx, _ = _gx()
    return gx.ExpectationSuite(
        name="gate", expectations=[expectation(gx, _python_pattern(rule) if held else rule) for rule in suite]
    )


def _python_pattern(rule: Rule) -> Rule:
    r"""Patterns are Java's, whose \z is Python's \Z."""
    if rule.expect != "matches":
        return rule
    told = dict(rule.arguments)
    told["pattern"] = str(told["pattern"]).replace(r"\z", r"\Z")
    return replace(rule, arguments=tuple(told.items()))


def expectation(gx: Any, rule: Rule, description: str | None = None) -> Any:
    """The rule as one of Great Expectations' own; ``gx`` is its module."""
    name, parameters = _KINDS[rule.expect]
    arguments = {parameters[key]: value for key, value in rule.arguments}
    if rule.expect == "at_least":
        # By default pandas compares a missing value, and fails it, where Spark does not.
        arguments["ignore_row_if"] = "either_value_is_missing"
    meta = {"id": rule.id, "why": rule.why}
    return getattr(gx.expectations, name)(**arguments, meta=meta, description=description)
