"""The notebook's cells run from top to bottom on a catalogue, and keep no output of anybody's lake."""

import json
import sys
from io import StringIO
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
    monkeypatch.setattr(sys, "stdout", StringIO())
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    shown = []
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            *body, last = (
                "".join(cell["source"]).rsplit("\n\n\n", 1)
                if "\n\n\n" in "".join(cell["source"])
                else (
                    "",
                    "".join(cell["source"]),
                )
            )
            exec("\n".join(body), names)
            exec(last, names)
            shown.append(last)
    growth = names["growth"]
    assert growth[["new", "retained", "resurrected", "churned"]].values.tolist() == [
        [4, 6, 1, 3],
        [5, 6, 1, 3],
    ]
    assert names["scores"][["before", "now_"]].values.tolist() == [[45.9, 49.3]]
    charts = [line for text in shown for line in text.splitlines() if line.startswith("alt.Chart")]
    assert len(charts) == 2
    for line in charts:
        assert isinstance(eval(line, names), altair.Chart) and eval(line, names).to_dict()
