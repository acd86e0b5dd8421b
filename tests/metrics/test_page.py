"""The page of metrics is what the declarations say."""

from pathlib import Path

from ccare.exports.words import metric_about, metric_name
from ccare.metrics.definitions import ESTIMATES, METRIC_BY_ID, METRICS
from ccare.metrics.page import page
from ccare.tables import table

EVERY = (*METRICS, *ESTIMATES)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"


def test_the_page_is_written_from_the_declarations() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"python -m ccare.metrics.page > {PAGE.name}"


def test_every_metric_says_what_it_is_and_where_it_comes_from() -> None:
    stored = {name for m in EVERY for name in m.source.split(", ") if name != "score_potentials"}
    assert all(table(name) for name in stored)
    for m in EVERY:
        assert m.id in PAGE.read_text(encoding="utf-8")
        assert m.definition.endswith("."), m.id
        assert not m.edges or m.edges.endswith("."), m.id
        assert not m.is_ratio or m.unit != "users", m.id


def test_cards_and_catalogue_say_the_same() -> None:
    for m in EVERY:
        told = table("metric_merchants").column(m.id).description
        assert METRIC_BY_ID[m.id] is m and told.startswith(m.described)
        assert told.endswith(f" Window: {m.window}; from {m.source}."), "the catalogue's comment"
        assert m.described.startswith(metric_about(m.id).en)
        assert metric_name(m.id).en != m.id, f"{m.id} has no name for people"
