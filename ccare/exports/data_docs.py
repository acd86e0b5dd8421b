"""Data Docs: the gates' outcomes as Great Expectations' own static site, made to open without a network.

Great Expectations renders the pages of suites and results. Their style sheets and scripts come from public
networks, and its index is drawn by them, so both are taken out: the pages keep their content, and an index of our
own links them by run and table.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from ccare.errors import InputMissing
from ccare.exports.pages import render
from ccare.runtime.gate import Rule, expectation
from ccare.runtime.quality import kept

FOLDER = "data_docs"
_SCRIPTS = re.compile(r"<script\b.*?</script>", re.S | re.I)
_STYLES = re.compile(r"<style\b.*?</style>", re.S | re.I)
_LINKS = re.compile(r"<link\b[^>]*>", re.I)
_IMAGES = re.compile(r"<img\b[^>]*>", re.I)
_FOOTERS = re.compile(r"<footer\b.*?</footer>", re.S | re.I)
_CONTROLS = re.compile(r'<div class="card mb-3">\s*<div class="card-header p-2">\s*<strong>Actions.*?'
                       r'(?=<div class="card d-md-block)', re.S)  # fmt: skip
_POLICY = (
    """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
)


def write_data_docs(exports: Path, day: date | None = None) -> Path:
    """Write ``<exports>/data_docs/`` from the outcomes kept of every run, or of one day's; returns its index.

    Raises InputMissing where no gate of that day has been kept.
    """
    runs = kept(exports, day)
    if not runs:
        raise InputMissing(
            f"No gate has left its outcomes for {day or 'any day'} in {exports / 'quality'}.",
            remedy="Run the day first: ccare run --day D.",
        )
    folder = exports / FOLDER
    building = exports / f".{FOLDER}.{os.getpid()}.part"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        _build(building, runs)
        (building / "index.html").write_text(_index(runs), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder / "index.html"


def _by_table(run: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for outcome in run["outcomes"].values():
        tables.setdefault(outcome["table"], []).append(outcome)
    return dict(sorted(tables.items()))


def _build(folder: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Suites and results into Great Expectations' stores, pages out of them, then everything foreign out."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # type: ignore[assignment]
    for name in list(context.get_site_names()):
        context.delete_data_docs_site(name)
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)}
    site: Any = {"class_name": "SiteBuilder", "show_how_to_buttons": False, "store_backend": backend}
    context.add_data_docs_site("ccare", site)
    suites: dict[str, dict[str, Any]] = {}
    for run in runs:
        for table, outcomes in _by_table(run).items():
            suites.setdefault(table, {}).update({o["rule"]: _configured(gx, o) for o in outcomes})
            _add_result(context, run, table, outcomes, [_configured(gx, o) for o in outcomes])
    for table, expectations in suites.items():
        context.suites.add(gx.ExpectationSuite(name=table, expectations=list(expectations.values())))
    context.build_data_docs(build_index=False)
    shutil.rmtree(folder / "static", ignore_errors=True)
    style = resources.files("ccare.exports").joinpath("templates/data_docs.css").read_text(encoding="utf-8")
    for page in folder.rglob("*.html"):
        page.write_text(_cleaned(page.read_text(encoding="utf-8"), style), encoding="utf-8")


def _configured(gx: Any, outcome: Mapping[str, Any]) -> Any:
    """The outcome's expectation, described by what a person must know: rule, severity, why."""
    arguments = tuple(sorted(outcome["arguments"].items()))
    rule = Rule(outcome["rule"], outcome["expect"], arguments, outcome["severity"], outcome["why"])
    return expectation(gx, rule, description=f"{rule.id} ({rule.severity}): {rule.why}")


def _add_result(
    context: Any, run: Mapping[str, Any], table: str, outcomes: Sequence[Mapping[str, Any]], expectations: Any
) -> None:
    from great_expectations.core.expectation_validation_result import (
        ExpectationSuiteValidationResult,
        ExpectationValidationResult,
    )
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )

    held = sum(o["held"] for o in outcomes)
    at = datetime.fromisoformat(run["day"]).replace(tzinfo=UTC)
    identifier = RunIdentifier(run_name=_run_name(run), run_time=at)
    results = [
        ExpectationValidationResult(
            success=o["held"], expectation_config=e.configuration, result=_numbers(o), meta={}
        )
        for o, e in zip(outcomes, expectations, strict=True)
    ]
    result = ExpectationSuiteValidationResult(
        success=held == len(outcomes),
        results=results,
        suite_name=table,
        statistics={
            "evaluated_expectations": len(outcomes),
            "successful_expectations": held,
            "unsuccessful_expectations": len(outcomes) - held,
            "success_percent": round(100 * held / len(outcomes), 1),
        },
        meta={"run_id": identifier, "active_batch_definition": {"data_asset_name": table}},
    )
    key = ValidationResultIdentifier(ExpectationSuiteIdentifier(name=table), identifier, table)
    context.validation_results_store.set(key, result)


def _numbers(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """What was observed, where the rule did not hold; no values of rows."""
    if outcome["held"]:
        return {}
    if outcome.get("value") is not None:
        return {"observed_value": outcome["value"]}
    return {"observed_value": f"{outcome['unexpected']:,} rows"} if outcome["unexpected"] else {}


def _run_name(run: Mapping[str, Any]) -> str:
    return f"{run['day']}-{run['revision']}"


def _cleaned(page: str, style: str) -> str:
    for foreign in (_SCRIPTS, _STYLES, _LINKS, _IMAGES, _FOOTERS, _CONTROLS):
        page = foreign.sub("", page)
    page = re.sub(r'\son(?:click|load)="[^"]*"', "", page)
    return page.replace("</head>", f"{_POLICY}<style>{style}</style></head>", 1)


def _index(runs: Sequence[Mapping[str, Any]]) -> str:
    shown = []
    for run in reversed(runs):
        at = datetime.fromisoformat(run["day"]).strftime("%Y%m%dT000000.000000Z")
        tables = [
            {
                "name": table,
                "page": f"validations/{table}/{_run_name(run)}/{at}/{table}.html",
                "suite": f"expectations/{table}.html",
                "looked": len(outcomes),
                "held": sum(o["held"] for o in outcomes),
                "broken": [
                    {"detail": o["detail"], "released": o.get("released")} for o in outcomes if not o["held"]
                ],
                "state": _state(outcomes),
            }
            for table, outcomes in _by_table(run).items()
        ]
        shown.append({**{k: run[k] for k in ("day", "revision", "run_id")}, "tables": tables})
    return render("data_docs.html.j2", runs=shown)


def _state(outcomes: Sequence[Mapping[str, Any]]) -> str:
    broken = [o for o in outcomes if not o["held"]]
    if any(o["severity"] == "block" and not o.get("released") for o in broken):
        return "blocked"
    return "warned" if broken else "held"
