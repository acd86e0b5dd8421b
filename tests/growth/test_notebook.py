"""The notebook's cells run from top to bottom on a catalogue, and keep no output of anybody's lake."""

import ast
import json
from pathlib import Path
from typing import Any

import altair
import pytest

from ccare.growth.catalogue import write_catalogue
from ccare.runtime.manifest import Published
from ccare.runtime.settings import Settings

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebooks" / "growth.ipynb"


def test_it_runs(settings: Settings, row: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    write_catalogue(settings, row)
    monkeypatch.setenv("CCARE_EXPORTS", str(settings.exports))
    names: dict[str, Any] = {}
    shown = [
        _run("".join(cell["source"]), names)
        for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    growth = names["growth"]
    assert growth[["new", "retained", "resurrected", "churned"]].values.tolist() == [
        [4, 6, 1, 3],
        [5, 6, 1, 3],
    ]
    assert names["scores"][["before", "now_"]].values.tolist() == [[45.9, 49.3]]
    charts = [value for value in shown if isinstance(value, altair.Chart)]
    assert len(charts) == 2 and all(chart.to_dict() for chart in charts)
    assert len(shown[0]) == 1 and len(shown[-1]) > 20, "the snapshot, and what columns mean"


def test_it_keeps_nothing_of_anybodys_lake() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    kept = [cell for cell in cells if cell.get("outputs") or cell.get("execution_count") is not None]
    assert kept == []


def _run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; the value of its last line where that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
